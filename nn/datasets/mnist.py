"""MNIST, and data sets in its format: read, checked, split as in the notebook. MNIST is cached ready for training."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from nn.datasets import MNIST_DIGEST as MNIST_DIGEST
from nn.datasets import MNIST_FEATURES, N_CLASSES, idx
from nn.errors import DatasetError
from nn.files import anchored, digest, read_regular, reading, remove_stale, write_atomically
from nn.samples import Samples, pack_bytes

#: The folder of MNIST's four files in this package.
BUNDLED = Path(__file__).parent.parent / "data"

#: SHA-256 and size in bytes of the file in the cache that holds MNIST ready for training. Loading it takes a quarter of
#: the time of preparing it. Other data sets are not cached: the check of a cached one takes as long as preparing it.
PREPARED_SHA256 = "a135179f3349d7f61dcba37e57d9672bf02f49daaebd080715c6c49f5418bcff"
PREPARED_BYTES = 65_272_634

#: The names of the bundled copy. The notebook fetches `mnist_784` from OpenML, which has the same content.
_MNIST = ("bundled", "openml")
_PARTS = ("spans", "indices", "values", "labels")


@dataclass(frozen=True)
class Dataset:
    """A data set, split into training and validation samples.

    Attributes:
        samples: The training samples, then the validation samples, 15 % of all. float32 values in [0, 1]: pixel / 255,
            rounded once; uint16 indices.
        n_train: The number of training samples.
        order: int64, shape (n,). The source's `images[order]` are the samples. In `images`, the source's training set
            comes before its test set.
        digest: The SHA-256 of the content, in hexadecimal, which is independent of the source.
        source: `bundled`, `openml`, or the path of a folder.
    """

    samples: Samples
    n_train: int
    order: NDArray[np.int64]
    digest: str
    source: str

    @cached_property
    def train(self) -> Samples:
        """The samples to train on."""
        return self.samples.rows(slice(self.n_train))

    @cached_property
    def validation(self) -> Samples:
        """The samples to validate with."""
        return self.samples.rows(slice(self.n_train, None))

    def split_by(self, seed: int, held_out: slice = slice(0)) -> Dataset:
        """Return the data set with a split that a seed draws, in which as many samples validate; it shares the memory.

        The draw is independent of the initial weights and of the orders of samples that the same seed draws.

        Args:
            seed: From 0 to 2**32 - 1.
            held_out: Which of `samples` are left out.
        """
        rows, n_validation = np.delete(np.arange(len(self.samples)), held_out), len(self.samples) - self.n_train
        # The orders of the epochs are drawn with [seed, epoch], and epochs are counted from 1.
        drawn = rows[split_order(len(rows), n_validation, [seed, 0])]
        n_train = len(rows) - n_validation
        return replace(self, samples=self.samples.rows(drawn), n_train=n_train, order=self.order[drawn])


def load_mnist(source: str | Path = "bundled", *, cache_dir: Path | None = None) -> Dataset:
    """Return MNIST, or the data set of a folder, split by scikit-learn's `train_test_split` as the notebook does.

    The images are in OpenML's order, the training set before the test set; `test_size=0.15, random_state=42` then
    makes 59,500 training and 10,500 validation samples of the 70,000.

    Args:
        source: `bundled`; `openml`, which means the same; or a folder with the four IDX files, plain or `.gz`.
        cache_dir: The folder in which MNIST is cached. Others may write there: a file with another hash is replaced.
            None, or a folder that is not writable, disables the cache.

    Raises:
        DatasetError: the data set is missing or damaged, or the bundled one is not MNIST.
    """
    source = str(source)
    with reading(f"the data set {source!r}", DatasetError):
        cached = None
        if source in _MNIST and cache_dir is not None:
            cached = cache_dir / MNIST_DIGEST[:16] / "prepared.safetensors"
            if prepared := _load_prepared(source, cached):
                return prepared
        images, labels, digest = _read(source)
        arrays = _prepare(images, labels)
        if cached is not None:
            _cache(arrays, cached)
        return _from_arrays(source, digest, arrays, images.shape[1])


def dataset_digest(source: str | Path) -> str:
    """Return the digest of the data set that `load_mnist` would return, without reading the data if it is known.

    Raises:
        DatasetError: as for `load_mnist`.
    """
    source = str(source)
    with reading(f"the data set {source!r}", DatasetError):
        return MNIST_DIGEST if source in _MNIST else _read(source)[2]


def _read(source: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
    folder = BUNDLED if source in _MNIST else Path(source)
    allowed = "allowed: 'bundled', 'openml', or a folder with MNIST's IDX files"
    try:
        # An empty path would be the current folder.
        if not source or not folder.is_dir():
            raise DatasetError(f"the data set {source!r} is not a folder; {allowed}")
    except OSError as error:
        raise DatasetError(f"the data set {source!r} cannot be read: {error.strerror}; {allowed}") from None
    images, labels = idx.read_folder(folder)
    digest = content_digest(images, labels)
    if source in _MNIST and digest != MNIST_DIGEST:
        raise DatasetError(f"the data in {BUNDLED} is not MNIST: its digest is {digest}; expected {MNIST_DIGEST}")
    return images, labels, digest


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


def _load_prepared(source: str, path: Path) -> Dataset | None:
    """Return MNIST from the cache; None if the cache does not hold exactly what `_cache` wrote."""
    with contextlib.suppress(OSError):
        blob = read_regular(path, PREPARED_BYTES)
        if digest(blob) == PREPARED_SHA256:
            return _from_arrays(source, MNIST_DIGEST, safetensors.numpy.load(blob), MNIST_FEATURES)
    return None


def _cache(arrays: dict[str, NDArray[Any]], path: Path) -> None:
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with anchored(path.parent) as folder:
            remove_stale(folder)
            write_atomically(folder / path.name, lambda file: file.write(safetensors.numpy.save(arrays)))


def _prepare(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Return the samples in the order of the split, and that order, as named arrays."""
    order = split_order(len(images), validation_size(len(images)), 42)
    packed = pack_bytes(images[order], labels[order])
    return {"order": order} | {part: getattr(packed, part) for part in _PARTS}


def validation_size(n: int) -> int:
    """Return how many of n samples validate."""
    return math.ceil(0.15 * n)


def split_order(n: int, n_validation: int, seed: int | list[int]) -> NDArray[np.int64]:
    """Return the rows of a random split: those to train on, then those to validate with.

    It is the split of scikit-learn's `train_test_split`, which is slow to import, and the same on every machine.
    """
    return np.roll(np.random.RandomState(seed).permutation(n), -n_validation)


def _from_arrays(source: str, digest: str, arrays: Mapping[str, NDArray[Any]], n_features: int) -> Dataset:
    samples = Samples(**{part: arrays[part] for part in _PARTS}, n_features=n_features, n_classes=N_CLASSES)
    return Dataset(samples, len(samples) - validation_size(len(samples)), arrays["order"], digest, source)
