"""What an engine is: something that trains weights in place, one sample at a time."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nn.samples import Samples
from nn.weights import Weights


class Engine(Protocol):
    """Holds one network's weights, trains them and predicts with them.

    Every engine is a pure function of its arguments: the same weights, samples, order and learning rate give the same
    bits. The engines are `nn.kernel.engine.CompiledEngine`, `nn.reference.NumPyEngine` and, for the notebook's rule,
    the one that `nn.notebook.notebook_engine` returns.
    """

    def train_epoch(self, samples: Samples, learning_rate: float, order: NDArray[np.int64] | None = None) -> None:
        """Update the weights once for every sample, in the order of the rows or in the given `order` of row indices."""
        ...

    def predict_proba(self, samples: Samples) -> NDArray[Any]:
        """Return the probability of each class, shape (n_samples, n_classes), in the engine's dtype."""
        ...

    def predict(self, samples: Samples) -> NDArray[np.int64]:
        """Return the most probable class index, shape (n_samples,); the lowest index wins a tie, and 0 a NaN."""
        ...

    def weights(self) -> Weights:
        """Return a copy of the weights in their public shapes."""
        ...
