"""The cache of a prepared data set, which can be neither trusted nor harmful.

A caller must get the same bits whatever state it is in.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
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


def npz_bytes() -> bytes:
    content = io.BytesIO()
    np.savez(content, a=np.arange(3))
    return content.getvalue()


def npy_bytes(header: str) -> bytes:
    """Return the start of an `.npy` file with any header, and room for twenty numbers."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(160)


HOSTILE_SHAPES = ["(-5,)", "(2**62,)", "(4611686018427387904,)", "(4611686018427387904,) * 2", "(True,)", "()", "20"]


@pytest.fixture
def fresh(small_folder: Path) -> Dataset:
    return load_mnist(small_folder)


@pytest.fixture
def cached(small_folder: Path, tmp_path: Path) -> Path:
    """The small_folder of the prepared data set."""
    return tmp_path / "cache" / load_mnist(small_folder, cache_dir=tmp_path / "cache").digest[:16]


def test_warm_load_gives_the_same_bits(small_folder: Path, cached: Path, fresh: Dataset) -> None:
    warm = load_mnist(small_folder, cache_dir=cached.parent)

    assert same_data(warm, fresh)
    assert np.array_equal(warm.order, fresh.order)
    assert not warm.train.values.flags.writeable


def test_what_is_written_into_the_cache_after_a_load_changes_nothing(
    small_folder: Path, cached: Path, fresh: Dataset
) -> None:
    warm = load_mnist(small_folder, cache_dir=cached.parent)
    for path in cached.glob("*.npy"):
        with path.open("r+b") as file:
            file.write(b"\xff" * path.stat().st_size)

    assert same_data(warm, fresh)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("train_labels", lambda kept: np.where(kept == 1, 7, np.where(kept == 7, 1, kept))),
        ("train_labels", lambda kept: kept[::-1].copy()),
        ("train_values", lambda kept: kept[::-1].copy()),
        ("train_values", lambda kept: np.nextafter(kept, np.float32(0))),
        ("train_values", lambda kept: np.where(np.arange(len(kept)) == 0, np.float32(0), kept)),
        ("order", lambda kept: kept[::-1].copy()),
    ],
)
def test_another_data_set_under_the_same_digest_is_not_taken(
    small_folder: Path, cached: Path, fresh: Dataset, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    # Given a cache whose writer changed labels, pixels or the split, and did all else right
    kept = {path.stem: np.load(path) for path in cached.glob("*.npy")}
    changed = change(kept[name]).astype(kept[name].dtype)
    assert not np.array_equal(changed, kept[name])
    array_cache.save(cached, fresh.digest, kept | {name: changed})

    assert same_data(load_mnist(small_folder, cache_dir=cached.parent), fresh)
    assert np.array_equal(np.load(cached / f"{name}.npy"), kept[name])


def test_a_second_entry_of_one_pixel_is_not_taken(small_folder: Path, cached: Path, fresh: Dataset) -> None:
    # Given the same images, of which one has a pixel twice: it would be trained twice
    kept = {path.stem: np.load(path) for path in cached.glob("*.npy")}
    row = int(np.flatnonzero(np.diff(kept["train_indptr"]))[0])
    at = int(kept["train_indptr"][row])
    twice = {name: np.insert(kept[name], at, kept[name][at]) for name in ("train_indices", "train_values")}
    indptr = kept["train_indptr"] + (np.arange(len(kept["train_indptr"])) > row)
    array_cache.save(cached, fresh.digest, kept | twice | {"train_indptr": indptr})

    assert same_data(load_mnist(small_folder, cache_dir=cached.parent), fresh)


@pytest.mark.parametrize("n", [2, 3, 7, 20, 21, 1000, 70_000])
def test_the_split_is_scikit_learns(n: int) -> None:
    train, validation = train_test_split(np.arange(n), test_size=0.15, random_state=42)

    expected = mnist_module._expected_split(n)
    assert [part.tolist() for part in expected] == [train.tolist(), validation.tolist()]


def test_another_boundary_of_the_split_is_not_taken(small_folder: Path, cached: Path, fresh: Dataset) -> None:
    # Given the same images in the same order, of which five are to train on and the others to validate with
    kept = {path.stem: np.load(path) for path in cached.glob("*.npy")}
    entries = int(kept["train_indptr"][5])
    moved = {
        "train_indptr": kept["train_indptr"][:6],
        "validation_indptr": np.concatenate(
            [kept["train_indptr"][5:], kept["train_indptr"][-1] + kept["validation_indptr"][1:]]
        )
        - entries,
        "train_labels": kept["train_labels"][:5],
        "validation_labels": np.concatenate([kept["train_labels"][5:], kept["validation_labels"]]),
    }
    for part in ("indices", "values"):
        moved[f"train_{part}"] = kept[f"train_{part}"][:entries]
        moved[f"validation_{part}"] = np.concatenate([kept[f"train_{part}"][entries:], kept[f"validation_{part}"]])
    array_cache.save(cached, fresh.digest, kept | moved)

    assert same_data(load_mnist(small_folder, cache_dir=cached.parent), fresh)


@pytest.mark.process
def test_warm_load_needs_no_scikit_learn(cache_dir: Path, mnist: Dataset) -> None:
    program = (
        "import sys; from pathlib import Path; from nn.datasets.mnist import load_mnist\n"
        "print(load_mnist(cache_dir=Path(sys.argv[1])).digest, 'sklearn' in sys.modules, 'scipy' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(cache_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.split() == [mnist.digest, "False", "False"]


@pytest.mark.parametrize("name", ["train_values.npy", "order.npy", "validation_indices.npy", "manifest.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "bit", "foreign", "folder"])
def test_damage_is_found_and_repaired(
    small_folder: Path, cached: Path, fresh: Dataset, name: str, damage: str, tmp_path: Path
) -> None:
    # Given a cache in which one file is not what it was
    path = cached / name
    intact = path.read_bytes()
    write_idx_folder(tmp_path / "other", train=13)
    other = tmp_path / "other-cache" / load_mnist(tmp_path / "other", cache_dir=tmp_path / "other-cache").digest[:16]
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        contents = {
            "empty": b"",
            "truncated": intact[:-1],
            "bit": intact[:-2] + bytes([intact[-2] ^ 1]) + intact[-1:],
            "foreign": (other / name).read_bytes(),
        }
        path.write_bytes(contents[damage])

    # Then loading gives the right data all the same
    assert same_data(load_mnist(small_folder, cache_dir=cached.parent), fresh)
    # And the cache is whole again, unless something stands in its place that is not ours to remove
    if damage != "folder":
        assert path.read_bytes() == intact


def test_a_cache_of_another_data_set_is_not_taken(
    small_folder: Path, cached: Path, fresh: Dataset, tmp_path: Path
) -> None:
    write_idx_folder(tmp_path / "other", train=13)
    digest = load_mnist(tmp_path / "other", cache_dir=cached.parent).digest
    shutil.rmtree(cached)
    (cached.parent / digest[:16]).rename(cached)

    assert same_data(load_mnist(small_folder, cache_dir=cached.parent), fresh)


def test_pickled_arrays_are_not_opened(small_folder: Path, cached: Path, fresh: Dataset) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(cached / "exploded"),)

    np.save(cached / "order.npy", np.array([Bomb()], dtype=object), allow_pickle=True)

    assert same_data(load_mnist(small_folder, cache_dir=cached.parent), fresh)
    assert not (cached / "exploded").exists()


@pytest.mark.parametrize("name", ["order.npy", "manifest.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "loop"])
def test_what_never_ends_is_replaced(small_folder: Path, cached: Path, fresh: Dataset, name: str, kind: str) -> None:
    path = cached / name
    intact = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else name)

    assert same_data(load_mnist(small_folder, cache_dir=cached.parent), fresh)
    assert path.read_bytes() == intact


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
def test_a_forged_array_is_replaced(small_folder: Path, cached: Path, fresh: Dataset, content: bytes) -> None:
    intact = (cached / "order.npy").read_bytes()
    (cached / "order.npy").write_bytes(content)

    assert same_data(load_mnist(small_folder, cache_dir=cached.parent), fresh)
    assert (cached / "order.npy").read_bytes() == intact


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: b"[" * 50_000,
        lambda _: b" " * 10_000_000,
        lambda _: b"9" * 5000,
        lambda _: b'"key"',
        lambda _: b"\xff",
        lambda manifest: json.dumps({"key": manifest["key"]}).encode(),
        lambda manifest: json.dumps({"key": manifest["key"], "lengths": list(manifest["lengths"])}).encode(),
        *(
            lambda manifest, length=length: json.dumps(
                manifest | {"lengths": manifest["lengths"] | {"order": length}}
            ).encode()
            for length in [None, [], [20], [20, 1], 20.0, "20", -20, 2**62, 10**400, {"20": 20}]
        ),
    ],
)
def test_a_forged_manifest_is_replaced(
    small_folder: Path, cached: Path, fresh: Dataset, forge: Callable[[Any], bytes]
) -> None:
    intact = (cached / "manifest.json").read_bytes()
    (cached / "manifest.json").write_bytes(forge(json.loads(intact)))

    assert same_data(load_mnist(small_folder, cache_dir=cached.parent), fresh)
    assert (cached / "manifest.json").read_bytes() == intact


@pytest.mark.parametrize(
    ("name", "change"),
    [
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
    ],
)
def test_arrays_that_are_no_data_set_are_replaced(
    small_folder: Path, cached: Path, fresh: Dataset, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    # Given a cache in which one array was changed, and the manifest with it
    kept = {path.stem: np.load(path) for path in cached.glob("*.npy")}
    array_cache.save(cached, fresh.digest, kept | {name: change(kept[name])})

    # Then loading gives the right data all the same, and keeps it
    assert same_data(load_mnist(small_folder, cache_dir=cached.parent), fresh)
    assert np.array_equal(np.load(cached / f"{name}.npy"), kept[name])


def test_a_linked_cache_is_one(small_folder: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = cached.parent.parent / "link"
    link.symlink_to(cached.parent)
    for path in list(cached.iterdir()):
        path.rename(path.parent.parent / path.name)
        path.symlink_to(path.parent.parent / path.name)
    monkeypatch.setattr(array_cache, "save", lambda *_: pytest.fail("built again"))

    load_mnist(small_folder, cache_dir=link)


def test_cache_folder_that_cannot_be_made_costs_no_more_than_time(
    small_folder: Path, fresh: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("a file where the small_folder should be")

    assert same_data(load_mnist(small_folder, cache_dir=tmp_path / "file" / "cache"), fresh)


@pytest.mark.process
def test_full_disk_costs_no_more_than_time_and_leaves_nothing(small_folder: Path, tmp_path: Path) -> None:
    # Given a process that may not write files of more than 300 bytes: the kernel then answers as a full disk does
    program = (
        "import resource, signal, sys; from pathlib import Path; from nn.datasets.mnist import load_mnist\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        "print(load_mnist(Path(sys.argv[1]), cache_dir=Path(sys.argv[2])).digest)"
    )
    command = [sys.executable, "-B", "-c", program, str(small_folder), str(tmp_path / "cache")]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == dataset_digest(small_folder)
    assert not list((tmp_path / "cache").rglob("*.tmp"))


@pytest.mark.process
def test_concurrent_writers_are_harmless(small_folder: Path, fresh: Dataset, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from nn.datasets.mnist import load_mnist\n"
        "print(load_mnist(Path(sys.argv[1]), cache_dir=Path(sys.argv[2])).digest)"
    )
    command = [sys.executable, "-c", program, str(small_folder), str(tmp_path / "cache")]
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(subprocess.run, command, capture_output=True, text=True, check=True) for _ in range(4)]

    assert {run.result().stdout.strip() for run in runs} == {fresh.digest}
    written = tmp_path / "cache" / fresh.digest[:16]
    dtypes = {path.stem: np.load(path).dtype for path in written.glob("*.npy")}
    assert array_cache.load(written, fresh.digest, dtypes) is not None
    assert not list(written.glob(".*"))


def test_remains_of_a_killed_writer_are_removed_once_they_are_old(small_folder: Path, cached: Path) -> None:
    old, new = (cached / f".order.npy.{digit * 32}.tmp" for digit in "12")
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    (cached / "manifest.json").unlink()

    load_mnist(small_folder, cache_dir=cached.parent)

    assert not old.exists()
    assert new.exists()


def test_mnists_prepared_arrays_have_the_known_digest(cache_dir: Path, mnist: Dataset) -> None:
    arrays = array_cache.load(cache_dir / mnist.digest[:16], mnist.digest, mnist_module._ARRAYS)

    assert arrays is not None
    assert mnist_module.arrays_digest(arrays) == mnist_module.PREPARED_MNIST_DIGEST
    # The general check agrees.
    assert mnist_module._content(mnist)[0].shape == (70_000, 784)
    assert mnist_module.content_digest(*mnist_module._content(mnist)) == mnist.digest
