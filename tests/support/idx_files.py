"""Writes small data sets as the four IDX files."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx_bytes(array: NDArray[Any]) -> bytes:
    """Return an array of bytes in the IDX format."""
    return struct.pack(f">{1 + array.ndim}I", 0x0800 | array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write_idx_folder(folder: Path, *, train: int = 12, test: int = 8, side: int = 4, compress: bool = True) -> None:
    """Write random images and labels, the same ones each time."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for images_name, labels_name, n in ((TRAIN_IMAGES, TRAIN_LABELS, train), (TEST_IMAGES, TEST_LABELS, test)):
        images = rng.integers(0, 256, (n, side, side)) * rng.integers(0, 2, (n, side, side))
        write_idx(folder, images_name, idx_bytes(images), compress=compress)
        write_idx(folder, labels_name, idx_bytes(rng.integers(0, 10, n)), compress=compress)


def write_idx(folder: Path, name: str, content: bytes, *, compress: bool = True) -> Path:
    """Write one file, with `.gz` at the end of its name if it is compressed."""
    path = folder / (f"{name}.gz" if compress else name)
    path.write_bytes(gzip.compress(content, 1) if compress else content)
    return path
