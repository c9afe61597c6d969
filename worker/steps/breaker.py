"""A circuit breaker: a worker on which job after job fails stops taking more."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger

from worker.messages import TRAIN
from worker.training.task import TrainingTask

logger = get_logger(__name__)


class Breaker:
    """Counts failures in a row.

    Args:
        limit: So many make it trip.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.failures = 0
        #: The last failure, in words.
        self.reason = ""

    def succeeded(self) -> None:
        """Count from zero again."""
        self.failures = 0

    def failed(self, reason: str) -> bool:
        """Count a failure; return whether the breaker trips."""
        self.failures += 1
        self.reason = reason
        return self.tripped

    @property
    def tripped(self) -> bool:
        """Whether so many jobs failed that the worker is to blame."""
        return self.failures >= self.limit


class BreakerStep(bootsteps.StartStopStep):
    """Stops consuming when the breaker trips.

    A worker with a full disk or broken memory fails jobs faster than others train them, and would soon have failed a
    whole sweep. It stays connected and says what is wrong (log, `worker.health`, `celery inspect stats`); a restart, or
    `celery -A worker control add_consumer seedsweep`, lets it try again: one more failure stops it again.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        self.breaker = Breaker(c.app.settings.breaker_failures)
        task: TrainingTask = c.app.tasks[TRAIN]
        # Requests, which see how jobs end, know their task and not the consumer.
        task.on_outcome = lambda failure: self._on_outcome(c, failure)
        c.breaker = self.breaker

    def info(self, c: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return what `celery inspect stats` shows."""
        return {"breaker": {"failures_in_a_row": self.breaker.failures, "tripped": self.breaker.tripped}}

    def _on_outcome(self, c: Any, failure: str | None) -> None:
        if failure is None:
            self.breaker.succeeded()
        elif self.breaker.failed(failure):
            queues = list(c.app.amqp.queues.consume_from)
            if queues:
                logger.critical(
                    "Takes no more jobs: %d failed in a row, the last one with %s", self.breaker.failures, failure
                )
            for queue in queues:
                c.cancel_task_queue(queue)
