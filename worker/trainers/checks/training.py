"""What a training reports and returns."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from worker.trainers.checks.arrays import arrays_of
from worker.trainers.checks.case import Broken, Case, as_number, difference, named, shown
from worker.trainers.protocol import MAX_SCORE, Evaluated

#: How far the share of correct samples may be from the last metric: a metric in float32 is as near as that.
_TOLERANCE = 1e-6
#: The name of a further metric, which becomes a field of rows.
_OTHER = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


def trains(case: Case) -> None:
    """Training with each of the options ends without an exception."""
    for options in case.options:
        for seed in case.seeds:
            case.straight(options, seed)


def each_epoch_is_reported(case: Case) -> None:
    """`on_epoch` is called once for each epoch, and less often only with a stated problem."""
    for options, recorded in case.jobs():
        epochs, reported = case.trainer.epochs(options), len(recorded.values)
        if not 1 <= reported <= epochs or (reported < epochs and recorded.trained.problem is None):
            raise Broken(f"on_epoch was called {reported} times with {named(options)}; epochs returns {epochs}")


def metrics_are_finite_numbers(case: Case) -> None:
    """Every metric is a finite number, a share is from 0 to 1, and the further metrics are those of `others`."""
    for options, recorded in case.jobs():
        is_share = case.metric(options).is_share
        for epoch, (value, others) in enumerate(zip(recorded.values, recorded.others, strict=True), start=1):
            _check_number("the metric", value, options, epoch)
            if is_share and not 0 <= float(value) <= 1:
                raise Broken(f"the metric after epoch {epoch} is {shown(value)}; a share is from 0 to 1")
            listed = case.trainer.others(options)
            if bad := next((name for name in listed if _OTHER.fullmatch(name) is None), None):
                raise Broken(f"others names {bad!r}; allowed: at most 40 lower-case letters, digits and underscores")
            if sorted(others) != sorted(listed):
                raise Broken(f"on_epoch got the further metrics {sorted(others)}; others returns {sorted(listed)}")
            for name, other in others.items():
                _check_number(name, other, options, epoch)


def _check_number(name: str, value: object, options: BaseModel, epoch: int) -> None:
    number = as_number(value)
    if number is None:
        raise Broken(f"{name} after epoch {epoch} is {shown(value)}; pass a number: float(...)")
    if not abs(number) <= MAX_SCORE:
        raise Broken(
            f"{name} after epoch {epoch} is {value} with {named(options)}; end training and return Trained(problem=...)"
        )


def a_problem_is_one_sentence(case: Case) -> None:
    """A problem is a text on one line."""
    for options, recorded in case.jobs():
        problem = recorded.trained.problem
        if problem is not None and not (isinstance(problem, str) and 0 < len(problem) <= 500 and problem.isprintable()):
            raise Broken(f"the problem is {shown(problem)} with {named(options)}; allowed: a sentence on one line")


def correct_samples_agree_with_the_metric(case: Case) -> None:
    """Where the metric is a share, `correct` has a bool for each sample, and their share is the last metric."""
    for options, recorded in case.jobs():
        if not case.metric(options).is_share or recorded.trained.problem is not None:
            continue
        correct = recorded.trained.correct
        if correct is None or len(correct) == 0:
            raise Broken("the metric is a share, and correct is missing; return Trained(correct=...)")
        wrong = [each for each in correct if type(each) is not bool]
        if wrong:
            raise Broken(f"correct holds {shown(wrong[0])}; return a list of bool: correct.tolist()")
        share = sum(correct) / len(correct)
        if abs(share - float(recorded.values[-1])) > _TOLERANCE:
            raise Broken(f"{share} of correct is true; the metric after the last epoch is {recorded.values[-1]}")


def sizes_are_bounded(case: Case) -> None:
    """The artifact and the states of checkpoints are bytes, at most as many as `max_bytes`."""
    for options, recorded in case.jobs():
        largest = case.trainer.max_bytes(options, case.data.digest)
        found = {"the artifact": recorded.trained.artifact}
        found |= {f"the state after epoch {epoch}": state for epoch, state in recorded.states.items()}
        for what, blob in found.items():
            if not isinstance(blob, bytes):
                raise Broken(f"{what} is {shown(blob)}; return bytes")
            if not blob:
                raise Broken(f"{what} is empty; return the model")
            if len(blob) > largest:
                raise Broken(f"{what} has {len(blob)} bytes with {named(options)}; max_bytes returns {largest}")


def artifact_is_no_pickle(case: Case) -> None:
    """The artifact cannot be unpickled, because whoever unpickles it executes it."""
    for _, recorded in case.jobs():
        if _unpickles(recorded.trained.artifact):
            raise Broken("the artifact is a pickle; use safetensors, an .npy array, or JSON")


class _NoPickle(pickle.Unpickler):
    def find_class(self, *_: str) -> object:
        raise _FoundError


class _FoundError(Exception):
    """A pickle names a class or a function."""


def _unpickles(blob: bytes) -> bool:
    """Return whether bytes are a pickle, or a zip file with one, without executing anything."""
    if zipfile.is_zipfile(io.BytesIO(blob)):
        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            return any(name.endswith((".pkl", ".pickle")) for name in archive.namelist())
    try:
        _NoPickle(io.BytesIO(blob)).load()
    except _FoundError:
        return True
    except Exception:
        return False
    return True


def artifact_is_accepted(case: Case) -> None:
    """`check_artifact` accepts what training returned."""
    for options, recorded in case.jobs():
        try:
            case.trainer.check_artifact(options, case.data.digest, recorded.trained.artifact)
        except Exception as error:
            raise Broken(f"check_artifact refuses the artifact of {named(options)}: {shown(error)}") from error


def the_test_split_is_evaluated(case: Case) -> None:
    """Checked if `held_out` is not 0: `test` returns the metric, and whether each sample that is held out is right."""
    for options, recorded in case.jobs():
        size = case.trainer.held_out(options)
        if type(size) is not int or size < 0:
            raise Broken(f"held_out returns {shown(size)}; return the number of samples in the test split")
        if size and recorded.trained.problem is None:
            _check_evaluated(case, options, case.trainer.test(options, case.data, recorded.trained.artifact), size)


def _check_evaluated(case: Case, options: BaseModel, found: object, size: int) -> None:
    if not isinstance(found, Evaluated):
        raise Broken(f"test returns {shown(found)}; return a worker.trainers.Evaluated")
    value = as_number(found.value)
    if value is None or not abs(value) <= MAX_SCORE:
        raise Broken(f"the metric on the test split is {shown(found.value)}; pass a finite number: float(...)")
    if not case.metric(options).is_share:
        return
    correct = list(found.correct or ())
    if len(correct) != size or any(type(each) is not bool for each in correct):
        raise Broken(f"test gives {len(correct)} answers; return a list of {size} bool, as many as held_out says")
    if abs(sum(correct) / size - value) > _TOLERANCE:
        raise Broken(f"{sum(correct) / size} of the test split is right; the metric on it is {value}")


def same_bits_twice(case: Case) -> None:
    """A job that is trained again, without taking checkpoints, gives the same bits."""
    for options, recorded in case.jobs():
        found = difference(recorded.facts(), case.train(options, case.seeds[0], take=False).facts())
        if found is not None:
            raise Broken(
                f"two trainings with {named(options)} and the same seed differ in {found}; "
                "draw every random number from a generator that the seed alone starts"
            )


def data_and_options_stay(case: Case) -> None:
    """Training changes neither the arrays of the data set nor the options."""
    for values, (options, _) in zip(case.values, case.jobs(), strict=True):
        if options != case.read(values):
            raise Broken(f"training changes its options; they were {shown(dict(values))}")
    before, after = case.loaded_arrays, arrays_of(case.data)
    if changed := next((path for path in before if after.get(path) != before[path]), None):
        raise Broken(f"training changes {changed}, which the jobs after it train on; copy it first")


def seeds_matter(case: Case) -> None:
    """Checked if there are several seeds: they give other metrics or another artifact."""
    for options in case.options:
        facts = [case.straight(options, seed).facts() for seed in case.seeds]
        if len(facts) > 1 and all(each == facts[0] for each in facts):
            raise Broken(
                f"the seeds {', '.join(map(str, case.seeds))} give the same bits with {named(options)}; use the seed, "
                "or check with one seed if nothing is random"
            )


class _StopError(Exception):
    """What the worker raises in `on_epoch` when it is asked to stop."""


@dataclass
class _Stopping:
    """An `on_epoch` that raises an exception, always the same one."""

    stop: _StopError = field(default_factory=_StopError)
    calls: int = 0

    def __call__(self, *_: Any, **__: Any) -> None:
        self.calls += 1
        raise self.stop


def exceptions_of_on_epoch_pass(case: Case) -> None:
    """An exception that `on_epoch` raises ends training and comes out unchanged: so a worker cancels a job."""
    for options in case.options:
        on_epoch = _Stopping()
        try:
            case.trainer.train(options, case.seeds[0], case.data, on_epoch=on_epoch)
        except _StopError as error:
            passed = error is on_epoch.stop and on_epoch.calls == 1
        except Exception as error:
            raise Broken(f"train turned an exception of on_epoch into {shown(error)}; let it pass") from error
        else:
            passed = not on_epoch.calls
        if not passed:
            raise Broken("train caught an exception of on_epoch and went on; let it pass")
