"""The reader of IDX files: what it reads, and the one sentence with which it refuses everything else."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn.datasets import idx
from nn.errors import DatasetError
from tests.support.idx_files import (
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    idx_bytes,
    write_idx,
    write_idx_folder,
)

FASHION = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_idx_folder(tmp_path)
    return tmp_path


def refusal(folder: Path) -> str:
    with pytest.raises(DatasetError) as refused:
        idx.read_folder(folder)
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


def test_training_set_comes_before_test_set(folder: Path) -> None:
    # Given files whose first image and labels are known
    first = np.full((1, 4, 4), 7)
    write_idx(folder, TRAIN_IMAGES, idx_bytes(first))
    write_idx(folder, TRAIN_LABELS, idx_bytes(np.array([9])))

    images, labels = idx.read_folder(folder)

    assert images.shape == (9, 16)
    assert images.dtype == labels.dtype == np.uint8
    assert (images[0] == 7).all()
    assert labels[0] == 9


def test_plain_and_compressed_files_are_the_same(folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    write_idx_folder(plain, compress=False)

    for compressed, uncompressed in zip(idx.read_folder(folder), idx.read_folder(plain), strict=True):
        assert np.array_equal(compressed, uncompressed)


def test_fashion_mnist_of_debian() -> None:
    if not FASHION.is_dir() and not os.environ.get("CI"):
        pytest.skip("needs Debian's package dataset-fashion-mnist")

    images, labels = idx.read_folder(FASHION)

    assert images.shape == (70_000, 784)
    assert np.array_equal(np.bincount(labels), np.full(10, 7_000))


def test_missing_file_is_named_both_ways(folder: Path) -> None:
    (folder / f"{TEST_LABELS}.gz").unlink()

    assert refusal(folder) == f"{folder} has no file {TEST_LABELS} or {TEST_LABELS}.gz"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (TRAIN_IMAGES, b"", "is truncated: its header has 0 bytes; expected 16"),
        (TRAIN_IMAGES, idx_bytes(np.zeros(20)), "starts with the number 0x00000801; expected 0x00000803"),
        (TRAIN_LABELS, struct.pack(">II", 0x0D01, 2) + b"\0" * 8, "starts with the number 0x00000d01"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((12, 4, 4)))[:-1], "holds 191 bytes of content; expected 192"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((12, 4, 4))) + b"x", "after its last value; expected exactly 192 bytes"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((12, 4, 5))), "images of 4 x 5 pixels; expected square ones"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((12, 0, 0))), "images of 0 x 0 pixels; expected square ones"),
        (TRAIN_IMAGES, idx_bytes(np.zeros((1, 257, 257))), "images of 257 x 257 pixels; expected square ones"),
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
        (lambda blob: blob[:-8] + b"\0\0\0\0" + blob[-4:], "is not an intact gzip file: CRC check failed"),
        (lambda blob: blob[:12] + b"\xff\xff\xff" + blob[15:], "is not an intact gzip file"),
    ],
)
def test_damaged_gzip_is_refused_by_name(folder: Path, damage, expected: str) -> None:
    path = folder / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes()))

    sentence = refusal(folder)
    assert sentence.startswith(str(path))
    assert expected in sentence


def test_a_folder_in_place_of_a_file_is_a_missing_file(folder: Path) -> None:
    (folder / f"{TRAIN_IMAGES}.gz").unlink()
    (folder / TRAIN_IMAGES).mkdir()

    assert "has no file" in refusal(folder)


@pytest.mark.process
def test_lying_header_and_gzip_bomb_cost_no_memory(folder: Path, tmp_path: Path) -> None:
    # Given headers that announce 280 TB and 1 GB, and a small file that announces 16 bytes and unpacks to 1 GB
    huge = struct.pack(">IIII", 0x0803, 2**32 - 1, 256, 256)
    large = struct.pack(">IIII", 0x0803, 2**14, 256, 256)
    folders = [tmp_path / name for name in ("huge", "large", "bomb")]
    for each in folders:
        write_idx_folder(each)
    write_idx(folders[0], TRAIN_IMAGES, huge)
    write_idx(folders[1], TRAIN_IMAGES, large + b"\0" * 100_000)
    with gzip.open(folders[2] / f"{TRAIN_IMAGES}.gz", "wb", 1) as bomb:
        bomb.write(idx_bytes(np.zeros((1, 4, 4))))
        for _ in range(1024):
            bomb.write(bytes(2**20))

    # When a process of its own reads them
    program = (
        "import sys; from pathlib import Path; from nn.datasets import idx; from nn.errors import DatasetError\n"
        "for folder in sys.argv[1:]:\n"
        "    try: idx.read_folder(Path(folder))\n"
        "    except DatasetError as error: print(error)\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    command = [sys.executable, "-c", program, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    # Then each is refused, and the process never held more than what Python and NumPy need
    *sentences, peak_kilobytes = done.stdout.splitlines()
    assert [("announces" in sentence, "goes on after" in sentence) for sentence in sentences] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert int(peak_kilobytes) < 150_000


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    # Given a data set in which bytes of one file, or of its compressed form, were changed, added or cut off
    folder = tmp_path_factory.mktemp("hostile")
    write_idx_folder(folder, compress=False)
    name = data.draw(st.sampled_from([TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS]))
    compress = data.draw(st.booleans())
    content = (folder / name).read_bytes()
    blob = bytearray(gzip.compress(content, mtime=0) if compress else content)
    for position, value in data.draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 255)), max_size=4)):
        blob[min(position, len(blob) - 1)] = value
    blob = blob[: data.draw(st.integers(0, len(blob)) | st.just(len(blob)))] + data.draw(st.binary(max_size=4))
    (folder / name).unlink()
    (folder / (f"{name}.gz" if compress else name)).write_bytes(bytes(blob))

    # When it is read, then there is a consistent data set or one of our errors
    try:
        images, labels = idx.read_folder(folder)
        is_right = len(images) == len(labels) and labels.max() < idx.N_CLASSES
    except DatasetError as error:
        is_right = name in str(error)
    assert is_right
