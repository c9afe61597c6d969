"""The notebook's training rule and accuracy exactly as in its code, to reproduce its results.

Both differ from what its text describes. Backpropagation takes the outer product of a layer's error with the
activations that come *into* the layer. The notebook's code takes the scalar product with the activations that go *out*
of it, and subtracts this one number from every weight of the layer, so that all weights of a layer change alike.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import reference
from nn.weights import Weights


def sigmoid_derivative(z: NDArray[Any]) -> NDArray[Any]:
    """Return exp(-z) / (exp(-z) + 1)**2. It is NaN where exp(-z) overflows, which then turns all weights into NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(-z)
        return e / (e + 1) ** 2  # type: ignore[no-any-return]


def changes(weights: Weights, x: NDArray[Any], y: NDArray[Any]) -> tuple[float, float, float]:
    """Return for each layer the number that the rule, times the learning rate, subtracts from all of its weights.

    The rule has no biases, and its output error is that of the cross-entropy. The sample x has shape (n_features,), its
    one-hot label y shape (n_classes,).
    """
    Z1 = weights.W1 @ x
    A1 = reference.sigmoid(Z1)
    Z2 = weights.W2 @ A1
    A2 = reference.sigmoid(Z2)
    A3 = reference.softmax(weights.W3 @ A2)
    error_3 = A3 - y
    error_2 = (weights.W3.T @ error_3) * sigmoid_derivative(Z2)
    error_1 = (weights.W2.T @ error_2) * sigmoid_derivative(Z1)
    return error_1 @ A1, error_2 @ A2, error_3 @ A3


def notebook_accuracy(predictions: NDArray[np.int64], labels: NDArray[np.int64], n_classes: int) -> float:
    """Return the number that the notebook prints as the accuracy of an epoch; class indices have shape (n_samples,).

    Its code compares the predicted class index with each element of the one-hot label, divides the sum over the
    samples by 100, and averages over the classes. A predicted 0 thus equals the n_classes - 1 zeros of the label, a
    predicted 1 equals its single one, and any other prediction equals nothing.
    """
    one_hot = np.eye(n_classes)[labels]
    equal = predictions[:, np.newaxis] == one_hot
    return float(np.average(equal.sum(axis=0) / 100.0))
