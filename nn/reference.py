"""Stochastic gradient descent in plain NumPy: the readable definition of what `nn.kernel.engine` computes.

The names are the notebook's: A1 and A2 are the activations of the hidden layers, A3 those of the output layer. The
weights have the shapes of `nn.weights.Weights`; a sample x has shape (n_features,), a one-hot label y (n_classes,).
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.samples import Samples
from nn.weights import Weights

Array = NDArray[Any]


def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + exp(-z)), which is 0 where exp(-z) overflows."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


def sigmoid_derivative(a: Array) -> Array:
    """Return the derivative of the sigmoid at z, a (1 - a), given its value a = sigmoid(z)."""
    return a * (1 - a)  # type: ignore[no-any-return]


def softmax(z: Array) -> Array:
    """Return exp(z) / sum(exp(z)), computed from z - max(z) so that nothing overflows."""
    exps = np.exp(z - z.max())
    return exps / exps.sum()  # type: ignore[no-any-return]


def affine(W: Array, a: Array, b: Array | None) -> Array:
    """Return the input of a layer's activation function: W a + b, or W a in a network without biases."""
    return W @ a if b is None else W @ a + b


def forward(weights: Weights, x: Array) -> tuple[Array, Array, Array]:
    """Return the activations of the layers for one sample: A1 (hidden_1,), A2 (hidden_2,), A3 (n_classes,)."""
    A1 = sigmoid(affine(weights.W1, x, weights.b1))
    A2 = sigmoid(affine(weights.W2, A1, weights.b2))
    return A1, A2, softmax(affine(weights.W3, A2, weights.b3))


def cross_entropy_error(output: Array, y: Array) -> Array:
    """Return the gradient of -sum(y log(output)) with respect to the input of the softmax: output - y."""
    return output - y


def sum_of_squares_error(output: Array, y: Array) -> Array:
    """Return the gradient of sum((output - y)**2), which has no factor of one half, likewise.

    By the chain rule it is 2 J (output - y), where J is the Jacobian of the softmax,
    J[i, k] = output[i] (delta[i, k] - output[k]).
    """
    jacobian = np.diag(output) - np.outer(output, output)
    return jacobian @ (2 * (output - y))  # type: ignore[no-any-return]


_ERRORS = {"cross_entropy": cross_entropy_error, "sum_of_squares": sum_of_squares_error}


def backward(weights: Weights, x: Array, y: Array, *, loss: str) -> Weights:
    """Return the gradient of the loss with respect to each weight, in the shapes of the weights.

    This is backpropagation (Rumelhart, Hinton and Williams, Nature 323, 1986): the error of a layer is the gradient of
    the loss with respect to the input of its activation function, and the gradient of a weight is the error of the node
    that it leads to times the activation of the node that it comes from. A bias is a weight from a node whose
    activation is always 1.
    """
    A1, A2, A3 = forward(weights, x)
    error_3 = _ERRORS[loss](A3, y)
    error_2 = (weights.W3.T @ error_3) * sigmoid_derivative(A2)
    error_1 = (weights.W2.T @ error_2) * sigmoid_derivative(A1)
    biases = (error_1, error_2, error_3) if weights.has_biases else ()
    return Weights(np.outer(error_1, x), np.outer(error_2, A1), np.outer(error_3, A2), *biases)


def update(weights: Weights, gradients: Iterable[Any], learning_rate: float) -> None:
    """Update the weights in place: W -= learning_rate * gradient."""
    for W, gradient in zip(weights, gradients, strict=True):
        W -= W.dtype.type(learning_rate) * gradient


class NumPyEngine:
    """Trains like `nn.kernel.engine.CompiledEngine`, with the functions of this module.

    Args:
        weights: The initial weights; copied.
        loss: `cross_entropy` or `sum_of_squares`.
        gradients: What is computed from the weights, a sample and its label, instead of the gradients of the loss.
    """

    def __init__(self, weights: Weights, *, loss: str, gradients: Callable[..., Iterable[Any]] | None = None) -> None:
        self._gradients = gradients or functools.partial(backward, loss=loss)
        self._weights = Weights(*(matrix.copy() for matrix in weights))

    def train_epoch(self, samples: Samples, learning_rate: float, order: NDArray[np.int64] | None = None) -> None:
        """Update the weights once for every sample; see `nn.training.Engine`."""
        dtype = self._weights.W1.dtype
        one_hot = np.eye(len(self._weights.W3), dtype=dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for row in range(len(samples)) if order is None else order:
                x, y = samples.dense(row, dtype), one_hot[samples.labels[row]]
                update(self._weights, self._gradients(self._weights, x, y), learning_rate)

    def predict_proba(self, samples: Samples) -> Array:
        """Return the probability of each class; see `nn.training.Engine`. Rows are computed one by one."""
        dtype = self._weights.W1.dtype
        probabilities = np.empty((len(samples), len(self._weights.W3)), dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for row in range(len(samples)):
                probabilities[row] = forward(self._weights, samples.dense(row, dtype))[-1]
        return probabilities

    def weights(self) -> Weights:
        """Return a copy of the weights."""
        return Weights(*(matrix.copy() for matrix in self._weights))
