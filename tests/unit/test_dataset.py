"""MNIST from each source, its digest, its split, and the folders that are refused."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from nn.datasets import idx
from nn.datasets.mnist import BUNDLED, MNIST_DIGEST, Dataset, content_digest, dataset_digest, load_mnist
from nn.errors import DatasetError
from tests.support.datasets import pixels, same_data
from tests.support.idx_files import TRAIN_IMAGES, TRAIN_LABELS, idx_bytes, write_idx, write_idx_folder
from tests.support.privileges import without_privileges


def test_pinned_digest_is_that_of_the_files(mnist: Dataset) -> None:
    assert content_digest(*idx.read_folder(BUNDLED)) == MNIST_DIGEST == mnist.digest == dataset_digest("bundled")


def test_split_and_values_are_the_notebooks(mnist: Dataset) -> None:
    # Given the notebook's own lines, on the images in OpenML's order
    images, labels = idx.read_folder(BUNDLED)
    x = (images.astype(np.float64) / 255).astype("float32")
    x_train, x_validation, y_train, y_validation = train_test_split(x, labels, test_size=0.15, random_state=42)

    # Then the data set has their four arrays, bit for bit
    assert mnist.train.to_dense().shape == (59_500, 784)
    assert mnist.x_validation.shape == (10_500, 784)
    for ours, theirs in (
        (mnist.train.to_dense(), x_train),
        (mnist.x_validation, x_validation),
        (mnist.train.labels, y_train),
        (mnist.y_validation, y_validation),
    ):
        assert np.array_equal(ours, theirs)
    assert mnist.train.values.dtype == np.float32
    assert mnist.train.labels.dtype == np.int64
    # And it says where each image was before the split
    assert np.array_equal(images[mnist.order], pixels(mnist))


def test_samples_are_packed_and_know_all_classes(mnist: Dataset) -> None:
    assert mnist.train.indices.dtype == np.uint16
    assert mnist.train.values.dtype == np.float32
    assert (mnist.train.values > 0).all()
    assert mnist.n_classes == mnist.train.first(1).n_classes == 10


def test_each_pixel_value_survives_packing(tmp_path: Path) -> None:
    write_idx(tmp_path, TRAIN_IMAGES, idx_bytes(np.arange(256).reshape(1, 16, 16)))
    write_idx(tmp_path, TRAIN_LABELS, idx_bytes(np.array([3])))
    shutil.copy(tmp_path / f"{TRAIN_IMAGES}.gz", tmp_path / "t10k-images-idx3-ubyte.gz")
    shutil.copy(tmp_path / f"{TRAIN_LABELS}.gz", tmp_path / "t10k-labels-idx1-ubyte.gz")

    data = load_mnist(tmp_path)

    assert np.array_equal(pixels(data), np.tile(np.arange(256), (2, 1)))


def test_digest_names_content_not_container(small_folder: Path, tmp_path: Path) -> None:
    write_idx_folder(tmp_path / "plain", compress=False)
    write_idx_folder(tmp_path / "other", train=13)

    assert dataset_digest(small_folder) == dataset_digest(tmp_path / "plain") == load_mnist(small_folder).digest
    assert dataset_digest(small_folder) != dataset_digest(tmp_path / "other")
    assert load_mnist(small_folder).source == str(small_folder)


def test_mnist_in_a_folder_is_mnist(cache_dir: Path, mnist: Dataset) -> None:
    assert same_data(load_mnist(BUNDLED, cache_dir=cache_dir), mnist)


def test_bundled_files_are_verified(monkeypatch: pytest.MonkeyPatch, small_folder: Path) -> None:
    monkeypatch.setattr("nn.datasets.mnist.BUNDLED", small_folder)

    with pytest.raises(
        DatasetError, match=f"is not MNIST: its digest is {dataset_digest(small_folder)}; expected {MNIST_DIGEST}"
    ):
        load_mnist()


@pytest.mark.parametrize("source", ["no-such-folder", "", "mnist"])
def test_unknown_source_is_refused_with_what_is_allowed(source: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DatasetError, match="'bundled', 'openml', or a folder"):
        load_mnist(source)


@pytest.mark.parametrize(
    "source", ["a" * 5000, "a" * 300, "a/" * 3000 + "b", "loop", "loop/deeper", "a\0b", "/dev/null"]
)
def test_a_path_that_leads_nowhere_is_refused(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder", "dangling"])
def test_what_is_no_file_is_a_missing_one(
    small_folder: Path, name: str, ending: str, kind: str, short_path: Path
) -> None:
    (small_folder / f"{name}.gz").unlink()
    path = small_folder / f"{name}{ending}"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(short_path / "s"))
        path.symlink_to(short_path / "s")
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "nowhere")

    for ask in (load_mnist, dataset_digest):
        with pytest.raises(DatasetError, match=rf"has no file {name} or {name}\.gz"):
            ask(small_folder)


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(small_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (small_folder / f"{TRAIN_IMAGES}.gz").unlink()
    os.mkfifo(small_folder / TRAIN_IMAGES)
    monkeypatch.setattr(Path, "is_file", lambda _: True)

    with pytest.raises(DatasetError, match=f"{TRAIN_IMAGES} cannot be read: Not a regular file"):
        load_mnist(small_folder)


def test_a_cache_folder_that_cannot_be_costs_no_error(small_folder: Path) -> None:
    for cache_dir in (Path("a" * 5000), Path("/dev/null/deeper")):
        assert load_mnist(small_folder, cache_dir=cache_dir).digest == load_mnist(small_folder).digest
        with pytest.raises(DatasetError, match="cannot be fetched"):
            load_mnist("openml", cache_dir=cache_dir)


def test_one_image_cannot_be_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "read_folder", lambda _: (np.zeros((1, 4), np.uint8), np.zeros(1, np.uint8)))

    with pytest.raises(DatasetError, match="has 1 image; expected at least 2"):
        load_mnist(BUNDLED)
