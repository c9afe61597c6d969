"""Weights of small networks."""

from dataclasses import replace

import numpy as np

from nn.weights import LayerSizes, Weights, initial_weights


def some_weights(layer_sizes: LayerSizes, dtype: str = "float64", *, biases: bool = False) -> Weights:
    """Return the initial weights of seed 0; biases, if any, are not zero as they are at the start of a training."""
    random = np.random.RandomState(0)
    weights = initial_weights(layer_sizes, random, dtype)
    if not biases:
        return weights
    b1, b2, b3 = (random.randn(size).astype(dtype) for size in layer_sizes[1:])
    return replace(weights, b1=b1, b2=b2, b3=b3)
