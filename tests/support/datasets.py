"""Compares prepared data sets bit by bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nn.datasets.mnist import Dataset
from nn.samples import Samples
from tests.support.pixels import to_bytes

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


def pixels(data: Dataset) -> NDArray[np.uint8]:
    """Return all images as bytes, those to train on first."""
    return np.concatenate([to_bytes(data.train), to_bytes(data.validation)])
