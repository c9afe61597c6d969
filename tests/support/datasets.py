"""Compares prepared data sets bit by bit, and finds the images that they were."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.datasets.mnist import Dataset
from nn.samples import Samples

PARTS = ("spans", "indices", "values", "labels")


def same_bits(a: Samples, b: Samples) -> bool:
    pairs = [(getattr(a, part), getattr(b, part)) for part in PARTS]
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs)


def same_data(a: Dataset, b: Dataset) -> bool:
    return same_bits(a.samples, b.samples) and a.n_train == b.n_train and a.digest == b.digest


def few(data: Dataset, n_train: int, n_validation: int) -> Dataset:
    """Return the data set with its first training and validation samples only."""
    chosen = np.r_[:n_train, data.n_train : data.n_train + n_validation]
    return replace(data, samples=data.samples.rows(chosen), n_train=n_train, order=data.order[chosen])


def to_bytes(samples: Samples) -> NDArray[Any]:
    """Return the images, shape (n_samples, n_features), that `pack_bytes` packed."""
    # Every k / 255 in float32, times 255, is nearer to k than to any other whole number.
    levels = np.rint(samples.values * np.float32(255)).astype(np.uint8)
    return replace(samples, values=levels).to_dense()


def pixels(data: Dataset) -> NDArray[np.uint8]:
    """Return all images as bytes, those to train on first."""
    return np.concatenate([to_bytes(data.train), to_bytes(data.validation)])
