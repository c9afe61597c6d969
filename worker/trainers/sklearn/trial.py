"""Checks a sweep before it begins: each combination of words is tried on a few samples."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nn.errors import Described, InvalidInputError, SeedsweepError
from nn.options.describe import written
from nn.options.network import check_split
from worker.trainers.sklearn.estimators import Estimator, Kind, estimator
from worker.trainers.sklearn.fitting import Divergence, Fitting
from worker.trainers.sklearn.options import OWN, SklearnOptions, model_of
from worker.trainers.sklearn.sources import SklearnData

#: The samples of a trial, of each class and in all: the first trial's, then those of trials after a failed one.
SAMPLES = ((10, 60), (20, 120), (100, 2000))
#: The most combinations that are tried.
MAX_COMBINATIONS = 64


def check(values: Mapping[str, Sequence[Any]], load: Callable[[], SklearnData]) -> None:
    """Reject a sweep if some of its jobs cannot be trained.

    Raises:
        InvalidInputError: names the option, its value and what is allowed.
    """
    chosen = [estimator(name) for name in values["estimator"]]
    _check_epochs(chosen, values["epochs"])
    check_split(values["split"])
    data = load()
    _check_kinds(chosen, data)
    for combination in itertools.islice(_combinations(values), MAX_COMBINATIONS):
        found = estimator(combination["estimator"])
        changed = {
            name: value
            for name, value in combination.items()
            if name not in OWN and value != model_of(found.name).model_fields[name].default
        }
        message = _refusal(found, changed, data, bool(combination["standardize"]))
        if message is None:
            continue
        if combination["standardize"] and _refusal(found, changed, data, standardize=False) is None:
            raise InvalidInputError("standardize", Described("true"), f"false with {found.name} ({message})")
        said = ", ".join(f"{name}={written(value)}" for name, value in changed.items())
        shown = Described(f"{found.name} with {said}" if said else found.name)
        raise InvalidInputError("estimator", shown, f"what it can be fitted with ({message})")


def _check_epochs(chosen: Sequence[Estimator], epochs: Sequence[int]) -> None:
    """Reject epochs that have no effect, which would give one job several names."""
    default = SklearnOptions.model_fields["epochs"].default
    at_once = next((each for each in chosen if not each.in_epochs), None)
    if at_once is None:
        return
    because = f"{at_once.name} is fitted at once, without epochs"
    if len(set(epochs)) > 1:
        raise InvalidInputError("epochs", Described(written(tuple(epochs))), f"one value, because {because}")
    if epochs[0] != default and not any(each.in_epochs for each in chosen):
        raise InvalidInputError("epochs", epochs[0], f"nothing but the default {default}, because {because}")


def _check_kinds(chosen: Sequence[Estimator], data: SklearnData) -> None:
    kinds: set[Kind] = {each.kind for each in chosen}
    if len(kinds) > 1:
        names = ",".join(next(each.name for each in chosen if each.kind == kind) for kind in sorted(kinds))
        raise InvalidInputError("estimator", Described(names), "classifiers only or regressors only in one sweep")
    wrong = next((each for each in chosen if each.kind not in data.kinds), None)
    if wrong is not None:
        (kind,) = data.kinds
        what = "classes" if kind == "classifier" else "numbers, not classes"
        raise InvalidInputError("estimator", wrong.name, f"a {kind}, because the data set's targets are {what}")


def _combinations(values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Yield all combinations of words with the first of each option's numbers, then each further number by itself."""
    words = {name: each if name in OWN or not _are_numbers(each) else each[:1] for name, each in values.items()}
    words["epochs"] = words["epochs"][:1]
    for combination in itertools.product(*words.values()):
        yield dict(zip(words, combination, strict=True))
    first = {name: each[0] for name, each in values.items()}
    for name, each in values.items():
        if name != "epochs" and _are_numbers(each):
            yield from ({**first, name: value} for value in each[1:])


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values)


def _refusal(found: Estimator, parameters: Mapping[str, Any], data: SklearnData, standardize: bool) -> str | None:
    """Return why an estimator cannot be fitted, in its own words; None if it can, or if that depends on the samples.

    It depends on them if the reason changes with their number, such as fewer samples than neighbours.
    """
    reasons = set()
    for of_each, n in SAMPLES:
        few = _few(data, found.kind, of_each, n)
        reason = _attempt(Fitting(found, parameters, 0, few, standardize=standardize))
        if reason is None:
            return None
        reasons.add(reason)
        if len(reasons) > 1:
            return None
    return reasons.pop()


def _attempt(fitting: Fitting) -> str | None:
    try:
        fitting.train(0)
        fitting.predict()
    except Divergence:
        return None
    except SeedsweepError as error:
        return str(error)
    except Exception as error:
        return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
    return None


def _few(data: SklearnData, kind: Kind, of_each: int, n: int) -> SklearnData:
    """Return the first samples as a data set: about `n`, and `of_each` of each class if there are as many."""
    rows = np.arange(len(data.y_train))
    if kind == "classifier":
        by_class = [rows[data.y_train == each] for each in range(len(data.classes))]
        share = max(of_each, n // len(by_class))
        rows = np.sort(np.concatenate([each[:share] for each in by_class]))
    else:
        rows = rows[:n]
    return replace(
        data,
        x_train=data.x_train[rows],
        y_train=data.y_train[rows],
        x_validation=data.x_validation[:n],
        y_validation=data.y_validation[:n],
    )
