"""MNIST from each source, its digest, its split, and the cache that can be neither trusted nor harmful."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from nn.datasets import cache as array_cache
from nn.datasets import idx
from nn.datasets.mnist import BUNDLED, MNIST_DIGEST, Dataset, content_digest, dataset_digest, load_mnist
from nn.errors import DatasetError
from nn.samples import Samples
from tests.support.idx_files import TRAIN_IMAGES, TRAIN_LABELS, idx_bytes, write_idx, write_idx_folder
from tests.support.openml_cache import write_openml_cache
from tests.support.pixels import to_bytes
from tests.support.privileges import without_privileges

#: Images as bytes, and their labels.
Some = tuple[NDArray[np.uint8], NDArray[np.uint8]]
PARTS = ("indptr", "indices", "values", "labels")


def same_bits(a: Samples, b: Samples) -> bool:
    pairs = [(getattr(a, part), getattr(b, part)) for part in PARTS]
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs)


def same_data(a: Dataset, b: Dataset) -> bool:
    return same_bits(a.train, b.train) and same_bits(a.validation, b.validation) and a.digest == b.digest


def pixels(data: Dataset) -> NDArray[np.uint8]:
    """Return all images as bytes, those to train on first."""
    return np.concatenate([to_bytes(data.train), to_bytes(data.validation)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty small images: what is tested on it holds for any data set."""
    write_idx_folder(tmp_path / "idx")
    return tmp_path / "idx"


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


def test_digest_names_content_not_container(folder: Path, tmp_path: Path) -> None:
    write_idx_folder(tmp_path / "plain", compress=False)
    write_idx_folder(tmp_path / "other", train=13)

    assert dataset_digest(folder) == dataset_digest(tmp_path / "plain") == load_mnist(folder).digest
    assert dataset_digest(folder) != dataset_digest(tmp_path / "other")
    assert load_mnist(folder).source == str(folder)


def test_mnist_in_a_folder_is_mnist(cache_dir: Path, mnist: Dataset) -> None:
    assert same_data(load_mnist(BUNDLED, cache_dir=cache_dir), mnist)


def test_bundled_files_are_verified(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("nn.datasets.mnist.BUNDLED", folder)

    with pytest.raises(
        DatasetError, match=f"is not MNIST: its digest is {dataset_digest(folder)}; expected {MNIST_DIGEST}"
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


def test_a_folder_that_may_not_be_read_is_refused_for_that_reason(folder: Path) -> None:
    (folder / "deeper").mkdir()
    folder.chmod(0)
    try:
        for source in (folder, folder / "deeper"):
            with without_privileges(), pytest.raises(DatasetError, match="cannot be read: Permission denied"):
                load_mnist(source)
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder", "dangling"])
def test_what_is_no_file_is_a_missing_one(folder: Path, name: str, ending: str, kind: str, short_path: Path) -> None:
    (folder / f"{name}.gz").unlink()
    path = folder / f"{name}{ending}"
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
            ask(folder)


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / f"{TRAIN_IMAGES}.gz").unlink()
    os.mkfifo(folder / TRAIN_IMAGES)
    monkeypatch.setattr(Path, "is_file", lambda _: True)

    with pytest.raises(DatasetError, match=f"{TRAIN_IMAGES} cannot be read: Not a regular file"):
        load_mnist(folder)


def test_a_cache_folder_that_cannot_be_costs_no_error(folder: Path) -> None:
    for cache_dir in (Path("a" * 5000), Path("/dev/null/deeper")):
        assert load_mnist(folder, cache_dir=cache_dir).digest == load_mnist(folder).digest
        with pytest.raises(DatasetError, match="cannot be fetched"):
            load_mnist("openml", cache_dir=cache_dir)


def write_packed(folder: Path, n: int, pixel: int) -> None:
    """Write n training images of 256 x 256 equal pixels, which take a thousandth of that on disk, and a test image."""
    write_idx_folder(folder, train=1, test=1, side=256)
    with gzip.open(folder / f"{TRAIN_IMAGES}.gz", "wb", 1) as images:
        images.write(struct.pack(">4I", 0x0803, n, 256, 256))
        for _ in range(n):
            images.write(bytes([pixel]) * 256**2)
    write_idx(folder, TRAIN_LABELS, idx_bytes(np.zeros(n)))


def test_a_small_folder_with_a_large_content_costs_no_more_memory_than_that_content(tmp_path: Path) -> None:
    # Given a folder with the most that is read, and one with an image more
    n = idx.MAX_BYTES // 256**2 - 1
    write_packed(tmp_path / "most", n, 0)
    write_packed(tmp_path / "more", n + 1, 0)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.gz")) < 5_000_000

    # When a process of its own asks for their digests
    program = (
        "import sys; from nn.datasets.mnist import dataset_digest; from nn.errors import DatasetError\n"
        "from pathlib import Path\n"
        "print(len(dataset_digest(sys.argv[1])))\n"
        "try: dataset_digest(sys.argv[2])\n"
        "except DatasetError as error: print(error)\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "most"), str(tmp_path / "more")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    # Then it takes what the bound says, once, beside what Python and NumPy need
    length, refusal, peak_kilobytes = done.stdout.splitlines()
    assert length == "64"
    assert f"brings the data set to {idx.MAX_BYTES + 256**2} bytes; expected at most {idx.MAX_BYTES}" in refusal
    assert int(peak_kilobytes) < idx.MAX_BYTES / 1024 + 100_000


@pytest.mark.parametrize("megabytes", [150, 350, 600])
def test_too_little_memory_is_one_sentence(tmp_path: Path, megabytes: int) -> None:
    # Given a data set of 100 MB whose pixels are all ink, and a process that may take only so much more than it has
    write_packed(tmp_path, 1600, 1)
    program = (
        "import resource, sys; from pathlib import Path; from nn.datasets.mnist import load_mnist\n"
        "from nn.errors import DatasetError; from sklearn.model_selection import train_test_split\n"
        "size = 1024 * int(Path('/proc/self/status').read_text().split('VmSize:')[1].split()[0])\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[2]) * 2**20,) * 2)\n"
        "try: load_mnist(sys.argv[1])\n"
        "except DatasetError as error: print(error)"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(megabytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout == f"the data set {str(tmp_path)!r} needs more memory than there is\n"


def test_one_image_cannot_be_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "read_folder", lambda _: (np.zeros((1, 4), np.uint8), np.zeros(1, np.uint8)))

    with pytest.raises(DatasetError, match="has 1 image; expected at least 2"):
        load_mnist(BUNDLED)


def npz_bytes() -> bytes:
    content = io.BytesIO()
    np.savez(content, a=np.arange(3))
    return content.getvalue()


def npy_bytes(header: str) -> bytes:
    """Return the start of an `.npy` file with any header, and room for twenty numbers."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(160)


HOSTILE_SHAPES = ["(-5,)", "(2**62,)", "(4611686018427387904,)", "(4611686018427387904,) * 2", "(True,)", "()", "20"]


class TestCache:
    """A prepared data set on disk, seen from a caller who must get the same bits whatever state it is in."""

    @pytest.fixture
    def fresh(self, folder: Path) -> Dataset:
        return load_mnist(folder)

    @pytest.fixture
    def cached(self, folder: Path, tmp_path: Path) -> Path:
        """The folder of the prepared data set."""
        return tmp_path / "cache" / load_mnist(folder, cache_dir=tmp_path / "cache").digest[:16]

    def test_warm_load_gives_the_same_bits_from_shared_pages(self, folder: Path, cached: Path, fresh: Dataset) -> None:
        warm = load_mnist(folder, cache_dir=cached.parent)

        assert same_data(warm, fresh)
        assert np.array_equal(warm.order, fresh.order)
        maps = Path("/proc/self/maps").read_text()
        assert all(str(cached / f"train_{part}.npy") in maps for part in PARTS)
        assert not warm.train.values.flags.writeable

    def test_warm_load_needs_no_scikit_learn(self, cache_dir: Path, mnist: Dataset) -> None:
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
        self, folder: Path, cached: Path, fresh: Dataset, name: str, damage: str, tmp_path: Path
    ) -> None:
        # Given a cache in which one file is not what it was
        path = cached / name
        intact = path.read_bytes()
        write_idx_folder(tmp_path / "other", train=13)
        other = (
            tmp_path / "other-cache" / load_mnist(tmp_path / "other", cache_dir=tmp_path / "other-cache").digest[:16]
        )
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
        assert same_data(load_mnist(folder, cache_dir=cached.parent), fresh)
        # And the cache is whole again, unless something stands in its place that is not ours to remove
        if damage != "folder":
            assert path.read_bytes() == intact

    def test_a_cache_of_another_data_set_is_not_taken(
        self, folder: Path, cached: Path, fresh: Dataset, tmp_path: Path
    ) -> None:
        write_idx_folder(tmp_path / "other", train=13)
        digest = load_mnist(tmp_path / "other", cache_dir=cached.parent).digest
        shutil.rmtree(cached)
        (cached.parent / digest[:16]).rename(cached)

        assert same_data(load_mnist(folder, cache_dir=cached.parent), fresh)

    def test_pickled_arrays_are_not_opened(self, folder: Path, cached: Path, fresh: Dataset) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return os.mkdir, (str(cached / "exploded"),)

        np.save(cached / "order.npy", np.array([Bomb()], dtype=object), allow_pickle=True)

        assert same_data(load_mnist(folder, cache_dir=cached.parent), fresh)
        assert not (cached / "exploded").exists()

    @pytest.mark.parametrize("name", ["order.npy", "manifest.json"])
    @pytest.mark.parametrize("kind", ["pipe", "device", "loop"])
    def test_what_never_ends_is_replaced(
        self, folder: Path, cached: Path, fresh: Dataset, name: str, kind: str
    ) -> None:
        path = cached / name
        intact = path.read_bytes()
        path.unlink()
        if kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero" if kind == "device" else name)

        assert same_data(load_mnist(folder, cache_dir=cached.parent), fresh)
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
    def test_a_forged_array_is_replaced(self, folder: Path, cached: Path, fresh: Dataset, content: bytes) -> None:
        intact = (cached / "order.npy").read_bytes()
        (cached / "order.npy").write_bytes(content)

        assert same_data(load_mnist(folder, cache_dir=cached.parent), fresh)
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
            lambda manifest: json.dumps({"key": manifest["key"], "arrays": list(manifest["arrays"])}).encode(),
            *(
                lambda manifest, shape=shape: json.dumps(
                    manifest
                    | {"arrays": manifest["arrays"] | {"order": manifest["arrays"]["order"] | {"shape": shape}}}
                ).encode()
                for shape in [None, 20, [], [[20]], [20, 1], [20.0], ["20"], [-20], [2**62], [10**400], {"20": 20}]
            ),
        ],
    )
    def test_a_forged_manifest_is_replaced(
        self, folder: Path, cached: Path, fresh: Dataset, forge: Callable[[Any], bytes]
    ) -> None:
        intact = (cached / "manifest.json").read_bytes()
        (cached / "manifest.json").write_bytes(forge(json.loads(intact)))

        assert same_data(load_mnist(folder, cache_dir=cached.parent), fresh)
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
        self, folder: Path, cached: Path, fresh: Dataset, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> None:
        # Given a cache in which one array was changed, and the manifest with it
        kept = {path.stem: np.load(path) for path in cached.glob("*.npy")}
        array_cache.save(cached, fresh.digest, kept | {name: change(kept[name])})

        # Then loading gives the right data all the same, and keeps it
        assert same_data(load_mnist(folder, cache_dir=cached.parent), fresh)
        assert np.array_equal(np.load(cached / f"{name}.npy"), kept[name])

    def test_a_linked_cache_is_one(self, folder: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        link = cached.parent.parent / "link"
        link.symlink_to(cached.parent)
        for path in list(cached.iterdir()):
            path.rename(path.parent.parent / path.name)
            path.symlink_to(path.parent.parent / path.name)
        monkeypatch.setattr(array_cache, "save", lambda *_: pytest.fail("built again"))

        load_mnist(folder, cache_dir=link)

    def test_cache_folder_that_cannot_be_made_costs_no_more_than_time(
        self, folder: Path, fresh: Dataset, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("a file where the folder should be")

        assert same_data(load_mnist(folder, cache_dir=tmp_path / "file" / "cache"), fresh)

    def test_full_disk_costs_no_more_than_time_and_leaves_nothing(self, folder: Path, tmp_path: Path) -> None:
        # Given a process that may not write files of more than 300 bytes: the kernel then answers as a full disk does
        program = (
            "import resource, signal, sys; from pathlib import Path; from nn.datasets.mnist import load_mnist\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
            "print(load_mnist(Path(sys.argv[1]), cache_dir=Path(sys.argv[2])).digest)"
        )
        command = [sys.executable, "-B", "-c", program, str(folder), str(tmp_path / "cache")]

        done = subprocess.run(command, capture_output=True, text=True, check=True)

        assert done.stdout.strip() == dataset_digest(folder)
        assert not list((tmp_path / "cache").rglob("*.tmp"))

    def test_concurrent_writers_are_harmless(self, folder: Path, fresh: Dataset, tmp_path: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from nn.datasets.mnist import load_mnist\n"
            "print(load_mnist(Path(sys.argv[1]), cache_dir=Path(sys.argv[2])).digest)"
        )
        command = [sys.executable, "-c", program, str(folder), str(tmp_path / "cache")]
        with ThreadPoolExecutor(4) as pool:
            runs = [pool.submit(subprocess.run, command, capture_output=True, text=True, check=True) for _ in range(4)]

        assert {run.result().stdout.strip() for run in runs} == {fresh.digest}
        written = tmp_path / "cache" / fresh.digest[:16]
        dtypes = {path.stem: np.load(path).dtype for path in written.glob("*.npy")}
        assert array_cache.load(written, fresh.digest, dtypes) is not None
        assert not list(written.glob(".*"))

    def test_remains_of_a_killed_writer_are_removed_once_they_are_old(self, folder: Path, cached: Path) -> None:
        old, new = (cached / f".order.npy.{digit * 32}.tmp" for digit in "12")
        old.touch()
        new.touch()
        os.utime(old, (0, 0))
        (cached / "manifest.json").unlink()

        load_mnist(folder, cache_dir=cached.parent)

        assert not old.exists()
        assert new.exists()


class TestOpenML:
    """The notebook's `fetch_openml`, through scikit-learn's own reader on a prepared folder, without network."""

    @pytest.fixture(autouse=True)
    def no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # A proxy that is not there: whatever is not in the prepared folder cannot be had.
        for variable in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
        monkeypatch.delenv("no_proxy", raising=False)
        # An earlier test that opened a URL has left an opener that read these variables before.
        monkeypatch.setattr(urllib.request, "_opener", None)

    def test_it_is_the_bundled_data(self, mnist: Dataset, tmp_path: Path) -> None:
        # Given all of MNIST as OpenML has it
        write_openml_cache(tmp_path / "openml", *idx.read_folder(BUNDLED))

        fetched = load_mnist("openml", cache_dir=tmp_path)

        assert same_data(fetched, mnist)
        # And once it is known to be MNIST, it is not parsed again
        shutil.rmtree(tmp_path / "openml" / "openml")
        assert dataset_digest("openml", cache_dir=tmp_path) == MNIST_DIGEST
        assert same_data(load_mnist("openml", cache_dir=tmp_path), mnist)

    @pytest.fixture
    def some(self) -> Some:
        """A few of the images and labels."""
        images, labels = idx.read_folder(BUNDLED)
        return images[:20], labels[:20]

    def test_other_bytes_are_refused(self, some: Some, tmp_path: Path) -> None:
        write_openml_cache(tmp_path / "openml", *some)
        digest = content_digest(*some)

        for ask in (load_mnist, dataset_digest):
            with pytest.raises(
                DatasetError, match=f"OpenML is not MNIST: its digest is {digest}; expected {MNIST_DIGEST}"
            ):
                ask("openml", cache_dir=tmp_path)

    @pytest.mark.parametrize("pixel", [-1, 256])
    def test_pixels_that_are_no_bytes_are_refused(self, some: Some, tmp_path: Path, pixel: int) -> None:
        images, labels = some[0].astype(np.int64), some[1]
        images[3, 5] = pixel
        write_openml_cache(tmp_path / "openml", images, labels)

        with pytest.raises(DatasetError, match="has a pixel that is not a whole number from 0 to 255"):
            load_mnist("openml", cache_dir=tmp_path)

    @pytest.mark.parametrize("cached", [True, False])
    def test_no_network_is_one_sentence(self, tmp_path: Path, cached: bool) -> None:
        with pytest.raises(DatasetError, match=r"^mnist_784 cannot be fetched from OpenML: URLError: .*refused.*$"):
            load_mnist("openml", cache_dir=tmp_path if cached else None)

    def test_damaged_download_is_one_sentence(self, some: Some, tmp_path: Path) -> None:
        write_openml_cache(tmp_path / "openml", *some)
        (arff,) = tmp_path.rglob("*.arff.gz")
        arff.write_bytes(arff.read_bytes()[:-100])

        with pytest.raises(DatasetError, match=r"^mnist_784 cannot be fetched from OpenML: .+$"):
            load_mnist("openml", cache_dir=tmp_path)
