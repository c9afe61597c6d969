"""The cache of prepared MNIST, which can be neither trusted nor harmful: a caller gets the same bits in any case."""

import contextlib
import hashlib
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from sklearn.model_selection import train_test_split

from nn.datasets import mnist as mnist_module
from nn.datasets.mnist import MNIST_DIGEST, Dataset, load_mnist
from tests.support.datasets import same_data


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A few images in MNIST's place."""
    random = np.random.RandomState(0)
    images, labels = random.randint(0, 256, (20, 784)).astype(np.uint8), random.randint(0, 10, 20).astype(np.uint8)
    blob = safetensors.numpy.save(mnist_module._prepare(images, labels))
    monkeypatch.setattr(mnist_module, "PREPARED_BYTES", len(blob))
    monkeypatch.setattr(mnist_module, "PREPARED_SHA256", hashlib.sha256(blob).hexdigest())
    monkeypatch.setattr(mnist_module, "_read", lambda *_: (images, labels, MNIST_DIGEST))
    return load_mnist()


@pytest.fixture
def cached(small: Dataset, tmp_path: Path) -> Path:
    """The cached file, in a cache of this test's own."""
    load_mnist(cache_dir=tmp_path / "cache")
    return tmp_path / "cache" / MNIST_DIGEST[:16] / "prepared.safetensors"


def load_warm(monkeypatch: pytest.MonkeyPatch, cache_dir: Path) -> Dataset:
    """Load from a cache, and fail if the data is prepared again."""
    monkeypatch.setattr(mnist_module, "_prepare", lambda *_: pytest.fail("prepared again"))
    return load_mnist(cache_dir=cache_dir)


def test_mnist_itself_is_cached(mnist: Dataset, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert same_data(load_warm(monkeypatch, cache_dir), mnist)


def test_a_warm_load_gives_the_same_bits(cached: Path, small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    warm = load_warm(monkeypatch, cached.parent.parent)
    # What is written into the cache afterwards changes nothing
    with cached.open("r+b") as file:
        file.write(b"\xff" * cached.stat().st_size)

    assert same_data(warm, small)
    assert np.array_equal(warm.order, small.order)
    assert not warm.samples.values.flags.writeable


def test_a_linked_cache_is_one(cached: Path, small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(cached.parent.parent)
    cached.rename(tmp_path / "elsewhere")
    cached.symlink_to(tmp_path / "elsewhere")

    assert same_data(load_warm(monkeypatch, tmp_path / "link"), small)


def test_nothing_is_written_through_a_link_in_the_cache(cached: Path, small: Dataset, tmp_path: Path) -> None:
    cached.parent.rename(tmp_path / "elsewhere")
    cached.parent.symlink_to(tmp_path / "elsewhere")
    cached.write_bytes(b"mine")
    assert same_data(load_mnist(cache_dir=tmp_path / "cache"), small)
    assert cached.read_bytes() == b"mine"


@pytest.mark.parametrize("n", [2, 3, 7, 20, 21, 1000, 70_000])
def test_the_split_is_scikit_learns(n: int) -> None:
    train, validation = train_test_split(np.arange(n), test_size=0.15, random_state=42)

    assert mnist_module.validation_size(n) == len(validation)
    assert np.array_equal(mnist_module.split_order(n, len(validation), 42), [*train, *validation])


def written(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def put_instead(make: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda path: (path.unlink(), make(path))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": put_instead(lambda _: None),
    "empty": written(lambda _: b""),
    "truncated": written(lambda content: content[:-1]),
    "longer": written(lambda content: content + b"\0"),
    "bit": written(lambda content: content[:-2] + bytes([content[-2] ^ 1]) + content[-1:]),
    "header": written(lambda content: b"\xff" * 8 + content[8:]),
    "pipe": put_instead(os.mkfifo),
    "device": put_instead(lambda path: path.symlink_to("/dev/zero")),
    "loop": put_instead(lambda path: path.symlink_to(path.name)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_repaired(cached: Path, small: Dataset, damage: str) -> None:
    intact = cached.read_bytes()
    DAMAGE[damage](cached)

    assert same_data(load_mnist(cache_dir=cached.parent.parent), small)
    assert cached.read_bytes() == intact


def test_a_folder_in_the_files_place_is_not_ours_to_remove(cached: Path, small: Dataset) -> None:
    cached.unlink()
    cached.mkdir()

    assert same_data(load_mnist(cache_dir=cached.parent.parent), small)
    assert cached.is_dir()


def test_a_cache_folder_that_cannot_be_costs_no_error(small: Dataset) -> None:
    for cache_dir in (Path("a" * 5000), Path("/dev/null/deeper")):
        assert same_data(load_mnist(cache_dir=cache_dir), small)


def test_only_mnist_is_cached(small_folder: Path, tmp_path: Path) -> None:
    load_mnist(small_folder, cache_dir=tmp_path / "cache")

    assert not (tmp_path / "cache").exists()


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let the kernel refuse to write more to any file, as on a full disk. Python ignores the signal that it sends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_no_more_than_time_and_leaves_nothing(small: Dataset, tmp_path: Path) -> None:
    with no_file_larger_than(300):
        loaded = load_mnist(cache_dir=tmp_path)

    assert same_data(loaded, small)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
