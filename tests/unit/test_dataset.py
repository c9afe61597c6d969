"""MNIST from each source, its digest, its split; the folders and IDX files that are refused, each in one sentence."""

import gzip
import hashlib
import os
import stat
import struct
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from nn.datasets import idx
from nn.datasets.mnist import BUNDLED, MNIST_DIGEST, Dataset, content_digest, dataset_digest, load_mnist
from nn.errors import DatasetError
from tests.support.datasets import to_bytes
from tests.support.idx_files import TEST_IMAGES, TRAIN_IMAGES, TRAIN_LABELS, idx_bytes, write_idx, write_idx_folder
from tests.support.privileges import without_privileges

FASHION = Path("/usr/share/datasets/fashion-mnist")


def test_mnist_is_the_notebooks_arrays_bit_for_bit(mnist: Dataset) -> None:
    # Given the files, and the notebook's split of them in OpenML's order
    images, labels = idx.read_folder(BUNDLED)
    train, validation = train_test_split(np.arange(70_000), test_size=0.15, random_state=42)

    # Then the data set has these images, and says where each was before the split
    assert content_digest(images, labels) == MNIST_DIGEST == mnist.digest == dataset_digest("bundled")
    assert np.array_equal(mnist.order, np.concatenate([train, validation]))
    assert np.array_equal(images[mnist.order], np.concatenate([to_bytes(mnist.train), to_bytes(mnist.validation)]))
    for samples, rows, n in ((mnist.train, train, 59_500), (mnist.validation, validation, 10_500)):
        assert np.array_equal(samples.labels, labels[rows])
        assert samples.labels.dtype == np.int64
        # Its values are the notebook's (images / 255).astype("float32"), without the zeros
        assert samples.values.dtype == np.float32
        assert (samples.values > 0).all()
        levels = np.rint(samples.values * 255).astype(np.uint8)
        assert np.array_equal(samples.values, (np.arange(256) / 255).astype("float32")[levels])
        assert samples.indices.dtype == np.uint16
        assert (len(samples), samples.n_features, samples.n_classes) == (n, 784, 10)


def test_a_seed_draws_a_split_that_shares_the_memory(mnist: Dataset) -> None:
    drawn, held_out = mnist.split_by(7), mnist.split_by(7, slice(1000, 1300))

    # Each sample is on one side, except those held out
    assert np.array_equal(np.sort(drawn.order), np.arange(70_000))
    assert np.array_equal(np.sort(held_out.order), np.delete(np.arange(70_000), mnist.order[1000:1300]))
    assert (len(drawn.train), len(held_out.train)) == (59_500, 59_200)
    assert len(drawn.validation) == len(held_out.validation) == 10_500
    # and is what it was, in the same memory.
    labels = np.empty(70_000, np.int64)
    labels[mnist.order] = mnist.samples.labels
    for split in (drawn, held_out):
        assert np.array_equal(split.samples.labels, labels[split.order])
        assert np.shares_memory(split.train.values, mnist.samples.values)
        assert np.shares_memory(split.validation.values, mnist.samples.values)
    rows = np.argsort(mnist.order)[drawn.order[-3:]]
    assert np.array_equal(drawn.validation.to_dense()[-3:], mnist.samples.rows(rows).to_dense())
    # It is the same everywhere, and neither that of another seed nor an order in which the seed trains.
    assert hashlib.sha256(drawn.order.astype("<i8")).hexdigest() == (
        "398b12549109ee1ca07e6aa7d5c2f06bb0d18818b560d6b069dafc68c77ace3d"
    )
    for other in (mnist.split_by(8).order, np.random.RandomState(7).permutation(70_000)):
        assert np.mean(np.isin(other[-10_500:], drawn.order[-10_500:])) == pytest.approx(0.15, abs=0.02)


def test_digest_names_content_not_container(small_folder: Path, tmp_path: Path) -> None:
    write_idx_folder(tmp_path / "plain", compress=False)
    write_idx_folder(tmp_path / "other", train=13)

    assert dataset_digest(small_folder) == dataset_digest(tmp_path / "plain") == load_mnist(small_folder).digest
    assert dataset_digest(small_folder) != dataset_digest(tmp_path / "other")
    assert load_mnist(small_folder).source == str(small_folder)


def test_bundled_files_are_verified(monkeypatch: pytest.MonkeyPatch, small_folder: Path) -> None:
    monkeypatch.setattr("nn.datasets.mnist.BUNDLED", small_folder)

    with pytest.raises(
        DatasetError, match=f"is not MNIST: its digest is {dataset_digest(small_folder)}; expected {MNIST_DIGEST}"
    ):
        load_mnist()


@pytest.mark.parametrize(
    "source",
    [
        *("no-such-folder", "", "mnist", "/dev/null", "loop", "loop/deeper", "a\0b"),
        *("a" * 5000, "a" * 300, "a/" * 3000 + "b"),
    ],
)
def test_a_source_that_leads_nowhere_is_refused_with_what_is_allowed(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")

    for ask in (load_mnist, dataset_digest):
        with pytest.raises(DatasetError, match="'bundled', 'openml', or a folder"):
            ask(source)


def test_a_folder_that_may_not_be_read_is_refused_for_that_reason(small_folder: Path) -> None:
    (small_folder / "deeper").mkdir()
    small_folder.chmod(0)
    try:
        for source in (small_folder, small_folder / "deeper"):
            with without_privileges(), pytest.raises(DatasetError, match="cannot be read: Permission denied"):
                load_mnist(source)
    finally:
        small_folder.chmod(0o755)


@pytest.mark.parametrize(("name", "ending"), [(TRAIN_IMAGES, ""), (TRAIN_LABELS, ".gz")])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder", "dangling"])
def test_what_is_no_file_is_a_missing_one(small_folder: Path, name: str, ending: str, kind: str) -> None:
    (small_folder / f"{name}.gz").unlink()
    path = small_folder / f"{name}{ending}"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "nowhere")

    for ask in (load_mnist, dataset_digest):
        with pytest.raises(DatasetError, match=rf"has no file {name} or {name}\.gz"):
            ask(small_folder)


def test_the_name_of_the_notebooks_source_means_the_bundled_copy(mnist: Dataset) -> None:
    assert load_mnist("openml").digest == dataset_digest("openml") == mnist.digest


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
