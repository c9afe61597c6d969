"""The request class: the worker's main process records here how each task ended, and whether its process died."""

from __future__ import annotations

from typing import Any

import redis
from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Ignore, Reject, Retry, Terminated, TimeLimitExceeded, WorkerLostError
from celery.utils.log import get_logger
from celery.worker.request import Request

from worker.errors import JobRefusedError, NoSuchWorkerError, TooManyAttemptsError, TrainingFailedError
from worker.records.report import End
from worker.training.execution import REFUSED

logger = get_logger(__name__)

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
    #: that (`worker.steps.watchdog`).
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
            # The worker is ending, and the message returns to the queue. Celery would acknowledge it.
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

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """End the task's process because the worker shuts down; the message returns to the queue."""
        # SIGKILL also ends a process that hangs or is stopped, and a job can be interrupted at any point.
        super().cancel(pool, signal or "KILL", emit_retry)
        self._finish_attempt("given back")

    def _finish_attempt(self, end: End) -> None:
        try:
            # Tried once, because the event loop must not wait for Redis.
            self.task.attempts(patient=False).finish_on(self.id, self.hostname, end)
        except (redis.RedisError, OSError) as error:
            logger.warning("Cannot record the end of the attempt at %s (%s): %s", self.id, end, error)
