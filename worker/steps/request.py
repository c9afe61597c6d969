"""A job as the worker's main process sees it: how it ended, and whether its process died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Ignore, Reject, Retry, Terminated, TimeLimitExceeded, WorkerLostError
from celery.utils.log import get_logger
from celery.worker import state
from celery.worker.request import Request

from worker.errors import JobRefusedError, TooManyAttemptsError, WrongDatasetError

if TYPE_CHECKING:
    from worker.records.attempts import End

logger = get_logger(__name__)

#: Ends that the worker is not to blame for: it was told to end the job, or the message or Redis is at fault, or the
#: operator's time limit (`celery worker --time-limit`; messages cannot set one). A process that dies counts against its
#: job instead (`worker.records.attempts`), which may kill the next worker's process, too.
_BLAMELESS = (
    Ignore, Reject, Retry, Terminated, JobRefusedError, TooManyAttemptsError, WrongDatasetError, WorkerLostError,
    TimeLimitExceeded, redis.RedisError,
)  # fmt: skip


class TrainRequest(Request):
    """A request for the train task."""

    _failing = False

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's name
        """Send an event that names its task, so that Flower can show a job whose earlier events it missed."""
        super().send_event(type, name=self.name, args=self.argsrepr, kwargs=self.kwargsrepr, **fields)

    def revoked(self) -> bool:
        """Return whether the job's process was ended; the task ids that Celery remembers as revoked do not count.

        A task's id is its job's key, which stays the same when somebody asks for a cancelled job again, and workers
        remember ids for hours and tell each other. Jobs are cancelled in Redis instead (`worker.training.execution`).
        """
        return bool(self._already_revoked)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Count a failed job, and record an attempt whose process died."""
        # Billiard wraps an exception with the text of its traceback on the way from the child.
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        self._failing = True
        if isinstance(error, WorkerLostError):
            # Before the retry is published, so that the next attempt finds the record.
            self._finish_attempt("child lost")
        if not isinstance(error, _BLAMELESS):
            self.task.on_outcome(f"{type(error).__name__}: {error}"[:300])
        super().on_failure(exc_info, send_failed_event, return_ok)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Put on record how the attempt ended whose process took longer than the worker allows."""
        if not soft and not state.should_terminate:
            self._failing = True
            self._finish_attempt("failed")
        super().on_timeout(soft, timeout)

    def acknowledge(self) -> None:
        """Acknowledge the message; Celery calls this after a success and within `on_failure`."""
        super().acknowledge()
        if not self._failing:
            self.task.on_outcome(None)

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """End the job's process because the worker ends: its message goes back to the queue."""
        # A job may end at any instant without harm, and a process that hangs or is frozen obeys no other signal.
        super().cancel(pool, signal or "KILL", emit_retry)
        self._finish_attempt("given back")

    def _finish_attempt(self, end: End) -> None:
        try:
            # Without retries, because the event loop must not wait for Redis.
            self.task.attempts(patient=False).finish_on(self.id, self.hostname, end)
        except (redis.RedisError, OSError) as error:
            logger.warning("The attempt at %s is not recorded as %s: %s", self.id, end, error)
