"""The request of a task: the worker's main process records how it ended, and ends a process that hangs with it."""

import contextlib
import os
import signal
import time
from typing import Any

import redis
from billiard import get_start_method
from billiard.einfo import ExceptionWithTraceback
from celery import bootsteps
from celery.exceptions import Ignore, Reject, Retry, Terminated, TimeLimitExceeded, WorkerLostError
from celery.utils.log import get_logger
from celery.worker import state
from celery.worker.request import Request

from worker.errors import JobRefusedError, NoSuchWorkerError, TooManyAttemptsError, TrainingFailedError
from worker.job import End
from worker.steps.presence import snapshot
from worker.training.execution import REFUSED
from worker.training.shared import Liveness, Sign, longest_silence

logger = get_logger(__name__)

#: Seconds between two looks at the processes.
LOOK_SECONDS = 1.0
#: Errors that do not count against the worker: the task was cancelled or returned; the message, the trainer or Redis is
#: at fault; or the operator's time limit ended it (`celery worker --time-limit`; messages cannot set one). A dead
#: process counts against its job (`worker.records.attempts`), which may kill the next worker's process, too.
_BLAMELESS = (
    Ignore, Reject, Retry, Terminated, JobRefusedError, NoSuchWorkerError, TooManyAttemptsError, TrainingFailedError,
    WorkerLostError, TimeLimitExceeded, redis.RedisError,
)  # fmt: skip


class TrainRequest(Request):
    """A request for the train task."""

    #: Seconds without a sign of life from the job's process, None while it is not watched; and whether it was ended for
    #: that (`WatchdogStep`).
    silent: float | None = None
    hung = False

    _failing = False

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's name
        """Send an event that names its task, so that Flower can show a job whose earlier events it missed."""
        super().send_event(type, name=self.name, args=self.argsrepr, kwargs=self.kwargsrepr, **fields)

    def revoked(self) -> bool:
        """Return whether the task's process was ended, without regard to Celery's list of revoked ids.

        Workers keep revoked ids for hours and share them. A job that is submitted again after a cancellation has the
        same id, and would be discarded. Jobs are cancelled in Redis instead (`worker.training.execution`).
        """
        return bool(self._already_revoked)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Count a failed job, and record an attempt whose process died."""
        if self._already_cancelled:
            # The worker is ending, and the message returns to the queue.
            return
        # Billiard wraps an exception from a child together with its traceback.
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        self._failing = True
        if isinstance(error, WorkerLostError):
            # The next attempt reads this record, so it is written before the retry is published.
            self._finish_attempt("hung" if self.hung else "child lost")
        if not isinstance(error, _BLAMELESS):
            self.task.on_job_end(f"{type(error).__name__}: {error}"[:300])
        super().on_failure(exc_info, send_failed_event, return_ok)
        if isinstance(error, Reject) and error.reason == REFUSED:
            self.task.on_refusal()

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Record as failed an attempt that exceeded the worker's time limit."""
        if self._already_cancelled:
            # Celery would acknowledge the message.
            return
        if not soft:
            self._failing = True
            self._finish_attempt("failed")
        super().on_timeout(soft, timeout)

    def acknowledge(self) -> None:
        """Acknowledge the message, and count a success. Celery also calls this within `on_failure`."""
        super().acknowledge()
        if not self._failing:
            self.task.on_job_end(None)

    def abandon(self) -> None:
        """Disregard from now on how the job ends: its process, if it has one, is ended because the worker stops."""
        self._already_cancelled = True

    def give_back(self) -> None:
        """Record that the job was interrupted because the worker stops, which is not the job's fault."""
        self._finish_attempt("given back", patient=True)
        self.send_event("task-cancelled")

    def _finish_attempt(self, end: End, *, patient: bool = False) -> None:
        try:
            # Mostly tried once, because the event loop must not wait for Redis.
            self.task.attempts(patient=patient).finish_on(self.id, self.hostname, end)
        except (redis.RedisError, OSError) as error:
            logger.warning("Cannot record the end of the attempt at %s (%s): %s", self.id, end, error)


class WatchdogStep(bootsteps.StartStopStep):
    """Kills a process of the pool that has a job and gives no sign of life for too long (`longest_silence`).

    The worker's main process handles the exit like any other: the attempt ends as hung, and the message is sent again.
    A job that the process had not begun goes to the process that replaces it.

    Before a time limit ends a job, it checks whether the job's process has died: Celery notices some exits up to five
    seconds late, because the process has closed its pipe and cannot be reaped yet.

    Time in which the event loop stood still does not count: a worker that was frozen, or whose machine was suspended,
    ends no process. A worker that is reconnecting does not look: a thread could kill a process that the event loop has
    just reaped, and could not send its job again.

    It relies on attributes that billiard and Celery do not document (`_scheduled_for`, `index`, `on_hard_timeout`).
    `requirements.txt` pins both; `test_hung_processes.py` and `test_attempts.py` fail if a new version moves them.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        self._settings = c.app.settings
        self._liveness: Liveness = c.app.liveness
        self._looked = time.monotonic()
        # An idle process is silent, too: the same sign counts as silence within one job only.
        self._signs: dict[tuple[TrainRequest, int], Sign] = {}
        self._reason = _cannot_watch(c)
        if self._reason is not None:
            logger.warning("A job that hangs will not be ended: %s", self._reason)

    def start(self, c: Any) -> None:
        """Look at the processes every second."""
        # Celery drops the timer's entries with the connection.
        if self._reason is None:
            c.timer.call_repeatedly(LOOK_SECONDS, self._look)
            self._pool = c.pool._pool
            self._pool.on_hard_timeout = self._on_hard_timeout

    def _on_hard_timeout(self, job: Any) -> None:
        try:
            self._pool.maintain_pool()
        finally:
            # Even if the pool cannot start a process. Billiard does nothing if the job has just ended as lost.
            self._pool._timeout_handler.on_hard_timeout(job)

    def _look(self) -> None:
        now = time.monotonic()
        passed = min(now - self._looked, LOOK_SECONDS)
        self._looked = now
        signs = {}
        for request in snapshot(state.reserved_requests):
            result = request._apply_result and request._apply_result()
            # None if no process has the job, begun or not.
            process = getattr(result, "_scheduled_for", None)
            sign = None if process is None else self._liveness.last_of(process.index)
            if process is None or sign is None:
                continue
            key = (request, process.pid)
            signs[key] = sign
            request.silent = (request.silent or 0.0) + passed if self._signs.get(key) == sign else 0.0
            if request.silent > longest_silence(self._settings, sign.slowest_epoch):
                _end(request, process)
        self._signs = signs


def _cannot_watch(c: Any) -> str | None:
    """Return why hung jobs cannot be ended, or None if they can."""
    # Of Celery's pools, only this one has processes, which can be ended.
    if not type(c.pool).__module__.endswith(".prefork") or c.hub is None:
        pool = type(c.pool).__module__.rpartition(".")[2]
        return f"the pool {pool!r} does not run jobs in processes, so it has no time limit either"
    if get_start_method() != "fork":
        return "processes that are spawned share no memory with the worker"
    return None


def _end(request: TrainRequest, process: Any) -> None:
    # A process that is gone already must not be signalled: its id may belong to another one.
    if request.hung or not process._is_alive():
        return
    began = request.time_start is not None
    logger.error(
        "Ends a process that hangs: %d has %s %s, without a sign of life for %.0f s",
        process.pid, "trained" if began else "not begun with", request.id, request.silent,
    )  # fmt: skip
    request.hung = began
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
