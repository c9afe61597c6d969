"""Prepares the folder in which scikit-learn's own OpenML reader finds what it would download."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

DATA_ID = 554
API = "openml.org/api/v1/json/data"


def write_openml_cache(data_home: Path, images: NDArray[Any], labels: NDArray[Any]) -> None:
    """Write `mnist_784`, version 1, with these images and labels, as scikit-learn keeps it."""
    pixels = [f"pixel{i + 1}" for i in range(images.shape[1])]
    arff = _arff(pixels, images, labels)
    download = "openml.org/data/v1/download/52667/mnist_784.arff"
    description = {
        "id": str(DATA_ID),
        "name": "mnist_784",
        "version": "1",
        "format": "ARFF",
        "description": "The MNIST database of handwritten digits",
        "status": "active",
        "url": f"https://{download}",
        "file_id": "52667",
        "default_target_attribute": "class",
        "md5_checksum": hashlib.md5(arff).hexdigest(),  # noqa: S324 - it is what OpenML sends
    }
    features = [_feature(i, name, "numeric", "false") for i, name in enumerate(pixels)]
    features.append(_feature(len(pixels), "class", "nominal", "true"))
    search = f"{API}/list/data_name/mnist_784/limit/2/data_version/1"
    listing = {"did": DATA_ID, "name": "mnist_784", "version": 1, "status": "active", "format": "ARFF"}
    answers = {
        search: {"data": {"dataset": [listing]}},
        f"{API}/{DATA_ID}": {"data_set_description": description},
        f"{API}/features/{DATA_ID}": {"data_features": {"feature": features}},
        f"{API}/qualities/{DATA_ID}": {
            "data_qualities": {"quality": [{"name": "NumberOfInstances", "value": str(len(images))}]}
        },
    }
    for path, answer in answers.items():
        _write_gzip(data_home / "openml" / f"{path}.gz", json.dumps(answer).encode())
    _write_gzip(data_home / "openml" / f"{download}.gz", arff)


def _feature(index: int, name: str, data_type: str, is_target: str) -> dict[str, Any]:
    return {
        "index": str(index),
        "name": name,
        "data_type": data_type,
        "is_target": is_target,
        "is_ignore": "false",
        "is_row_identifier": "false",
        "number_of_missing_values": "0",
    }


def _arff(pixels: list[str], images: NDArray[Any], labels: NDArray[Any]) -> bytes:
    header = ["@RELATION mnist_784", *(f"@ATTRIBUTE {name} real" for name in pixels)]
    header += ["@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "@DATA"]
    digits = {value: str(value) for value in range(-1, 257)}
    rows = (
        ",".join([*map(digits.__getitem__, row), digits[label]])
        for row, label in zip(images.tolist(), labels.tolist(), strict=True)
    )
    return "\n".join([*header, *rows, ""]).encode()


def _write_gzip(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(content)
