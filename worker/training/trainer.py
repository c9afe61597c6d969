"""Trains a job on a data set: the pure part of a worker's work, without Redis or Celery.

A trainer is other people's code. What it raises or returns is checked here: it can fail its job, and nothing else.
"""

from __future__ import annotations

import logging
import os
import random
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from celery.exceptions import SoftTimeLimitExceeded

from nn.errors import WeightsError
from worker.errors import TrainerUnusableError, TrainingFailedError
from worker.job import Job, check_numbers
from worker.records import answers
from worker.records.checkpoints import Epoch, SavedCheckpoint
from worker.text import one_line
from worker.trainers.protocol import Checkpoint, Data, Metric, Trained
from worker.trainers.registry import beside

logger = logging.getLogger(__name__)

#: Characters of a trainer's message that are kept.
MESSAGE = 1000
#: Exit statuses of processes that billiard ends by a signal are below this; a trainer's own are above.
_SIGNALLED = -128


@dataclass(frozen=True)
class TrainedJob:
    """The outcome of training a job.

    Attributes:
        weights: The trainer's artifact.
        history: One record per epoch: fewer than the job's epochs if it diverged.
        problem: Why the job counts as diverged, as one sentence; None if it succeeded.
        correct: The packed answers (`worker.records.answers`), or None.
        stopped: Why it succeeded with fewer epochs, as one sentence; None if it has all.
    """

    weights: bytes
    history: tuple[Epoch, ...]
    problem: str | None
    correct: str | None = None
    stopped: str | None = None


def train(
    job: Job,
    data: Data,
    *,
    on_epoch: Callable[[Progress], object] = lambda _progress: None,
    resume_from: SavedCheckpoint | None = None,
) -> TrainedJob:
    """Train a job. The weights depend on the job and the data set only, whether or not training was interrupted.

    Args:
        job: The job.
        data: The data set whose digest the job names.
        on_epoch: Called after each epoch with the progress; an exception that it raises ends the training.
        resume_from: A checkpoint of the same job. If the trainer refuses it, the job starts from the first epoch.

    Raises:
        TrainingFailedError: the trainer raised an exception, or returned something that the protocol does not allow.
    """
    if resume_from is not None:
        try:
            return Progress(job, data, on_epoch, resume_from).train()
        except _RefusedCheckpointError as refused:
            logger.warning("Starts from the first epoch: %s", refused)
    return Progress(job, data, on_epoch, None).train()


class _RefusedCheckpointError(Exception):
    """The trainer refuses a checkpoint. Caught in this module."""


class Progress:
    """A job in training.

    Attributes:
        job: The job.
        history: One record per epoch so far.
    """

    def __init__(
        self, job: Job, data: Data, on_epoch: Callable[[Progress], object], begin: SavedCheckpoint | None
    ) -> None:
        self.job = job
        self.history: list[Epoch] = [] if begin is None else list(begin.history)
        self._data = data
        self._on_epoch = on_epoch
        self._begin = None if begin is None else Checkpoint(len(begin.history), begin.state)
        self._state: Callable[[], bytes] | None = None
        self._raised: BaseException | None = None
        self._since = time.perf_counter()

    def checkpoint(self) -> SavedCheckpoint | None:
        """Return a checkpoint; None if the trainer offers none, or no epoch follows.

        Raises:
            TrainingFailedError: the trainer's state is not bytes, or too large.
        """
        if self._state is None or len(self.history) >= self.job.epochs:
            return None
        try:
            state = self._state()
        except MemoryError:
            raise
        except Exception as error:
            _fail(self.job, f"raised {type(error).__name__} instead of making a checkpoint: {error}", error)
        limit = self.job.max_bytes
        if not isinstance(state, bytes) or len(state) > limit:
            _fail(self.job, f"made a checkpoint that is not at most {limit} bytes")
        return SavedCheckpoint(tuple(self.history), state)

    def train(self) -> TrainedJob:
        """Train to the end; errors as for the function `train`, and `_RefusedCheckpointError`."""
        job = self.job
        try:
            with _contained(), beside():
                trained = job.trained_by.train(
                    job.options, job.seed, self._data, on_epoch=self._after_epoch, resume_from=self._begin
                )
        except BaseException as error:
            self._rethrow(error)
        if self._raised is not None:
            # The trainer caught what ends the training.
            raise self._raised
        return self._checked(trained)

    def _rethrow(self, error: BaseException) -> NoReturn:
        if self._raised is not None:
            raise self._raised from None
        if isinstance(error, WeightsError) and self._begin is not None and len(self.history) == self._begin.epochs:
            raise _RefusedCheckpointError(str(error)) from None
        signalled = isinstance(error, SystemExit) and isinstance(error.code, int) and error.code < _SIGNALLED
        if signalled or isinstance(
            error, (MemoryError, SoftTimeLimitExceeded, TrainingFailedError, TrainerUnusableError)
        ):
            raise error
        _fail(self.job, f"raised {type(error).__name__}: {error}", error)

    def _after_epoch(
        self, value: float, checkpoint: Callable[[], bytes] | None = None, others: Mapping[str, float] | None = None
    ) -> None:
        seconds = time.perf_counter() - self._since
        job = self.job
        if len(self.history) >= job.epochs:
            _fail(job, f"reported more than {job.epochs} epochs")
        given = dict(others or {})
        if given.keys() != set(job.others):
            _fail(job, f"reported the further metrics {sorted(given)}; allowed: {sorted(job.others)}")
        for metric, each in ((job.metric, value), *((Metric(name=name), given[name]) for name in job.others)):
            if refusal := metric.refusal(each):
                _fail(job, f"reported {refusal}")
        self.history.append(Epoch(seconds, float(value), tuple(float(given[name]) for name in job.others)))
        self._state = checkpoint
        try:
            self._on_epoch(self)
        except BaseException as error:
            self._raised = error
            raise
        self._since = time.perf_counter()

    def _checked(self, trained: object) -> TrainedJob:
        job, history = self.job, self.history
        if not isinstance(trained, Trained):
            _fail(job, f"returned {_short(trained)}; allowed: a seedsweep.Trained")
        problem, stopped = (
            None if why is None else one_line(str(why))[:MESSAGE] for why in (trained.problem, trained.stopped)
        )
        is_short = len(history) != job.epochs
        if not history or (is_short and problem is None and not stopped):
            _fail(job, f"reported {len(history)} of {job.epochs} epochs" + ("" if problem is None else f": {problem}"))
        limit = job.max_bytes
        if not isinstance(trained.artifact, bytes) or not 0 < len(trained.artifact) <= limit:
            _fail(job, f"returned an artifact that is not 1 to {limit} bytes")
        try:
            check_numbers(len(history), len(job.others))
            correct = None if trained.correct is None else answers.pack(trained.correct)
        except (ValueError, TypeError) as error:
            _fail(job, f"returned an invalid result: {error}")
        return TrainedJob(
            trained.artifact, tuple(history), problem, correct, stopped if is_short and problem is None else None
        )


@contextmanager
def _contained() -> Iterator[None]:
    """Restore the state of Python's and NumPy's global generators: no job may depend on the job before it.

    A child that the trainer forked ends here if it returns: it must not answer for its parent.
    """
    process, states = os.getpid(), (random.getstate(), np.random.get_state())
    try:
        yield
    finally:
        if os.getpid() != process:
            os._exit(1)
        random.setstate(states[0])
        np.random.set_state(states[1])


def _fail(job: Job, what: str, raised: BaseException | None = None) -> NoReturn:
    where = "" if raised is None else one_line(f" ({_where(job, raised)})")
    raise TrainingFailedError(one_line(f"the trainer {job.trainer} {what}")[: MESSAGE - len(where)] + where)


def _where(job: Job, error: BaseException) -> str:
    """Return the innermost line of the trainer's package that an exception passed, or else the line that raised it."""
    package = type(job.trained_by).__module__.partition(".")[0]
    passed = list(traceback.walk_tb(error.__traceback__))
    own = [each for each in passed if each[0].f_globals.get("__name__", "").partition(".")[0] == package]
    frame, line = (own or passed)[-1]
    return f"{Path(frame.f_code.co_filename).name}, line {line}, in {frame.f_code.co_name}"[:200]


def _short(value: Any) -> str:
    try:
        return repr(value)[:80]
    except Exception:
        return f"a {type(value).__name__}"
