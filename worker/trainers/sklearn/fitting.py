"""Fits an estimator: epoch by epoch if it trains in passes, at once otherwise."""

import contextlib
import functools
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from nn.errors import InvalidInputError, WeightsError
from worker.trainers.protocol import MAX_BYTES, MAX_SCORE, Checkpoint, OnEpoch, Trained
from worker.trainers.sklearn import state
from worker.trainers.sklearn.estimators import MEAN_SQUARED_ERROR, estimator
from worker.trainers.sklearn.options import SklearnOptions, parameters
from worker.trainers.sklearn.sources import SklearnData

#: scikit-learn's words for numbers that left the range of floating point; the data set has finite numbers only.
_DIVERGED = re.compile(r"overflow|non-finite|infinity|\bNaNs?\b", re.IGNORECASE)
#: Attributes of an estimator that must be finite.
_COEFFICIENTS = ("coef_", "intercept_", "coefs_", "intercepts_", "dual_coef_")


class Divergence(Exception):  # noqa: N818 - an end of training, not an error
    """A number left the range of floating point: `what` is now `how`."""

    def __init__(self, what: str, how: str = "infinite or not a number") -> None:
        super().__init__(f"{what} is {how}")


class Fitting:
    """One job in training. The seed is the estimator's `random_state`; the order of samples is drawn from it, too."""

    def __init__(self, options: SklearnOptions, seed: int, data: SklearnData) -> None:
        found = estimator(options.estimator)
        self.kind = found.kind
        self.in_epochs = found.in_epochs
        self.x_train, self.x_validation = data.samples(options.standardize)
        self.y_train, self.y_validation = data.targets(found.kind)
        self._seed = seed
        self._more: dict[str, Any] = {"classes": np.arange(len(data.classes))} if found.kind == "classifier" else {}
        with alone(self._seed):
            self.estimator = found.make(parameters(options), seed)

    def train(self, epoch: int) -> None:
        """Train one epoch: the whole training, or one pass over the samples.

        The order of the samples depends on the seed and the epoch only, so that resuming needs no generator's state.

        Raises:
            Divergence: a number became infinite or NaN.
        """
        with alone(self._seed):
            if not self.in_epochs:
                self.estimator.fit(self.x_train, self.y_train)
            else:
                order = np.random.default_rng([self._seed, epoch]).permutation(len(self.x_train))
                self.estimator.partial_fit(self.x_train[order], self.y_train[order], **self._more)
        if not all(np.isfinite(each).all() for each in self._coefficients()):
            raise Divergence("a coefficient")

    def _coefficients(self) -> Iterator[NDArray[Any]]:
        for name in _COEFFICIENTS:
            found = vars(self.estimator).get(name)
            for each in found if isinstance(found, list) else [found]:
                if isinstance(each, np.ndarray) and each.dtype.kind == "f":
                    yield each

    def predict(self) -> NDArray[Any]:
        """Return the predictions for the validation samples, shape (n_validation,).

        Raises:
            Divergence: a prediction is infinite or NaN.
        """
        with alone(self._seed):
            predicted: NDArray[Any] = np.asarray(self.estimator.predict(self.x_validation)).reshape(-1)
        if predicted.shape != self.y_validation.shape:
            raise InvalidInputError("estimator", type(self.estimator).__name__, "one that predicts a value a sample")
        if not np.isfinite(predicted).all():
            raise Divergence("a prediction")
        return predicted

    def score(self, predicted: NDArray[Any]) -> tuple[float, dict[str, float]]:
        """Return the metric and the further metrics of some predictions: accuracy, or R2 and mean squared error.

        Raises:
            Divergence: a metric is NaN, or out of the range of metrics.
        """
        if self.kind == "classifier":
            return float(np.mean(predicted == self.y_validation)), {}
        from sklearn.metrics import mean_squared_error, r2_score

        with np.errstate(all="ignore"):
            r2, error = (float(each(self.y_validation, predicted)) for each in (r2_score, mean_squared_error))
        if not (abs(r2) <= MAX_SCORE and error <= MAX_SCORE):
            raise Divergence("a metric", f"beyond {MAX_SCORE:g}, or not a number")
        return r2, {MEAN_SQUARED_ERROR: error}

    def resume(self, checkpoint: bytes) -> None:
        """Continue from a checkpoint of the same job.

        Raises:
            WeightsError: it is not a checkpoint of such a job.
        """
        few = np.arange(min(len(self.x_train), 16))
        with alone(self._seed):
            self.estimator.partial_fit(self.x_train[few], self.y_train[few], **self._more)
        state.resume(self.estimator, checkpoint)


def fit(
    fitting: Fitting, epochs: int, about: Mapping[str, Any], on_epoch: OnEpoch, begin: Checkpoint | None
) -> Trained:
    """Train all epochs, after a checkpoint if one is given; `about` becomes the artifact's metadata.

    Raises:
        WeightsError: the checkpoint is invalid.
        InvalidInputError: the fitted estimator is too large to be kept.
    """
    done = 0
    if begin is not None:
        if not fitting.in_epochs or not 0 < begin.epochs < epochs:
            raise WeightsError(f"the checkpoint belongs to another job: it is one after {begin.epochs} epochs")
        fitting.resume(begin.state)
        done = begin.epochs
    problem, predicted = None, None
    try:
        for epoch in range(done, epochs):
            fitting.train(epoch)
            predicted = fitting.predict()
            value, others = fitting.score(predicted)
            resumable = fitting.in_epochs and epoch + 1 < epochs
            on_epoch(value, (lambda: state.to_checkpoint(fitting.estimator)) if resumable else None, others)
    except Divergence as end:
        problem, predicted = f"diverged: {end}", None
    artifact = state.to_artifact(fitting.estimator, about, fitting.x_train)
    for size, most, what in ((len(artifact), MAX_BYTES, "bytes"), *state.sizes(artifact)):
        if size > most:
            allowed = f"one that is fitted to at most {most} {what}; this one has {size}"
            raise InvalidInputError("estimator", type(fitting.estimator).__name__, allowed)
    correct = None
    if fitting.kind == "classifier" and predicted is not None:
        correct = np.equal(predicted, fitting.y_validation).tolist()
    return Trained(artifact=artifact, problem=problem, correct=correct)


@contextlib.contextmanager
def alone(seed: int) -> Iterator[None]:
    """Silence warnings, limit libraries to one thread, restore NumPy's global generator, and raise `Divergence`.

    The number of threads can change the last bits. An estimator without `random_state` may draw from the global
    generator, as `SVR` does, so that generator gets the seed first. `Divergence` stands for what scikit-learn raises
    when numbers overflow.
    """
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), _threads().limit(limits=1):
            warnings.simplefilter("ignore")
            yield
    except (ValueError, OverflowError) as error:
        if _DIVERGED.search(str(error)) is None:
            raise
        raise Divergence("a number") from None
    finally:
        np.random.set_state(before)


#: All libraries with threads that the estimators use; the list of estimators, which is asked first, loads them.
_threads = functools.cache(ThreadpoolController)
