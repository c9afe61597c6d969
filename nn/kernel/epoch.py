"""The functions that numba compiles once per shape: one epoch of training, and the class probabilities.

Each `make_...` takes the widths of the three layers and the scalar type, which become constants of the compiled code,
and returns a Python function for `nn.kernel.engine`. Weights are flat arrays, W1 transposed; samples are the arrays of
`nn.samples.Samples`. Without biases, b1, b2 and b3 are None, and no code for them is compiled.

They are made of the steps of one layer, forward and backward, which stand first. `nn.reference` has the same
mathematics in plain NumPy. Weights and activations are padded: a row of `width` floats is a whole number of vectors;
its first `size` floats are data, the others zero. Padding never affects a weight: the sigmoids and errors of padding
are set to zero, and padding that an update may have turned into NaN is reset to zero.
"""

# Compiled code: numba infers the types.
# mypy: allow-untyped-defs, allow-untyped-calls

from collections.abc import Callable
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
    pointer,
    prefetch,
    scratch,
    store,
    total,
    zeros,
)

#: The number of rows of a matrix-vector product that are summed at once.
ROWS = 4
_N_PARTIAL = ROWS * LANES

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
    """Add the bias b, if any, to z. Padding of b need not be zero: the next activation sets its own padding to 0."""
    if b is not None:
        for j in range(0, width, LANES):
            store(z, j, load(z, j) + load(b, j))


@_inline
def update_bias(b, d, step, width):
    """Do b -= step * d, if there is a bias b."""
    if b is not None:
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
def forward(a1, a2, p, W1, W2, W3, b1, b2, b3, sizes, widths, partial, indices, values, begin, end):
    """Set a1, a2 and p to the activations of the layers for a sample's entries."""
    sparse_product(a1, W1, widths[0], indices, values, begin, end)
    add_bias(a1, b1, widths[0])
    sigmoid(a1, sizes[0], widths[0])
    product(a2, W2, a1, sizes[1], widths[0], partial)
    add_bias(a2, b2, widths[1])
    sigmoid(a2, sizes[1], widths[1])
    product(p, W3, a2, sizes[2], widths[1], partial)
    add_bias(p, b3, widths[2])
    softmax(p, sizes[2], widths[2])


@_inline
def prefetch_sample(indices, values, begin, end):
    """Prefetch a sample's entries: a cache line holds 16 values of four bytes, or at least 16 indices."""
    for entry in range(begin, end, LANES):
        prefetch(indices, entry)
        prefetch(values, entry)


def padded(size: int) -> int:
    """Return `size` rounded up to whole vectors."""
    return -(-size // LANES) * LANES


def make_backprop_epoch(n1: int, n2: int, n3: int, scalar: Any, loss: str) -> Callable[..., None]:
    """Return one epoch of SGD with one update per sample; `loss` is a loss of `nn.options.network`."""
    sizes, widths = (n1, n2, n3), (padded(n1), padded(n2), padded(n3))
    w1, w2, w3 = widths
    squares = loss == "sum_of_squares"

    def train_epoch(W1, W2, W3, b1, b2, b3, spans, indices, values, labels, order, learning_rate):
        W1, W2, W3 = pointer(W1), pointer(W2), pointer(W3)
        b1, b2, b3 = pointer(b1), pointer(b2), pointer(b3)
        spans, indices, values, labels = pointer(spans), pointer(indices), pointer(values), pointer(labels)
        a1, d1 = scratch(w1, scalar), scratch(w1, scalar)
        a2, d2 = scratch(w2, scalar), scratch(w2, scalar)
        p, partial = scratch(w3, scalar), scratch(_N_PARTIAL, scalar)
        n_samples = order.shape[0]
        for s in range(n_samples):
            sample = order[s]
            begin, end = spans[2 * sample], spans[2 * sample + 1]
            # The CPU cannot predict where the next samples of a shuffled order are.
            following = order[min(s + 1, n_samples - 1)]
            prefetch_sample(indices, values, spans[2 * following], spans[2 * following + 1])
            distant = order[min(s + 4, n_samples - 1)]
            prefetch(spans, 2 * distant)
            prefetch(labels, distant)

            forward(a1, a2, p, W1, W2, W3, b1, b2, b3, sizes, widths, partial, indices, values, begin, end)
            if squares:
                sum_of_squares_error(p, labels[sample], w3)
            else:
                cross_entropy_error(p, labels[sample], w3)
            back_product_and_update(d2, W3, p, a2, learning_rate, n3, n2, w2)
            through_sigmoid(d2, a2, n2, w2)
            back_product_and_update(d1, W2, d2, a1, learning_rate, n2, n1, w1)
            through_sigmoid(d1, a1, n1, w1)
            update_bias(b3, p, learning_rate, w3)
            update_bias(b2, d2, learning_rate, w2)
            update_bias(b1, d1, learning_rate, w1)
            sparse_update(W1, w1, d1, learning_rate, indices, values, begin, end)

    return train_epoch


def make_notebook_epoch(n1: int, n2: int, n3: int, scalar: Any) -> Callable[..., None]:
    """Return one epoch of the notebook's rule as printed, which `nn.notebook` defines.

    The rule adds the same amount to every weight of a layer. The sums of these amounts, c1 to c3, therefore represent
    the updates until the end of the epoch: (W + c) x = W x + c sum(x), and likewise for the transpose. The rule has no
    biases: b1, b2 and b3 are None.
    """
    w1, w2, w3 = padded(n1), padded(n2), padded(n3)

    def train_epoch(W1, W2, W3, _b1, _b2, _b3, spans, indices, values, labels, order, learning_rate):
        n0 = W1.shape[0] // w1
        W1, W2, W3, indices, values = pointer(W1), pointer(W2), pointer(W3), pointer(indices), pointer(values)
        a1, slope1, d1 = scratch(w1, scalar), scratch(w1, scalar), scratch(w1, scalar)
        a2, slope2, d2 = scratch(w2, scalar), scratch(w2, scalar), scratch(w2, scalar)
        a3, d3, partial = scratch(w3, scalar), scratch(w3, scalar), scratch(_N_PARTIAL, scalar)
        c1, c2, c3 = scalar(0), scalar(0), scalar(0)
        for sample in order:
            begin, end = spans[2 * sample], spans[2 * sample + 1]
            sparse_product(a1, W1, w1, indices, values, begin, end)
            x_sum = scalar(0)
            for entry in range(begin, end):
                x_sum += scalar(values[entry])
            shift(a1, c1 * x_sum, w1)
            sigmoid_and_slope(a1, slope1, n1, w1)
            product(a2, W2, a1, n2, w1, partial)
            shift(a2, c2 * sum_lanes(a1, w1), w2)
            sigmoid_and_slope(a2, slope2, n2, w2)
            product(a3, W3, a2, n3, w2, partial)
            shift(a3, c3 * sum_lanes(a2, w2), w3)
            softmax(a3, n3, w3)

            for j in range(w3):
                d3[j] = a3[j]
            cross_entropy_error(d3, labels[sample], w3)
            back_product(d2, W3, d3, n3, w2)
            shift(d2, c3 * sum_lanes(d3, w3), w2)
            through_slope(d2, slope2, n2, w2)
            back_product(d1, W2, d2, n2, w1)
            shift(d1, c2 * sum_lanes(d2, w2), w1)
            through_slope(d1, slope1, n1, w1)
            c3 -= learning_rate * dot(d3, a3, w3)
            c2 -= learning_rate * dot(d2, a2, w2)
            c1 -= learning_rate * dot(d1, a1, w1)
        shift_weights(W1, c1, n0, n1, w1)
        shift_weights(W2, c2, n2, n1, w1)
        shift_weights(W3, c3, n3, n2, w2)

    return train_epoch


def make_probabilities(n1: int, n2: int, n3: int, scalar: Any) -> Callable[..., None]:
    """Return the forward pass for every sample: fills `probabilities`, shape (n_samples, n3)."""
    sizes, widths = (n1, n2, n3), (padded(n1), padded(n2), padded(n3))

    def predict(W1, W2, W3, b1, b2, b3, spans, indices, values, probabilities):
        W1, W2, W3, indices, values = pointer(W1), pointer(W2), pointer(W3), pointer(indices), pointer(values)
        b1, b2, b3 = pointer(b1), pointer(b2), pointer(b3)
        a1, a2, p = scratch(widths[0], scalar), scratch(widths[1], scalar), scratch(widths[2], scalar)
        partial = scratch(_N_PARTIAL, scalar)
        for sample in range(probabilities.shape[0]):
            begin, end = spans[2 * sample], spans[2 * sample + 1]
            forward(a1, a2, p, W1, W2, W3, b1, b2, b3, sizes, widths, partial, indices, values, begin, end)
            for k in range(n3):
                probabilities[sample, k] = p[k]

    return predict
