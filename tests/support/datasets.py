"""Compares prepared data sets bit by bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nn.datasets.mnist import Dataset
from nn.samples import Samples
from tests.support.pixels import to_bytes

PARTS = ("indptr", "indices", "values", "labels")


def same_bits(a: Samples, b: Samples) -> bool:
    pairs = [(getattr(a, part), getattr(b, part)) for part in PARTS]
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs)


def same_data(a: Dataset, b: Dataset) -> bool:
    return same_bits(a.train, b.train) and same_bits(a.validation, b.validation) and a.digest == b.digest


def pixels(data: Dataset) -> NDArray[np.uint8]:
    """Return all images as bytes, those to train on first."""
    return np.concatenate([to_bytes(data.train), to_bytes(data.validation)])
