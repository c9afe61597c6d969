"""The network's weights: how they start, and how they travel as safetensors."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Weights(NamedTuple):
    """Three C-contiguous matrices of one float dtype; there are no biases.

    Attributes:
        W1: shape (hidden_1, n_features).
        W2: shape (hidden_2, hidden_1).
        W3: shape (n_classes, hidden_2).
    """

    W1: NDArray[Any]
    W2: NDArray[Any]
    W3: NDArray[Any]


def initial_weights(layer_sizes: tuple[int, int, int, int], random_state: np.random.RandomState, dtype: str) -> Weights:
    """Draw the weights that the notebook's `initialization()` draws after `np.random.seed(seed)`.

    W1, W2 and W3 in this order from `randn`, each scaled by sqrt(1 / rows), in float64; then rounded to `dtype`.
    """
    _, *rows = layer_sizes
    drawn = (
        random_state.randn(n_rows, n_columns) * np.sqrt(1.0 / n_rows)
        for n_rows, n_columns in zip(rows, layer_sizes, strict=False)
    )
    return Weights(*(matrix.astype(dtype) for matrix in drawn))


def digest(blob: bytes) -> str:
    """Return the SHA-256 of a safetensors blob in hexadecimal: the name under which it is stored."""
    return hashlib.sha256(blob).hexdigest()
