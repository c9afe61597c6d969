"""MNIST, and data sets in its format: read, checked, split as in the notebook, and cached ready for training."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.datasets import cache as array_cache
from nn.datasets import idx, openml
from nn.errors import DatasetError
from nn.samples import Samples, is_packed_bytes, pack_bytes, unpack_bytes

#: The digest of MNIST, which the sources `bundled` and `openml` must have.
MNIST_DIGEST = "06ad231b5cb27e8034c864ded62b94a7309c64215e0380f3fcb26b6983fc1949"
#: The pixels of an image of MNIST.
MNIST_FEATURES = 784

#: The folder of MNIST's four files in this package.
BUNDLED = Path(__file__).parent.parent / "data"

#: The digest of MNIST's prepared arrays (`arrays_digest`): with it, the check of the cache takes a quarter of the time.
PREPARED_MNIST_DIGEST = "a11be66dd3e9bfe4a9f6f6dba8a396aa14d3bba74907308cd25b2996c38a73aa"
#: The largest images in all that a cached data set is unpacked to, in bytes. MNIST has 55 MB.
MAX_CONTENT_BYTES = 2**33

_SPLITS = ("train", "validation")
_PARTS: dict[str, np.dtype[Any]] = {
    "indptr": np.dtype("<i8"),
    "indices": np.dtype("<u2"),
    "values": np.dtype("<f4"),
    "labels": np.dtype("<i8"),
}
#: The arrays of a prepared data set in the cache.
_ARRAYS: dict[str, np.dtype[Any]] = {
    "order": np.dtype("<i8"),
    "n_features": np.dtype("<i8"),
    **{f"{split}_{part}": dtype for split in _SPLITS for part, dtype in _PARTS.items()},
}


@dataclass(frozen=True)
class Dataset:
    """A data set, split into training and validation samples.

    Attributes:
        train: float32 values in [0, 1]: pixel / 255, rounded once; uint16 indices.
        validation: The same for the validation set, 15 % of the images.
        order: int64, shape (n,). The position of each sample in the source, whose training set comes before its test
            set: the source's `images[order]` are the training images followed by the validation images.
        digest: The SHA-256 of the content, in hexadecimal, which is independent of the source.
        source: `bundled`, `openml`, or the path of a folder.
    """

    train: Samples
    validation: Samples
    order: NDArray[np.int64]
    digest: str
    source: str

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return self.train.n_classes

    @cached_property
    def x_validation(self) -> NDArray[np.float32]:
        """The validation images, float32 in [0, 1], shape (n_validation, n_features)."""
        return self.validation.to_dense()

    @property
    def y_validation(self) -> NDArray[np.int64]:
        """The class of each validation image, shape (n_validation,)."""
        return self.validation.labels


def load_mnist(source: str | Path = "bundled", *, cache_dir: Path | None = None) -> Dataset:
    """Return MNIST, or the data set of a folder, split by scikit-learn's `train_test_split` as the notebook does.

    The images are in OpenML's order, the training set before the test set; `test_size=0.15, random_state=42` then
    makes 59,500 training and 10,500 validation samples of the 70,000.

    Args:
        source: `bundled`; `openml`, which must have the same content; or a folder with the four IDX files, plain or
            `.gz`.
        cache_dir: The folder in which prepared data sets are cached. A cached one is taken only if its content has the
            digest of the source, whoever wrote it. None, or a folder that is not writable, disables the cache.

    Raises:
        DatasetError: the data set is missing, damaged, or not MNIST where it must be.
    """
    source = str(source)
    with _within_memory(source):
        digest = _known_digest(source, cache_dir)
        prepared = digest and _load_prepared(source, digest, cache_dir)
        if prepared:
            return prepared
        images, labels = _read(source, cache_dir)
        digest = _check_digest(source, images, labels, cache_dir)
        return _load_prepared(source, digest, cache_dir) or _prepare(source, digest, images, labels, cache_dir)


def dataset_digest(source: str | Path, *, cache_dir: Path | None = None) -> str:
    """Return the digest of the data set that `load_mnist` would return, without reading the data if it is known.

    Raises:
        DatasetError: as for `load_mnist`.
    """
    source = str(source)
    with _within_memory(source):
        return _known_digest(source, cache_dir) or _check_digest(source, *_read(source, cache_dir), cache_dir)


@contextlib.contextmanager
def _within_memory(source: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise DatasetError(f"the data set {source!r} needs more memory than there is") from None


def _known_digest(source: str, cache_dir: Path | None) -> str | None:
    is_known = source == "bundled" or (source == "openml" and cache_dir and _is_marked(cache_dir))
    return MNIST_DIGEST if is_known else None


def _is_marked(cache_dir: Path) -> bool:
    try:
        return _openml_mark(cache_dir).exists()
    except OSError:
        return False


def _openml_mark(cache_dir: Path) -> Path:
    """Return the file that marks OpenML's copy as checked to be MNIST, because parsing it takes most of a minute."""
    return cache_dir / "openml" / f"is-{MNIST_DIGEST[:16]}"


def _read(source: str, cache_dir: Path | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if source == "openml":
        return openml.fetch(cache_dir and cache_dir / "openml")
    folder = BUNDLED if source == "bundled" else Path(source)
    allowed = "allowed: 'bundled', 'openml', or a folder with MNIST's IDX files"
    try:
        # An empty path would be the current folder.
        if not source or not folder.is_dir():
            raise DatasetError(f"the data set {source!r} is not a folder; {allowed}")
    except OSError as error:
        raise DatasetError(f"the data set {source!r} cannot be read: {error.strerror}; {allowed}") from None
    return idx.read_folder(folder)


def _check_digest(source: str, images: NDArray[np.uint8], labels: NDArray[np.uint8], cache_dir: Path | None) -> str:
    digest = content_digest(images, labels)
    if source in ("bundled", "openml") and digest != MNIST_DIGEST:
        name = f"the bundled data in {BUNDLED}" if source == "bundled" else "mnist_784 from OpenML"
        raise DatasetError(f"{name} is not MNIST: its digest is {digest}; expected {MNIST_DIGEST}")
    if source == "openml" and cache_dir:
        with contextlib.suppress(OSError):
            _openml_mark(cache_dir).touch()
    return digest


def content_digest(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> str:
    """Return the SHA-256 that identifies a data set, in hexadecimal.

    Args:
        images: shape (n, n_features), in the order of the source.
        labels: shape (n,).
    """
    content = hashlib.sha256(f"seedsweep dataset 1: images {images.shape}, labels {labels.shape}\n".encode())
    content.update(np.ascontiguousarray(images).data)
    content.update(np.ascontiguousarray(labels).data)
    return content.hexdigest()


def arrays_digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of prepared arrays, in hexadecimal. Their dtypes are fixed."""
    content = hashlib.sha256()
    for name in _ARRAYS:
        content.update(f"{name} {arrays[name].shape}\n".encode())
        content.update(np.ascontiguousarray(arrays[name]).data)
    return content.hexdigest()


def _load_prepared(source: str, digest: str, cache_dir: Path | None) -> Dataset | None:
    arrays = cache_dir and array_cache.load(cache_dir / digest[:16], digest, _ARRAYS)
    if not arrays or len(arrays["n_features"]) != 1:
        return None
    prepared = _from_arrays(source, digest, arrays)
    if digest == MNIST_DIGEST and arrays_digest(arrays) == PREPARED_MNIST_DIGEST:
        return prepared
    # Whoever can write to the cache could have stored other images, labels, or another split under this digest.
    sizes = len(prepared.train), len(prepared.validation)
    order, expected = prepared.order, _expected_split(sum(sizes))
    is_data_set = (
        sizes == tuple(map(len, expected))
        and np.array_equal(order, np.concatenate(expected))
        and _are_images(prepared.train)
        and _are_images(prepared.validation)
        and len(order) * prepared.train.n_features <= MAX_CONTENT_BYTES
        and content_digest(*_content(prepared)) == digest
    )
    return prepared if is_data_set else None


def _are_images(samples: Samples) -> bool:
    """Return whether the samples are exactly those that `pack_bytes` makes of some images."""
    indptr = samples.indptr
    return bool(
        len(samples) > 0
        and len(indptr) == len(samples) + 1
        and indptr[0] == 0
        and indptr[-1] == len(samples.indices) == len(samples.values)
        and np.all(indptr[1:] >= indptr[:-1])
        and 0 < samples.n_features <= idx.MAX_SIDE**2
        and samples.indices.max(initial=0) < samples.n_features
        and samples.labels.min() >= 0
        and samples.n_classes == idx.N_CLASSES
        and is_packed_bytes(samples)
    )


def _content(prepared: Dataset) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the images, shape (n, n_features), and the labels, shape (n,), in the order of the source."""
    images = np.empty((len(prepared.order), prepared.train.n_features), np.uint8)
    labels = np.empty(len(prepared.order), np.uint8)
    rows = np.split(prepared.order, [len(prepared.train)])
    for samples, chosen in zip((prepared.train, prepared.validation), rows, strict=True):
        labels[chosen] = samples.labels
        unpack_bytes(samples, images, chosen)
    return images, labels


def _prepare(
    source: str, digest: str, images: NDArray[np.uint8], labels: NDArray[np.uint8], cache_dir: Path | None
) -> Dataset:
    arrays: dict[str, NDArray[Any]] = {"n_features": np.array([images.shape[1]])}
    rows = dict(zip(_SPLITS, _split(len(images)), strict=True))
    arrays["order"] = np.concatenate(list(rows.values()))
    for split, chosen in rows.items():
        packed = pack_bytes(images[chosen], labels[chosen])
        arrays |= {f"{split}_{part}": getattr(packed, part) for part in _PARTS}
    if cache_dir:
        with contextlib.suppress(OSError):
            array_cache.save(cache_dir / digest[:16], digest, arrays)
    return _from_arrays(source, digest, arrays)


def _split(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if n < 2:
        raise DatasetError(f"the data set has {n} image; expected at least 2, one to train on and one to validate with")
    # Imported here because the import takes longer than a load from the cache, which needs no split.
    from sklearn.model_selection import train_test_split

    train, validation = train_test_split(np.arange(n), test_size=0.15, random_state=42)
    return train, validation


def _expected_split(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what `_split` returns: scikit-learn's rule, without its import."""
    drawn = np.random.RandomState(42).permutation(n)
    n_validation = math.ceil(0.15 * n)
    return drawn[n_validation:], drawn[:n_validation]


def _from_arrays(source: str, digest: str, arrays: dict[str, NDArray[Any]]) -> Dataset:
    n_features = int(arrays["n_features"][0])
    train, validation = (
        Samples(**{part: arrays[f"{split}_{part}"] for part in _PARTS}, n_features=n_features, n_classes=idx.N_CLASSES)
        for split in _SPLITS
    )
    return Dataset(train, validation, arrays["order"], digest, source)
