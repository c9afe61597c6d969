"""The interface of an engine, which trains weights one sample at a time, and the choice of an engine by its name."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nn.options.network import check_biases, check_options
from nn.samples import Samples
from nn.weights import Weights


class Engine(Protocol):
    """Holds a copy of one network's weights, trains them and predicts with them.

    Every engine is deterministic: the same weights, samples, order and learning rate give the same bits.
    `nn.kernel.engine.CompiledEngine`, `nn.reference.NumPyEngine` and `nn.notebook.NumPyNotebookEngine` implement it.
    """

    def train_epoch(self, samples: Samples, learning_rate: float, order: NDArray[np.int64] | None = None) -> None:
        """Update the weights once for every sample.

        Args:
            samples: The training set.
            learning_rate: The step size of gradient descent.
            order: int64, shape (n_samples,): the row indices in the order of training; None for ascending order.
        """
        ...

    def predict_proba(self, samples: Samples) -> NDArray[Any]:
        """Return the probability of each class, shape (n_samples, n_classes), in the dtype of the weights."""
        ...

    def predict(self, samples: Samples) -> NDArray[np.int64]:
        """Return the most probable class index, shape (n_samples,).

        The lowest index wins a tie. A row with NaN probabilities gets the index 0.
        """
        ...

    def weights(self) -> Weights:
        """Return a copy of the weights."""
        ...


def make_engine(name: str, weights: Weights, *, loss: str, rule: str = "backprop") -> Engine:
    """Return a new engine.

    Args:
        name: `compiled`, or `numpy`, which is readable and much slower.
        weights: The initial weights; copied.
        loss: `cross_entropy` or `sum_of_squares`.
        rule: `backprop`, or `notebook`, for which the loss does not matter.

    Raises:
        InvalidInputError: an argument is invalid, or the weights have biases, which the rule `notebook` does not have.
    """
    check_options(engine=name, loss=loss, rule=rule)
    check_biases(rule, weights.has_biases)
    # Imported on demand: `numpy` does not need the compiler that the compiled engine loads.
    if name == "compiled":
        from nn.kernel.engine import CompiledEngine

        return CompiledEngine(weights, loss=loss, rule=rule)
    if rule == "notebook":
        from nn.notebook import NumPyNotebookEngine

        return NumPyNotebookEngine(weights, loss=loss)
    from nn.reference import NumPyEngine

    return NumPyEngine(weights, loss=loss)
