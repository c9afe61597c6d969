"""The reader of IDX files: what it reads, and the one sentence with which it refuses everything else."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from nn.datasets import idx
from nn.errors import DatasetError
from tests.support.idx_files import TEST_IMAGES, TRAIN_IMAGES, TRAIN_LABELS, idx_bytes, write_idx, write_idx_folder

FASHION = Path("/usr/share/datasets/fashion-mnist")


def refusal(folder: Path) -> str:
    with pytest.raises(DatasetError) as refused:
        idx.read_folder(folder)
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


def test_fashion_mnist_of_debian() -> None:
    if not FASHION.is_dir() and not os.environ.get("CI"):
        pytest.skip("needs Debian's package dataset-fashion-mnist")

    images, labels = idx.read_folder(FASHION)

    assert images.shape == (70_000, 784)
    assert np.array_equal(np.bincount(labels), np.full(10, 7_000))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (TRAIN_IMAGES, b"", "is truncated: its header has 0 bytes; expected 16"),
        (TRAIN_IMAGES, idx_bytes(np.zeros(20)), "starts with the number 0x00000801; expected 0x00000803"),
        (TRAIN_LABELS, struct.pack(">II", 0x0D01, 2) + b"\0" * 8, "starts with the number 0x00000d01"),
        (TRAIN_IMAGES, struct.pack(">4I", 0x0803, 2**22, 256, 256), "to 274877906944 bytes; expected at most 2"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((12, 4, 4)))[:-1], "holds 191 bytes of content; expected 192"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((12, 4, 4))) + b"x", "after its last value; expected exactly 192 bytes"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((12, 4, 5))), "images of 4 x 5 pixels; expected square ones"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((12, 0, 0))), "images of 0 x 0 pixels; expected square ones"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((1, 257, 257))), "images of 257 x 257 pixels; expected square ones"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((2**22 + 1, 1, 1))), "images or labels; expected at most 4194304"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((0, 4, 4))), "is empty; expected at least one value"),
        (TRAIN_LABELS, idx_bytes(np.zeros(11)), "holds 11 labels; expected 12, one for each image"),
        (TRAIN_LABELS, idx_bytes(np.arange(12)), "holds the label 10 at position 10; expected 0 to 9"),
        (TEST_IMAGES, idx_bytes(np.zeros((8, 5, 5))), "holds images of 5 x 5 pixels; expected 4 x 4"),
    ],
)
@pytest.mark.parametrize("compress", [True, False])
def test_wrong_content_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, expected: str, compress: bool
) -> None:
    write_idx_folder(tmp_path, compress=compress)

    path = write_idx(tmp_path, name, content, compress=compress)

    sentence = refusal(tmp_path)
    assert sentence.startswith(str(path))
    assert expected in sentence


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda blob: blob[:-20], "is truncated: its gzip stream ends too early"),
        (lambda blob: b"not gzip" + blob, "is not an intact gzip file"),
        (lambda blob: blob + b"trailing", "is not an intact gzip file"),
        (lambda blob: blob[:-8] + b"\0\0\0\0" + blob[-4:], "is not an intact gzip file"),
        (lambda blob: blob[:12] + b"\xff\xff\xff" + blob[15:], "is not an intact gzip file"),
        (lambda blob: blob + bytes(2**21), "gzip file of one stream: something follows"),
        (lambda blob: gzip.compress(b"") + blob, "gzip file of one stream: something follows"),
        (lambda blob: blob[:10] + b"\0\0\0\xff\xff" * 2**20 + blob[10:], "a part of it holds almost nothing"),
    ],
)
def test_damaged_gzip_is_refused_by_name(small_folder: Path, damage, expected: str) -> None:
    path = small_folder / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes()))

    sentence = refusal(small_folder)
    assert sentence.startswith(str(path))
    assert expected in sentence
