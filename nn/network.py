"""The network as a scikit-learn classifier. Its training loop is the only one: the workers train through it too."""

from __future__ import annotations

import time
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from nn.checkpoint import Checkpoint, EpochRecord
from nn.engine import Engine
from nn.errors import InvalidInputError
from nn.options.network import MAX_SEED, check_options
from nn.samples import Samples, pack
from nn.weights import Weights, initial_weights

#: A validation set: samples ready to use, or a pair of features and labels.
ValidationSet = Samples | tuple[Any, ArrayLike]


class DeepNeuralNetwork(ClassifierMixin, BaseEstimator):
    """Two hidden layers of sigmoids under a softmax, without biases, trained by exact SGD: one sample, one update.

    Args:
        hidden_layer_sizes: Widths of the two hidden layers.
        learning_rate: The step of gradient descent. 0.03 gives the best accuracy on MNIST in 10 epochs.
        epochs: How often to go through the training set.
        loss: `cross_entropy`, or `sum_of_squares` of the probabilities' errors.
        rule: `backprop`, or `notebook`: the update that the notebook's code makes, which cannot learn.
        dtype: `float32` or `float64`: in what the network computes, what its weights are, and to what it rounds X
            (but not `Samples`, whose values it widens).
        shuffle: Whether each epoch takes the samples in a new order. Epoch k's order is
            `RandomState([seed, k]).permutation(n_samples)`, so it does not depend on what was trained before.
        engine: `compiled`, or `numpy`: readable, and much slower.
        random_state: An int gives the same initial weights and orders each time: the weights that the notebook draws
            after `np.random.seed(random_state)`.

    Attributes:
        classes_: The labels, sorted, shape (n_classes,).
        n_features_in_: How many features a sample has.
        feature_names_in_: Their names, if `X` had names that are all strings.
        weights_: The weights after the last epoch (`nn.weights.Weights`): each matrix has the shape (rows, columns) of
            the formula z = W a. scikit-learn's `coefs_` would be their transposes.
        history_: An `EpochRecord` for each epoch trained so far.
    """

    classes_: NDArray[Any]
    n_features_in_: int
    weights_: Weights
    history_: list[EpochRecord]
    _order_seed: int

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, int] = (128, 64),
        *,
        learning_rate: float = 0.03,
        epochs: int = 10,
        loss: str = "cross_entropy",
        rule: str = "backprop",
        dtype: str = "float32",
        shuffle: bool = False,
        engine: str = "compiled",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.loss = loss
        self.rule = rule
        self.dtype = dtype
        self.shuffle = shuffle
        self.engine = engine
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        validation_set: ValidationSet | None = None,
        callback: Callable[[DeepNeuralNetwork], object] | None = None,
        resume_from: Checkpoint | None = None,
    ) -> Self:
        """Train from new weights for `epochs` epochs.

        Args:
            X: shape (n_samples, n_features), dense or `scipy.sparse`; or `Samples`, used as they are, without a copy.
            y: The label of each sample, of any type; None with `Samples`, whose classes are 0, 1, and so on.
            validation_set: What to measure accuracy on after each epoch: `Samples`, or a pair (X, y).
            callback: Called after each epoch with this network, whose `history_` and `weights_` are up to date. An
                exception that it raises ends the training; the network then stands at the end of that epoch.
            resume_from: Where an earlier `fit` of the same network on the same samples stood. Going on gives the same
                bits as never having stopped; with `shuffle`, this takes an int as `random_state`.

        Raises:
            InvalidInputError: a parameter or an argument cannot be used; it is a ValueError.
            ValueError: scikit-learn's checks refuse X or y.
        """
        self._check_parameters()
        samples = self._take_first(X, y)
        self._start(samples)
        if resume_from is not None:
            self._resume(resume_from)
        validation = self._take_validation(validation_set)
        engine = self._make_engine()
        while len(self.history_) < self.epochs:
            self._train_epoch(engine, samples, validation)
            if callback is not None:
                callback(self)
        return self

    def partial_fit(self, X: Any, y: ArrayLike | None = None, classes: ArrayLike | None = None) -> Self:
        """Train for one epoch from the current weights, or from new ones on the first call.

        Args:
            X: As for `fit`.
            y: As for `fit`.
            classes: All labels that will ever be seen; needed on the first call, unless X is `Samples`.

        Raises:
            InvalidInputError: a parameter or an argument cannot be used; it is a ValueError.
            ValueError: scikit-learn's checks refuse X or y.
        """
        self._check_parameters()
        if hasattr(self, "weights_"):
            if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
                raise InvalidInputError("classes", classes, "the same as on the first call")
            samples = self._take(X, y)
        else:
            if classes is None and not isinstance(X, Samples):
                raise InvalidInputError("classes", None, "all labels, on the first call of partial_fit")
            samples = self._take_first(X, y, classes)
            self._start(samples)
        self._train_epoch(self._make_engine(), samples, None)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each sample, shape (n_samples,); X as for `fit`."""
        check_is_fitted(self)
        samples = self._take(X)
        labels: NDArray[Any] = self.classes_[self._make_engine().predict(samples)]
        return labels

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probability of each class, shape (n_samples, n_classes), columns as `classes_`; X as for `fit`."""
        check_is_fitted(self)
        samples = self._take(X)
        return self._make_engine().predict_proba(samples)

    def checkpoint(self) -> Checkpoint:
        """Return where training stands, for `fit(..., resume_from=...)`."""
        check_is_fitted(self)
        return Checkpoint(self.weights_, tuple(self.history_))

    def _check_parameters(self) -> None:
        """Raise `InvalidInputError` for the first parameter that is invalid."""
        parameters = self.get_params(deep=False)
        seed = parameters.pop("random_state")
        try:
            check_options(**{name: _plain(value) for name, value in parameters.items()})
        except InvalidInputError as error:
            raise InvalidInputError(error.field, parameters[error.field], error.allowed) from None
        if isinstance(seed, Integral) and not 0 <= int(seed) <= MAX_SEED:
            raise InvalidInputError(
                "random_state", seed, f"an integer from 0 to {MAX_SEED}, a RandomState instance, or None"
            )

    def _take_first(self, X: Any, y: ArrayLike | None, classes: ArrayLike | None = None) -> Samples:
        """Check the samples of a new training, and learn from them what the features and classes are."""
        if isinstance(X, Samples):
            if len(X) == 0:
                raise InvalidInputError("X", "no samples", "at least one")
            self.classes_ = np.arange(X.n_classes)
            self.n_features_in_ = X.n_features
            self.__dict__.pop("feature_names_in_", None)
            return X
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=self.dtype)
        check_classification_targets(y)
        self.classes_ = np.unique(y if classes is None else classes)
        return pack(X, self._encode(y), len(self.classes_))

    def _take(self, X: Any, y: ArrayLike | None = None) -> Samples:
        """Check samples against those of the first training; without y, their labels mean nothing."""
        if isinstance(X, Samples):
            if X.n_features != self.n_features_in_:
                raise InvalidInputError("X", f"{X.n_features} features", f"{self.n_features_in_}, as in fit")
            if X.n_classes > len(self.classes_):
                raise InvalidInputError("X", f"{X.n_classes} classes", f"at most {len(self.classes_)}, as in fit")
            return X
        dtype = self.weights_.W1.dtype
        if y is None:
            X = validate_data(self, X, accept_sparse="csr", dtype=dtype, reset=False)
            return pack(X, np.zeros(X.shape[0]), len(self.classes_))
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=dtype, reset=False)
        return pack(X, self._encode(y), len(self.classes_))

    def _take_validation(self, validation_set: ValidationSet | None) -> Samples | None:
        if validation_set is None:
            return None
        if isinstance(validation_set, Samples):
            return self._take(validation_set)
        X, y = validation_set
        return self._take(X, y)

    def _encode(self, y: Any) -> NDArray[np.int64]:
        """Return the index in `classes_` of each label."""
        index: NDArray[np.int64] = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        unknown = self.classes_[index] != y
        if unknown.any():
            raise InvalidInputError(
                "y", y[unknown].tolist()[0], f"one of the {len(self.classes_)} classes of the training"
            )
        return index

    def _train_epoch(self, engine: Engine, samples: Samples, validation: Samples | None) -> None:
        started = time.perf_counter()
        epoch = len(self.history_) + 1
        order = np.random.RandomState([self._order_seed, epoch]).permutation(len(samples)) if self.shuffle else None
        engine.train_epoch(samples, float(self.learning_rate), order)
        accuracies = self._measure(engine, validation) if validation is not None else (None, None)
        self.weights_ = engine.weights()
        self.history_.append(EpochRecord(epoch, time.perf_counter() - started, *accuracies))

    def _measure(self, engine: Engine, validation: Samples) -> tuple[float, float | None]:
        predictions = engine.predict(validation)
        accuracy = float(np.mean(predictions == validation.labels))
        if self.rule != "notebook":
            return accuracy, None
        from nn.notebook import notebook_accuracy

        return accuracy, float(notebook_accuracy(predictions, validation.labels, len(self.classes_)))

    def _start(self, samples: Samples) -> None:
        """Draw the initial weights, and what shuffling needs."""
        random_state = check_random_state(self.random_state)
        hidden_1, hidden_2 = self.hidden_layer_sizes
        sizes = samples.n_features, int(hidden_1), int(hidden_2), len(self.classes_)
        self.weights_ = initial_weights(sizes, random_state, self.dtype)
        self.history_ = []
        if isinstance(self.random_state, Integral):
            self._order_seed = int(self.random_state)
        else:
            self._order_seed = int(random_state.randint(2**32, dtype=np.uint32))

    def _resume(self, checkpoint: Checkpoint) -> None:
        expected = self.weights_
        if checkpoint.epochs > self.epochs:
            raise InvalidInputError("resume_from", f"{checkpoint.epochs} epochs", f"at most {self.epochs}, the epochs")
        for name, matrix, drawn in zip(Weights._fields, checkpoint.weights, expected, strict=True):
            if (matrix.shape, matrix.dtype) != (drawn.shape, drawn.dtype):
                found = f"{name} of {matrix.shape}, {matrix.dtype}"
                raise InvalidInputError("resume_from", found, f"{drawn.shape}, {drawn.dtype}")
        self.weights_ = checkpoint.weights
        self.history_ = list(checkpoint.history)

    def _make_engine(self) -> Engine:
        # Imported where they are used: who trains with NumPy alone does not wait for a compiler to load.
        if self.rule == "notebook":
            from nn.notebook import notebook_engine

            return notebook_engine(self.weights_, engine=self.engine)
        if self.engine == "numpy":
            from nn.reference import NumPyEngine

            return NumPyEngine(self.weights_, loss=self.loss)
        from nn.kernel.engine import CompiledEngine

        return CompiledEngine(self.weights_, loss=self.loss)


def _plain(value: object) -> object:
    """Return a parameter in Python's own types: scikit-learn's tools also set lists and NumPy's scalars."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return tuple(map(_plain, value))
    if isinstance(value, Real) and not isinstance(value, Integral):
        return float(value)
    return value


def print_epoch(network: DeepNeuralNetwork) -> None:
    """Print the notebook's line for the last epoch; a callback for `fit`.

    The time is that of all epochs so far. The accuracy is a percentage; for `rule="notebook"` it is the notebook's own.
    """
    last = network.history_[-1]
    line = f"Epoch: {last.epoch}, Time Spent: {sum(record.seconds for record in network.history_):.2f}s"
    accuracy = last.notebook_accuracy
    if accuracy is None and last.validation_accuracy is not None:
        accuracy = 100 * last.validation_accuracy
    print(line if accuracy is None else f"{line}, Accuracy: {round(accuracy, 3)}")
