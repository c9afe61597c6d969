"""The functions that numba compiles once per shape: one epoch of training, and the class probabilities.

Each `make_...` takes the widths of the three layers and the scalar type, which become constants of the compiled code,
and returns a Python function for `nn.kernel.compile`. Weights are flat arrays in the padded layout of
`nn.kernel.layers`, W1 transposed; samples are the arrays of `nn.samples.Samples`. Whether there are biases is a
constant, too: without them, b1, b2 and b3 are None, and no code for them is compiled.
"""

# Compiled code: numba infers the types.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nn.kernel.layers import (
    ROWS,
    add_bias,
    back_product,
    back_product_and_update,
    cross_entropy_error,
    dot,
    prefetch_sample,
    product,
    shift,
    shift_weights,
    sigmoid,
    sigmoid_and_slope,
    softmax,
    sparse_product,
    sparse_update,
    sum_lanes,
    sum_of_squares_error,
    through_sigmoid,
    through_slope,
    update_bias,
)
from nn.kernel.vectors import LANES, pointer, prefetch, scratch

_N_PARTIAL = ROWS * LANES


def padded(size: int) -> int:
    """Return `size` rounded up to whole vectors."""
    return -(-size // LANES) * LANES


def make_backprop_epoch(n1: int, n2: int, n3: int, scalar: Any, loss: str, *, biases: bool) -> Callable[..., None]:
    """Return one epoch of SGD with one update per sample; `loss` is a loss of `nn.options.network`."""
    w1, w2, w3 = padded(n1), padded(n2), padded(n3)
    squares = loss == "sum_of_squares"

    def train_epoch(W1, W2, W3, b1, b2, b3, spans, indices, values, labels, order, learning_rate):
        W1, W2, W3 = pointer(W1), pointer(W2), pointer(W3)
        if biases:
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

            sparse_product(a1, W1, w1, indices, values, begin, end)
            if biases:
                add_bias(a1, b1, w1)
            sigmoid(a1, n1, w1)
            product(a2, W2, a1, n2, w1, partial)
            if biases:
                add_bias(a2, b2, w2)
            sigmoid(a2, n2, w2)
            product(p, W3, a2, n3, w2, partial)
            if biases:
                add_bias(p, b3, w3)
            softmax(p, n3, w3)

            if squares:
                sum_of_squares_error(p, labels[sample], w3)
            else:
                cross_entropy_error(p, labels[sample], w3)
            back_product_and_update(d2, W3, p, a2, learning_rate, n3, n2, w2)
            through_sigmoid(d2, a2, n2, w2)
            back_product_and_update(d1, W2, d2, a1, learning_rate, n2, n1, w1)
            through_sigmoid(d1, a1, n1, w1)
            if biases:
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


def make_probabilities(n1: int, n2: int, n3: int, scalar: Any, *, biases: bool) -> Callable[..., None]:
    """Return the forward pass for every sample: fills `probabilities`, shape (n_samples, n3)."""
    w1, w2, w3 = padded(n1), padded(n2), padded(n3)

    def predict(W1, W2, W3, b1, b2, b3, spans, indices, values, probabilities):
        W1, W2, W3, indices, values = pointer(W1), pointer(W2), pointer(W3), pointer(indices), pointer(values)
        if biases:
            b1, b2, b3 = pointer(b1), pointer(b2), pointer(b3)
        a1, a2, p = scratch(w1, scalar), scratch(w2, scalar), scratch(w3, scalar)
        partial = scratch(_N_PARTIAL, scalar)
        for sample in range(probabilities.shape[0]):
            sparse_product(a1, W1, w1, indices, values, spans[2 * sample], spans[2 * sample + 1])
            if biases:
                add_bias(a1, b1, w1)
            sigmoid(a1, n1, w1)
            product(a2, W2, a1, n2, w1, partial)
            if biases:
                add_bias(a2, b2, w2)
            sigmoid(a2, n2, w2)
            product(p, W3, a2, n3, w2, partial)
            if biases:
                add_bias(p, b3, w3)
            softmax(p, n3, w3)
            for k in range(n3):
                probabilities[sample, k] = p[k]

    return predict
