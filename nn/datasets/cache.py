"""Named arrays kept on disk as `.npy` files, memory-mapped so that processes share their pages."""

from __future__ import annotations

import io
import json
import operator
import os
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nn.files import open_regular, read_regular, remove_stale, write_atomically

MANIFEST = "manifest.json"
#: A hundred bytes for each array are enough.
MAX_MANIFEST_BYTES = 2**16


def _facts(array: NDArray[Any]) -> dict[str, Any]:
    """Return what the manifest says of an array. CRC-32 reads 65 MB in 25 ms, and finds a flipped bit anywhere."""
    return {"dtype": array.dtype.str, "shape": list(array.shape), "crc32": zlib.crc32(np.ascontiguousarray(array).data)}


def save(folder: Path, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep one-dimensional `arrays` in `folder`.

    Each file is replaced atomically and the manifest comes last, so a reader finds a complete set or none. Two writers
    of the same key write the same bytes, so it does not matter how their files mix.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_stale(folder)
    for name, array in arrays.items():
        write_atomically(folder / f"{name}.npy", partial(np.save, arr=array, allow_pickle=False))
    manifest = {"key": key, "arrays": {name: _facts(array) for name, array in arrays.items()}}
    write_atomically(folder / MANIFEST, lambda file: file.write(json.dumps(manifest, indent=1).encode()))


def load(folder: Path, key: str, dtypes: Mapping[str, np.dtype[Any]]) -> dict[str, NDArray[Any]] | None:
    """Return the arrays that `save` kept under this key, memory-mapped read-only.

    Args:
        folder: Where they were kept.
        key: What they were kept under.
        dtypes: The names of the arrays, and what each holds.

    Returns:
        None for anything but exactly these arrays with their bytes intact: a missing, incomplete, damaged or foreign
        folder is the caller's to build again.
    """
    try:
        manifest = json.loads(read_regular(folder / MANIFEST, MAX_MANIFEST_BYTES))
        if manifest["key"] != key:
            return None
        facts = manifest["arrays"]
        arrays = {name: _map(folder / f"{name}.npy", dtype, facts[name]["shape"]) for name, dtype in dtypes.items()}
        intact = {name: _facts(array) for name, array in arrays.items()} == facts
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return arrays if intact else None


def _map(path: Path, dtype: np.dtype[Any], shape: Any) -> NDArray[Any]:
    """Map a file that must be what `save` writes for this dtype and shape.

    `np.load` would ask the file what it is: a forged one could be an archive, or have a header that no parser survives.
    """
    (length,) = map(operator.index, shape)
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)})
    expected = header.getvalue()
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(expected)) != expected or size != len(expected) + length * dtype.itemsize:
            raise ValueError(f"{path} is not the file of such an array")
        return np.memmap(file, dtype, "r", len(expected), (length,))
