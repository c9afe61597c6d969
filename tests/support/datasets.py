"""Compares prepared data sets bit by bit, makes smaller ones, and finds the images that they were."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.datasets.mnist import Dataset
from nn.samples import Samples


def same_data(a: Dataset, b: Dataset) -> bool:
    parts = ("spans", "indices", "values", "labels")
    pairs = [(getattr(a.samples, part), getattr(b.samples, part)) for part in parts]
    same_bits = all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs)
    return same_bits and a.n_train == b.n_train and a.digest == b.digest


def few(data: Dataset, n_train: int, n_validation: int) -> Dataset:
    """Return the data set with its first training and validation samples only."""
    chosen = np.r_[:n_train, data.n_train : data.n_train + n_validation]
    return replace(data, samples=data.samples.rows(chosen), n_train=n_train, order=data.order[chosen])


def to_bytes(samples: Samples) -> NDArray[Any]:
    """Return the images, shape (n_samples, n_features), that `pack_bytes` packed."""
    # Every k / 255 in float32, times 255, is nearer to k than to any other whole number.
    levels = np.rint(samples.values * np.float32(255)).astype(np.uint8)
    return replace(samples, values=levels).to_dense()
