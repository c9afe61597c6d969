"""The compiled steps of one layer, forward and backward. `nn.reference` has the same mathematics in plain NumPy.

Weights and activations are flat and padded: a row of `width` floats is a whole number of vectors; its first `size`
floats are data, the others zero. Padding never affects a weight: the sigmoids and errors of padding are set to zero,
and padding that an update may have turned into NaN is reset to zero.
"""

# Compiled code: numba infers the types.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from nn.kernel.vectors import (
    LANES,
    exp,
    flush,
    fold,
    highest,
    keep,
    larger,
    load,
    one_hot,
    prefetch,
    store,
    total,
    zeros,
)

#: The number of rows of a matrix-vector product that are summed at once.
ROWS = 4

# Sizes are constants of the caller: the compiler can unroll the loops of a function that it has inlined.
_inline: Any = njit(error_model="numpy", forceinline=True)


@_inline
def sparse_product(z, W, width, indices, values, begin, end):
    """Set z to the sum of value * W[index] over a sample's entries; W is the transpose of the layer's matrix."""
    for j in range(0, width, LANES):
        store(z, j, zeros(z))
    for entry in range(begin, end):
        row = np.int64(indices[entry]) * width
        value = values[entry]
        for j in range(0, width, LANES):
            store(z, j, load(z, j) + load(W, row + j) * value)


@_inline
def sparse_update(W, width, d, step, indices, values, begin, end):
    """Do W[index] -= value * step * d for the entries of a sample, last entry first.

    The next sample begins with low indices, whose rows are then still in the first-level cache.
    """
    for j in range(0, width, LANES):
        store(d, j, load(d, j) * step)
    for reverse in range(end - begin):
        entry = end - 1 - reverse
        row = np.int64(indices[entry]) * width
        value = values[entry]
        for j in range(0, width, LANES):
            store(W, row + j, load(W, row + j) - load(d, j) * value)


@_inline
def product(z, W, a, rows, width, partial):
    """Set z[:rows] to W a. `W` has zero rows up to a multiple of `ROWS`; `partial` is scratch of `ROWS` vectors."""
    for block in range(0, rows, LANES):
        for quarter in range(ROWS):
            first = block + quarter * ROWS
            if first < rows:
                s0, s1, s2, s3 = zeros(z), zeros(z), zeros(z), zeros(z)
                base = first * width
                for j in range(0, width, LANES):
                    x = load(a, j)
                    s0 = s0 + load(W, base + j) * x
                    s1 = s1 + load(W, base + width + j) * x
                    s2 = s2 + load(W, base + 2 * width + j) * x
                    s3 = s3 + load(W, base + 3 * width + j) * x
                store(partial, quarter * LANES, fold(fold(s0, s1, 16), fold(s2, s3, 16), 8))
            else:
                store(partial, quarter * LANES, zeros(z))
        lower = fold(load(partial, 0), load(partial, LANES), 4)
        upper = fold(load(partial, 2 * LANES), load(partial, 3 * LANES), 4)
        store(z, block, fold(lower, upper, 2))


@_inline
def add_bias(z, b, width):
    """Add the bias b to z. Padding of b need not be zero: the next activation sets its own padding to 0."""
    for j in range(0, width, LANES):
        store(z, j, load(z, j) + load(b, j))


@_inline
def update_bias(b, d, step, width):
    """Do b -= step * d."""
    for j in range(0, width, LANES):
        store(b, j, load(b, j) - load(d, j) * step)


@_inline
def back_product(d, W, g, rows, width):
    """Set d to transpose(W) g."""
    for j in range(0, width, LANES):
        store(d, j, zeros(d))
    for i in range(rows):
        for j in range(0, width, LANES):
            store(d, j, load(d, j) + load(W, i * width + j) * g[i])


@_inline
def back_product_and_update(d, W, g, a, step, rows, size, width):
    """Set d to transpose(W) g, with W as it was; then do W -= outer(step * g, a)."""
    for j in range(0, width, LANES):
        store(d, j, zeros(d))
    for i in range(rows):
        error = g[i]
        change = step * error
        row = i * width
        for j in range(0, width, LANES):
            w = load(W, row + j)
            store(d, j, load(d, j) + w * error)
            store(W, row + j, w - load(a, j) * change)
        for j in range(size, width):
            W[row + j] = 0


@_inline
def sigmoid(a, size, width):
    """Set a to 1 / (1 + exp(-a)), and its padding to 0."""
    for j in range(0, width, LANES):
        store(a, j, keep(flush(1 / (1 + exp(0 - load(a, j)))), size - j, 0))


@_inline
def through_sigmoid(d, a, size, width):
    """Multiply d by a (1 - a), the derivative of the sigmoid with the value a; set its padding to 0."""
    for j in range(0, width, LANES):
        x = load(a, j)
        store(d, j, keep(flush(load(d, j) * (x * (1 - x))), size - j, 0))


@_inline
def sigmoid_and_slope(a, slope, size, width):
    """Set a to its sigmoid, and slope to the notebook's derivative of it, which is NaN where exp(-a) is infinite."""
    for j in range(0, width, LANES):
        e = exp(0 - load(a, j))
        store(a, j, keep(1 / (1 + e), size - j, 0))
        store(slope, j, keep(e / ((e + 1) * (e + 1)), size - j, 0))


@_inline
def through_slope(d, slope, size, width):
    """Multiply d by the slope; set its padding to 0."""
    for j in range(0, width, LANES):
        store(d, j, keep(load(d, j) * load(slope, j), size - j, 0))


@_inline
def shift(z, amount, width):
    """Add an amount to every element of z, padding included."""
    for j in range(0, width, LANES):
        store(z, j, load(z, j) + amount)


@_inline
def shift_weights(W, amount, rows, size, width):
    """Add an amount to every element of W except the padding."""
    for i in range(rows):
        for j in range(i * width, i * width + size):
            W[j] += amount


@_inline
def sum_lanes(a, width):
    """Return the sum of a vector, added lane by lane and then as a tree."""
    added = zeros(a)
    for j in range(0, width, LANES):
        added = added + load(a, j)
    return total(added)


@_inline
def dot(a, b, width):
    """Return the scalar product of two vectors, added as in `sum_lanes`."""
    added = zeros(a)
    for j in range(0, width, LANES):
        added = added + load(a, j) * load(b, j)
    return total(added)


@_inline
def softmax(p, size, width):
    """Set p to exp(p - max(p)) / sum(exp(p - max(p))), and its padding to 0."""
    most = keep(load(p, 0), size, -np.inf)
    for j in range(LANES, width, LANES):
        most = larger(most, keep(load(p, j), size - j, -np.inf))
    peak = highest(most)
    added = zeros(p)
    for j in range(0, width, LANES):
        value = keep(flush(exp(load(p, j) - peak)), size - j, 0)
        store(p, j, value)
        added = added + value
    scale = total(added)
    for j in range(0, width, LANES):
        store(p, j, load(p, j) / scale)


@_inline
def cross_entropy_error(p, label, width):
    """Set p to the gradient of -log(p[label]) with respect to the input of the softmax: p - y."""
    for j in range(0, width, LANES):
        store(p, j, load(p, j) - one_hot(p, label - j))


@_inline
def sum_of_squares_error(p, label, width):
    """Set p to the gradient of sum((p - y)**2) through the softmax: 2 p (e - sum(p e)), where e = p - y."""
    weighted = zeros(p)
    for j in range(0, width, LANES):
        weighted = weighted + load(p, j) * (load(p, j) - one_hot(p, label - j))
    mean = total(weighted)
    for j in range(0, width, LANES):
        store(p, j, 2 * load(p, j) * ((load(p, j) - one_hot(p, label - j)) - mean))


@_inline
def prefetch_sample(indices, values, begin, end):
    """Prefetch a sample's entries: a cache line holds 16 values of four bytes, or at least 16 indices."""
    for entry in range(begin, end, LANES):
        prefetch(indices, entry)
        prefetch(values, entry)
