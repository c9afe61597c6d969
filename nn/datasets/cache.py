"""A cache of named arrays on disk: `.npy` files, memory-mapped so that processes share their pages."""

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
#: The largest manifest that is read. An array takes about a hundred bytes of it.
MAX_MANIFEST_BYTES = 2**16


def _facts(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array's entry in the manifest. CRC-32 detects any flipped bit, and takes 25 ms for 65 MB."""
    return {"dtype": array.dtype.str, "shape": list(array.shape), "crc32": zlib.crc32(np.ascontiguousarray(array).data)}


def save(folder: Path, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Store one-dimensional `arrays` in `folder`.

    Each file is replaced atomically, the manifest last, so that a reader finds a complete set or none. Concurrent
    writers of the same key write the same bytes, so that their files can be mixed.

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
    """Return the arrays that `save` stored under this key, memory-mapped and read-only.

    Args:
        folder: The folder of the arrays.
        key: The key that they were stored with.
        dtypes: The name and the dtype of each array.

    Returns:
        The arrays by name, or None if the folder is missing, or does not hold exactly these arrays undamaged.
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

    `np.load` would trust the file's header: a forged file could be an archive, or have a header that exhausts the
    parser.
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
