"""The cache of a prepared data set, which can be neither trusted nor harmful.

A caller must get the same bits whatever state it is in.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from nn.datasets import cache as array_cache
from nn.datasets import mnist as mnist_module
from nn.datasets.mnist import Dataset, dataset_digest, load_mnist
from tests.support.datasets import same_data
from tests.support.idx_files import write_idx_folder

#: What is stored of a data set, by the name of its file, and the arrays in it.
Files = dict[str, bytes]
Arrays = dict[str, NDArray[Any]]
Check = Callable[[], bool]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty small images: what is tested on them holds for any data set."""
    made = tmp_path_factory.mktemp("source") / "idx"
    write_idx_folder(made)
    return made


@pytest.fixture(scope="module")
def fresh(folder: Path) -> Dataset:
    """The data set, prepared without a cache."""
    return load_mnist(folder)


@pytest.fixture(scope="module")
def intact(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """What the cache of the data set holds."""
    return stored(cache_of(folder, tmp_path_factory.mktemp("intact")))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of another data set."""
    made = tmp_path_factory.mktemp("other")
    write_idx_folder(made / "idx", train=13)
    return cache_of(made / "idx", made / "cache")


@pytest.fixture
def cached(intact: Files, fresh: Dataset, tmp_path: Path) -> Path:
    """The folder of the prepared data set in a cache of this test's own."""
    made = tmp_path / "cache" / fresh.digest[:16]
    made.mkdir(parents=True)
    for name, content in intact.items():
        (made / name).write_bytes(content)
    return made


def cache_of(source: Path, cache_dir: Path) -> Path:
    return cache_dir / load_mnist(source, cache_dir=cache_dir).digest[:16]


def stored(cached: Path) -> Files:
    return {path.name: path.read_bytes() for path in cached.iterdir()}


def arrays_of(cached: Path) -> Arrays:
    return {path.stem: np.load(path) for path in cached.glob("*.npy")}


@pytest.fixture
def is_replaced(folder: Path, cached: Path, fresh: Dataset, intact: Files) -> Check:
    """Whether loading gives the right data, whatever the cache holds, and leaves the cache whole."""

    def check() -> bool:
        return same_data(load_mnist(folder, cache_dir=cached.parent), fresh) and stored(cached) == intact

    return check


def test_warm_load_gives_the_same_bits(
    folder: Path, cached: Path, fresh: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_cache, "save", lambda *_: pytest.fail("built again"))

    warm = load_mnist(folder, cache_dir=cached.parent)

    assert same_data(warm, fresh)
    assert np.array_equal(warm.order, fresh.order)
    assert not warm.train.values.flags.writeable
    # What is written into the cache afterwards changes nothing.
    for path in cached.glob("*.npy"):
        with path.open("r+b") as file:
            file.write(b"\xff" * path.stat().st_size)
    assert same_data(warm, fresh)


def test_a_linked_cache_is_one(folder: Path, cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(cached.parent)
    for path in list(cached.iterdir()):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    monkeypatch.setattr(array_cache, "save", lambda *_: pytest.fail("built again"))

    load_mnist(folder, cache_dir=tmp_path / "link")


@pytest.mark.parametrize("n", [2, 3, 7, 20, 21, 1000, 70_000])
def test_the_split_is_scikit_learns(n: int) -> None:
    train, validation = train_test_split(np.arange(n), test_size=0.15, random_state=42)

    expected = mnist_module._expected_split(n)
    assert [part.tolist() for part in expected] == [train.tolist(), validation.tolist()]


def written(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], object]:
    return lambda path, _: path.write_bytes(change(path.read_bytes()))


def put_instead(make: Callable[[Path], object]) -> Callable[[Path, Path], object]:
    return lambda path, _: (path.unlink(), make(path))


DAMAGE: dict[str, Callable[[Path, Path], object]] = {
    "missing": put_instead(lambda _: None),
    "empty": written(lambda _: b""),
    "truncated": written(lambda content: content[:-1]),
    "bit": written(lambda content: content[:-2] + bytes([content[-2] ^ 1]) + content[-1:]),
    "foreign": lambda path, foreign: shutil.copy(foreign / path.name, path),
    "pipe": put_instead(os.mkfifo),
    "device": put_instead(lambda path: path.symlink_to("/dev/zero")),
    "loop": put_instead(lambda path: path.symlink_to(path.name)),
}


NAMES = ("train_values.npy", "order.npy", "validation_indices.npy", "manifest.json")


@pytest.mark.parametrize(("name", "damage"), [(name, damage) for name in NAMES for damage in DAMAGE])
def test_damage_is_found_and_repaired(cached: Path, foreign: Path, is_replaced: Check, name: str, damage: str) -> None:
    DAMAGE[damage](cached / name, foreign)

    assert is_replaced()


@pytest.mark.parametrize("name", ["order.npy", "manifest.json"])
def test_a_folder_in_a_files_place_is_not_ours_to_remove(folder: Path, cached: Path, fresh: Dataset, name: str) -> None:
    (cached / name).unlink()
    (cached / name).mkdir()

    assert same_data(load_mnist(folder, cache_dir=cached.parent), fresh)
    assert (cached / name).is_dir()


def test_a_cache_of_another_data_set_is_not_taken(cached: Path, foreign: Path, is_replaced: Check) -> None:
    shutil.copytree(foreign, cached, dirs_exist_ok=True)

    assert is_replaced()


def test_pickled_arrays_are_not_opened(cached: Path, tmp_path: Path, is_replaced: Check) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    np.save(cached / "order.npy", np.array([Bomb()], dtype=object), allow_pickle=True)

    assert is_replaced()
    assert not (tmp_path / "exploded").exists()


def npz_bytes() -> bytes:
    content = io.BytesIO()
    np.savez(content, a=np.arange(3))
    return content.getvalue()


def npy_bytes(header: str) -> bytes:
    """Return the start of an `.npy` file with any header, and room for twenty numbers."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(160)


HOSTILE_SHAPES = ["(-5,)", "(2**62,)", "(4611686018427387904,)", "(4611686018427387904,) * 2", "(True,)", "()", "20"]


def with_length(length: object) -> Callable[[Any], object]:
    return lambda manifest: manifest | {"lengths": manifest["lengths"] | {"order": length}}


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 but no archive",
        npz_bytes(),
        *map(npy_bytes, ["-" * 9000 + "1", "(" * 9000, "(" * 150 + ")" * 150, "\0", "{}", "\xff" * 16]),
        *(npy_bytes(f"{{'descr':'<i8','fortran_order':False,'shape':{shape}}}") for shape in HOSTILE_SHAPES),
        npy_bytes("{'descr':'|O','fortran_order':False,'shape':(20,)}"),
        npy_bytes("{'descr':[('a','<i8',10000000000)],'fortran_order':False,'shape':(20,)}"),
    ],
)
def test_a_forged_array_is_replaced(cached: Path, is_replaced: Check, content: bytes) -> None:
    (cached / "order.npy").write_bytes(content)

    assert is_replaced()


@pytest.mark.parametrize("content", [b"[" * 50_000, b" " * 10_000_000, b"9" * 5000, b'"key"', b"\xff"])
def test_a_manifest_that_is_none_is_replaced(cached: Path, is_replaced: Check, content: bytes) -> None:
    (cached / "manifest.json").write_bytes(content)

    assert is_replaced()


@pytest.mark.parametrize(
    "forge",
    [
        lambda manifest: {"key": manifest["key"]},
        lambda manifest: manifest | {"lengths": list(manifest["lengths"])},
        *map(with_length, [None, [], [20], [20, 1], 20.0, "20", -20, 2**62, 10**400, {"20": 20}]),
    ],
)
def test_a_forged_manifest_is_replaced(cached: Path, is_replaced: Check, forge: Callable[[Any], object]) -> None:
    path = cached / "manifest.json"
    path.write_text(json.dumps(forge(json.loads(path.read_bytes()))))

    assert is_replaced()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        # No data set of ours
        ("n_features", lambda kept: kept[:0]),
        ("n_features", lambda _: np.array(16)),
        ("n_features", lambda _: np.array([np.nan])),
        ("n_features", lambda _: np.array([0])),
        ("n_features", lambda _: np.array([2**40])),
        ("train_labels", lambda kept: np.array(["a"] * len(kept))),
        ("train_labels", lambda kept: kept.reshape(-1, 1)),
        ("train_labels", lambda kept: kept.astype(np.int32)),
        ("train_labels", lambda kept: np.full_like(kept, 2**40)),
        ("train_labels", lambda kept: np.full_like(kept, -1)),
        ("train_labels", lambda kept: kept[:-1]),
        ("train_labels", lambda kept: kept[:0]),
        ("train_indices", lambda kept: np.full_like(kept, 2**16 - 1)),
        ("train_indices", lambda kept: kept[:-1]),
        ("train_values", lambda kept: np.full_like(kept, np.nan)),
        ("train_values", lambda kept: kept * 2),
        ("train_values", lambda kept: -kept),
        ("train_values", lambda kept: kept[:-1]),
        ("train_indptr", lambda kept: kept + 1),
        ("train_indptr", lambda kept: kept[np.r_[0, 2, 1, 3 : len(kept)]]),
        ("train_indptr", lambda kept: kept[:0]),
        ("order", lambda kept: np.zeros_like(kept)),
        ("order", lambda kept: kept[:-1]),
        # Another data set: its labels, pixels or split
        ("train_labels", lambda kept: np.where(kept == 1, 7, np.where(kept == 7, 1, kept))),
        ("train_labels", lambda kept: kept[::-1].copy()),
        ("train_values", lambda kept: kept[::-1].copy()),
        ("train_values", lambda kept: np.nextafter(kept, np.float32(0))),
        ("train_values", lambda kept: np.where(np.arange(len(kept)) == 0, np.float32(0), kept)),
        ("order", lambda kept: kept[::-1].copy()),
    ],
)
def test_other_arrays_under_the_same_digest_are_replaced(
    cached: Path, fresh: Dataset, is_replaced: Check, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    # Given a cache whose writer changed one array, and did all else right
    kept = arrays_of(cached)
    changed = change(kept[name])
    assert changed.shape != kept[name].shape or changed.dtype != kept[name].dtype or (changed != kept[name]).any()
    array_cache.save(cached, fresh.digest, kept | {name: changed})

    assert is_replaced()


def with_a_second_entry_of_one_pixel(kept: Arrays) -> Arrays:
    """Return the same images, but for one that has a pixel twice: it would be trained twice."""
    row = int(np.flatnonzero(np.diff(kept["train_indptr"]))[0])
    at = int(kept["train_indptr"][row])
    twice = {name: np.insert(kept[name], at, kept[name][at]) for name in ("train_indices", "train_values")}
    return twice | {"train_indptr": kept["train_indptr"] + (np.arange(len(kept["train_indptr"])) > row)}


def with_another_boundary(kept: Arrays) -> Arrays:
    """Return the same images in the same order: five are to train on, and the others to validate with."""
    entries = int(kept["train_indptr"][5])
    following = np.concatenate([kept["train_indptr"][5:], kept["train_indptr"][-1] + kept["validation_indptr"][1:]])
    moved = {"train_indptr": kept["train_indptr"][:6], "validation_indptr": following - entries}
    for part, n in (("labels", 5), ("indices", entries), ("values", entries)):
        train, validation = kept[f"train_{part}"], kept[f"validation_{part}"]
        moved |= {f"train_{part}": train[:n], f"validation_{part}": np.concatenate([train[n:], validation])}
    return moved


@pytest.mark.parametrize("change", [with_a_second_entry_of_one_pixel, with_another_boundary])
def test_other_samples_of_the_same_images_are_replaced(
    cached: Path, fresh: Dataset, is_replaced: Check, change: Callable[[Arrays], Arrays]
) -> None:
    kept = arrays_of(cached)
    array_cache.save(cached, fresh.digest, kept | change(kept))

    assert is_replaced()


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let the kernel refuse to write more to any file, as on a full disk. Python ignores the signal that it sends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_costs_no_more_than_time_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    with no_file_larger_than(300):
        loaded = load_mnist(folder, cache_dir=tmp_path)

    assert loaded.digest == dataset_digest(folder)
    assert all(path.stat().st_size <= 300 for path in tmp_path.rglob("*.npy"))
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("manifest.json"))


def test_concurrent_writers_are_harmless(folder: Path, fresh: Dataset, intact: Files, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: load_mnist(folder, cache_dir=tmp_path), range(24)))

    assert all(same_data(each, fresh) for each in loaded)
    assert stored(tmp_path / fresh.digest[:16]) == intact


def test_remains_of_a_killed_writer_are_removed_once_they_are_old(folder: Path, cached: Path) -> None:
    old, new = (cached / f".order.npy.{digit * 32}.tmp" for digit in "12")
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    (cached / "manifest.json").unlink()

    load_mnist(folder, cache_dir=cached.parent)

    assert not old.exists()
    assert new.exists()


def test_mnists_prepared_arrays_have_the_known_digest(cache_dir: Path, mnist: Dataset) -> None:
    arrays = array_cache.load(cache_dir / mnist.digest[:16], mnist.digest, mnist_module._ARRAYS)

    assert arrays is not None
    assert mnist_module.arrays_digest(arrays) == mnist_module.PREPARED_MNIST_DIGEST
    # The general check agrees.
    assert mnist_module._content(mnist)[0].shape == (70_000, 784)
    assert mnist_module.content_digest(*mnist_module._content(mnist)) == mnist.digest
