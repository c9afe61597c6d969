"""Reads images and labels from the four IDX files in which MNIST and similar data sets are published."""

import struct
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nn.datasets import MAX_SIDE, N_CLASSES
from nn.errors import DatasetError
from nn.files import open_regular, reading

#: The most bytes of images. EMNIST's digits, the largest published data set of this kind, have 220 MB.
MAX_BYTES = 2**28
#: The most images of the training or of the test set: each needs about 100 bytes beside its own.
MAX_IMAGES = 2**22
#: The first four bytes of an IDX file: two zeros, the type (8 is unsigned byte), the number of dimensions
#: (http://yann.lecun.com/exdb/mnist/).
IMAGES_MAGIC, LABELS_MAGIC = 0x0803, 0x0801
CHUNK = 2**20


def read_folder(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and their two `t10k-` companions, plain or `.gz`.

    Returns:
        The images, shape (n, side * side), and the labels, shape (n,): the training set, then the test set.

    Raises:
        DatasetError: a file is missing, damaged, or inconsistent with the others; the message names the file.
    """
    # One buffer for all images: concatenating them afterwards would need their memory twice.
    content = bytearray()
    labels, sides = zip(*(_read_pair(folder, part, content) for part in ("train", "t10k")), strict=True)
    if sides[0] != sides[1]:
        raise DatasetError(
            f"{_find(folder, 't10k-images-idx3-ubyte')} holds images of {sides[1]} x {sides[1]} pixels; "
            f"expected {sides[0]} x {sides[0]}, as in the training set"
        )
    return np.frombuffer(content, np.uint8).reshape(-1, sides[0] ** 2), np.concatenate(labels)


def _read_pair(folder: Path, part: str, content: bytearray) -> tuple[NDArray[np.uint8], int]:
    """Append the images of one part to `content`; return their labels, and the pixels of an image's side."""
    images_path = _find(folder, f"{part}-images-idx3-ubyte")
    labels_path = _find(folder, f"{part}-labels-idx1-ubyte")
    n_images, side, _ = _read(images_path, IMAGES_MAGIC, content)
    found = bytearray()
    _read(labels_path, LABELS_MAGIC, found)
    labels = np.frombuffer(found, np.uint8)
    if len(labels) != n_images:
        raise DatasetError(f"{labels_path} holds {len(labels)} labels; expected {n_images}, one for each image")
    if labels.max() >= N_CLASSES:
        position = int(np.argmax(labels >= N_CLASSES))
        raise DatasetError(
            f"{labels_path} holds the label {labels[position]} at position {position}; expected 0 to {N_CLASSES - 1}"
        )
    return labels, side


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        with reading(path, DatasetError):
            if path.is_file():
                return path
    raise DatasetError(f"{folder} has no file {name} or {name}.gz")


def _read(path: Path, magic: int, content: bytearray) -> tuple[int, ...]:
    """Append the values of one file, exactly as many as its header announces, to `content`; return their shape."""
    is_packed, header_bytes = path.suffix == ".gz", 4 + 4 * (magic & 0xFF)
    try:
        with open_regular(path) as file:
            pieces = _unpacked(file) if is_packed else iter(partial(file.read, CHUNK), b"")
            first = next(pieces, b"")
            shape = _shape(path, first[:header_bytes], magic)
            _append(path, chain([first[header_bytes:]], pieces), int(np.prod(shape, dtype=object)), content)
    except EOFError:
        raise DatasetError(f"{path} is truncated: its gzip stream ends too early") from None
    except zlib.error as error:
        raise DatasetError(f"{path} is not an intact gzip file of one stream: {error}") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None
    return shape


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """Yield what a gzip file holds. `gzip` would take minutes for padding, or for many empty streams or blocks."""
    stream, surplus = zlib.decompressobj(wbits=31), 0
    for packed in iter(partial(file.read, CHUNK), b""):
        rest = packed
        surplus = max(surplus, 0) + len(packed)
        while not stream.eof and (found := stream.decompress(rest, CHUNK)):
            yield found
            surplus -= 2 * len(found)
            rest = stream.unconsumed_tail
        if stream.eof and (stream.unused_data or file.read(1)):
            raise zlib.error("something follows")
        # Even data that packs badly yields half as many bytes as it takes.
        if surplus > 2 * CHUNK:
            raise zlib.error("a part of it holds almost nothing")
    if not stream.eof:
        raise EOFError


def _append(path: Path, pieces: Iterable[bytes], size: int, content: bytearray) -> None:
    end = len(content) + size
    if end > MAX_BYTES:
        raise DatasetError(f"{path} brings the data set to {end} bytes; expected at most {MAX_BYTES}")
    for piece in pieces:
        content += piece[: end + 1 - len(content)]
        if len(content) > end:
            raise DatasetError(f"{path} goes on after its last value; expected exactly {size} bytes of content")
    if len(content) < end:
        found = len(content) - end + size
        raise DatasetError(f"{path} is truncated: it holds {found} bytes of content; expected {size}")


def _shape(path: Path, header: bytes, magic: int) -> tuple[int, ...]:
    n_dimensions = magic & 0xFF
    if len(header) < 4 + 4 * n_dimensions:
        raise DatasetError(f"{path} is truncated: its header has {len(header)} bytes; expected {4 + 4 * n_dimensions}")
    found, *shape = struct.unpack(f">{1 + n_dimensions}I", header)
    if found != magic:
        raise DatasetError(f"{path} starts with the number {found:#010x}; expected {magic:#010x}")
    if shape[0] < 1:
        raise DatasetError(f"{path} is empty; expected at least one value")
    if shape[0] > MAX_IMAGES:
        raise DatasetError(f"{path} holds {shape[0]} images or labels; expected at most {MAX_IMAGES}")
    if len(shape) == 3 and not 1 <= shape[1] == shape[2] <= MAX_SIDE:
        raise DatasetError(
            f"{path} holds images of {shape[1]} x {shape[2]} pixels; "
            f"expected square ones of 1 x 1 to {MAX_SIDE} x {MAX_SIDE}"
        )
    return tuple(shape)
