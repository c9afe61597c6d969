"""The training loop, its record of an epoch, its checkpoint, and the choice of the engine that trains an epoch.

`DeepNeuralNetwork` and workers train through it. It does not import scikit-learn, which would delay every worker by a
second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nn.errors import Described, InvalidInputError
from nn.options.network import check_biases, check_options
from nn.samples import Samples
from nn.weights import LayerSizes, Weights, initial_weights


class Engine(Protocol):
    """Holds a copy of one network's weights, trains them and predicts with them.

    Every engine is deterministic: the same weights, samples, order and learning rate give the same bits.
    `nn.kernel.engine.CompiledEngine` and `nn.reference.NumPyEngine` implement it.
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

    def weights(self) -> Weights:
        """Return a copy of the weights."""
        ...


def predict(engine: Engine, samples: Samples) -> NDArray[np.int64]:
    """Return the most probable class index, shape (n_samples,): the lowest of a tie, and 0 if probabilities are NaN."""
    best: NDArray[np.int64] = np.argmax(engine.predict_proba(samples), axis=1)
    return best


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
    from nn.notebook import changes
    from nn.reference import NumPyEngine

    return NumPyEngine(weights, loss=loss, gradients=changes if rule == "notebook" else None)


class EpochRecord(NamedTuple):
    """The duration and the accuracy of one epoch.

    Attributes:
        epoch: The number of the epoch, counted from 1.
        seconds: The duration of training and validation together.
        validation_accuracy: The share of the validation set that is classified correctly, from 0 to 1; None without a
            validation set.
        notebook_accuracy: The number that the notebook would have printed (`nn.notebook.notebook_accuracy`); None
            unless the rule is `notebook` and there is a validation set.
    """

    epoch: int
    seconds: float
    validation_accuracy: float | None = None
    notebook_accuracy: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """The state of training at the end of an epoch. `fit(..., resume_from=checkpoint)` continues to the same bits.

    It holds no state of a random generator, because the order of an epoch depends on the seed and the number of the
    epoch only.

    Attributes:
        weights: The weights after the last epoch of the history.
        history: The record of each epoch so far.
    """

    weights: Weights
    history: tuple[EpochRecord, ...] = ()

    @property
    def epochs(self) -> int:
        """The number of epochs trained so far."""
        return len(self.history)


@dataclass
class Training:
    """A network in training.

    Attributes:
        weights: The weights after the last epoch of the history.
        learning_rate: The step size of gradient descent.
        epochs: The number of epochs that `run` trains to, unless the training diverges.
        loss, rule, engine: As for `make_engine`.
        shuffle: Whether each epoch takes the samples in a new order.
        order_seed: The order of epoch k is `RandomState([order_seed, k]).permutation(n_samples)`: it does not depend on
            the epochs before.
        history: One record per epoch trained so far.
        correct: Whether `run` last classified each validation sample correctly, shape (n_validation,).
    """

    weights: Weights
    learning_rate: float
    epochs: int
    loss: str
    rule: str
    shuffle: bool
    engine: str
    order_seed: int
    history: list[EpochRecord] = field(default_factory=list)
    correct: NDArray[np.bool_] = field(init=False, repr=False, compare=False)

    @classmethod
    def begin(cls, layer_sizes: LayerSizes, random_state: int | np.random.RandomState, **options: Any) -> Training:
        """Draw the initial weights, as `nn.weights.initial_weights` does, and the seed of the orders.

        `random_state` is a seed, which also seeds the orders, or a generator, which then draws their seed. `options`
        are the other attributes, and the other arguments of `initial_weights`.
        """
        attributes = {each.name: options.pop(each.name) for each in fields(cls) if each.name in options}
        generator = np.random.RandomState(random_state) if isinstance(random_state, int) else random_state
        weights = initial_weights(layer_sizes, generator, **options)
        order_seed = random_state if isinstance(random_state, int) else int(generator.randint(2**32, dtype=np.uint32))
        return cls(weights, order_seed=order_seed, **attributes)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same training.

        Raises:
            InvalidInputError: the checkpoint has more epochs, or weights of another shape or dtype, or only one of the
                two networks has biases.
        """
        if checkpoint.epochs > self.epochs:
            raise InvalidInputError("resume_from", f"{checkpoint.epochs} epochs", f"at most {self.epochs}, the epochs")
        given, drawn = checkpoint.weights.tensors, self.weights.tensors
        if given.keys() != drawn.keys():
            raise InvalidInputError("resume_from", Described(f"a checkpoint of {', '.join(given)}"), ", ".join(drawn))
        for name, array in drawn.items():
            if (given[name].shape, given[name].dtype) != (array.shape, array.dtype):
                found = f"{name} of {given[name].shape}, {given[name].dtype}"
                raise InvalidInputError("resume_from", found, f"{array.shape}, {array.dtype}")
        self.weights = checkpoint.weights
        self.history = list(checkpoint.history)

    @property
    def diverged(self) -> bool:
        """Whether a weight is not finite after the last epoch of the history: it cannot become finite again."""
        return bool(self.history) and not self.weights.is_finite

    @property
    def ended(self) -> bool:
        """Whether no epoch is left to train."""
        return len(self.history) >= self.epochs or self.diverged

    def run(self, samples: Samples, validation: Samples | None) -> Iterator[EpochRecord]:
        """Train the remaining epochs; yield after each one, with `weights` and `history` up to date.

        Training ends with the epoch in which it diverges.
        """
        engine = make_engine(self.engine, self.weights, loss=self.loss, rule=self.rule)
        while not self.ended:
            started, epoch = time.perf_counter(), len(self.history) + 1
            order = np.random.RandomState([self.order_seed, epoch]).permutation(len(samples)) if self.shuffle else None
            engine.train_epoch(samples, float(self.learning_rate), order)
            accuracies = self._measure(engine, validation) if validation is not None else (None, None)
            self.weights = engine.weights()
            self.history.append(EpochRecord(epoch, time.perf_counter() - started, *accuracies))
            yield self.history[-1]

    def _measure(self, engine: Engine, validation: Samples) -> tuple[float, float | None]:
        predictions = predict(engine, validation)
        self.correct = predictions == validation.labels
        accuracy = float(np.mean(self.correct))
        if self.rule != "notebook":
            return accuracy, None
        from nn.notebook import notebook_accuracy

        return accuracy, float(notebook_accuracy(predictions, validation.labels, len(self.weights.W3)))
