"""The estimators: scikit-learn's own list of classifiers and regressors, without those that need another estimator."""

import functools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nn.errors import InvalidInputError, meant

Kind = Literal["classifier", "regressor"]

#: The name of a regressor's further metric.
MEAN_SQUARED_ERROR = "mean_squared_error"

#: Parameters that do not choose a model: those that our trainer sets, and those for speed, memory or printing.
_NOT_OPTIONS = frozenset({
    "random_state", "n_jobs", "verbose", "verbose_interval", "warm_start", "copy", "copy_X", "copy_X_train",
    "cache_size", "store_cv_results",
})  # fmt: skip
#: Parameters of the estimator's own loop over epochs, for an estimator that is trained by our loop instead.
_OF_THE_LOOP = frozenset({
    "max_iter", "tol", "early_stopping", "validation_fraction", "n_iter_no_change", "shuffle", "max_fun",
})  # fmt: skip


@dataclass(frozen=True)
class Estimator:
    """A class of scikit-learn's list.

    Attributes:
        name: Its name.
        cls: The class.
        kind: Whether it learns classes or numbers.
        defaults: Its parameters and their defaults.
        in_epochs: Whether `fit` passes over the samples several times and `partial_fit` once, so that it is trained
            epoch by epoch. (The `partial_fit` of naive Bayes is for new samples; a second pass would count them twice.)
    """

    name: str
    cls: type[Any]
    kind: Kind
    defaults: Mapping[str, Any]
    in_epochs: bool

    @property
    def constraints(self) -> Mapping[str, Any]:
        """What scikit-learn allows as a value of each parameter that can be an option."""
        left_out = _NOT_OPTIONS | _OF_THE_LOOP if self.in_epochs else _NOT_OPTIONS
        found = self.cls._parameter_constraints
        return {name: found[name] for name in sorted(self.defaults) if name in found and name not in left_out}

    def make(self, parameters: Mapping[str, Any], seed: int) -> Any:
        """Return a new estimator of the class, with the parameters that differ from their defaults."""
        own: dict[str, Any] = {"random_state": seed} if "random_state" in self.defaults else {}
        if self.in_epochs and "shuffle" in self.defaults:
            own["shuffle"] = False  # the order is ours
        return self.cls(**parameters, **own)


@functools.cache
def estimators() -> Mapping[str, Estimator]:
    """Return scikit-learn's classifiers and regressors by name, without those that need another estimator."""
    from sklearn.utils import all_estimators

    found: dict[str, Estimator] = {}
    for kind in ("classifier", "regressor"):
        for name, cls in all_estimators(type_filter=kind):
            defaults = _defaults(cls)
            if defaults is not None:
                in_epochs = hasattr(cls, "partial_fit") and "max_iter" in defaults
                found[name] = Estimator(name, cls, kind, defaults, in_epochs)
    return found


def _defaults(cls: type[Any]) -> dict[str, Any] | None:
    """Return the defaults of a class's parameters; None if it cannot be made and fitted with the defaults alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = cls()
            made._validate_params()
        except (TypeError, ValueError):
            return None
    defaults: dict[str, Any] = made.get_params(deep=False)
    return defaults


def estimator(name: str) -> Estimator:
    """Return an estimator by its name. The name is only looked up in the list; it is neither imported nor evaluated.

    Raises:
        InvalidInputError: scikit-learn has no such classifier or regressor.
    """
    found = estimators().get(name)
    if found is None:
        raise InvalidInputError("estimator", name, f"{ALLOWED}{meant(name, estimators(), most=1)}")
    return found


#: The names that are allowed, as the end of a sentence.
ALLOWED = (
    "the class name of a classifier or regressor of scikit-learn that needs no other estimator, such as SGDClassifier"
)
