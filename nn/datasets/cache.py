"""A cache of named arrays on disk, as `.npy` files. Others may write there too, so the caller checks the content."""

from __future__ import annotations

import io
import json
import operator
import os
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
#: The largest file of an array that is read. MNIST's largest has 36 MB.
MAX_ARRAY_BYTES = 2**31


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
    manifest = {"key": key, "lengths": {name: array.size for name, array in arrays.items()}}
    write_atomically(folder / MANIFEST, lambda file: file.write(json.dumps(manifest, indent=1).encode()))


def load(folder: Path, key: str, dtypes: Mapping[str, np.dtype[Any]]) -> dict[str, NDArray[Any]] | None:
    """Return the arrays that `save` stored under this key, in memory of this process.

    A memory map would show what somebody else writes into the file after the caller has checked it.

    Args:
        folder: The folder of the arrays.
        key: The key that they were stored with.
        dtypes: The name and the dtype of each array.

    Returns:
        The arrays by name, or None if the folder is missing, or does not hold arrays of these names and dtypes. Their
        content can be anything: a checksum beside them would be written by whoever wrote them.
    """
    try:
        manifest = json.loads(read_regular(folder / MANIFEST, MAX_MANIFEST_BYTES))
        if manifest["key"] != key:
            return None
        lengths = manifest["lengths"]
        return {
            name: _read(folder / f"{name}.npy", dtype, operator.index(lengths[name])) for name, dtype in dtypes.items()
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def _read(path: Path, dtype: np.dtype[Any], length: int) -> NDArray[Any]:
    """Read a file that must be what `save` writes for an array of this dtype and length.

    `np.load` would trust the file's header: a forged file could be an archive, or have a header that exhausts the
    parser.
    """
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)})
    expected = header.getvalue()
    with open_regular(path, MAX_ARRAY_BYTES) as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(expected)) != expected or size != len(expected) + length * dtype.itemsize:
            raise ValueError(f"{path} is not the file of such an array")
        return np.frombuffer(bytearray(file.read(length * dtype.itemsize)), dtype, length)
