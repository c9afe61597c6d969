"""Steps that decide when the worker takes jobs: not after many failures, nor soon after it gave one back."""

from __future__ import annotations

import random
import uuid
from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger

from worker.messages import TRAIN
from worker.training.task import TrainingTask

logger = get_logger(__name__)

#: Average number of seconds for which a process takes no job after it gave one back.
REST_SECONDS = 2.0


class BreakerStep(bootsteps.StartStopStep):
    """A circuit breaker: stops consuming the queue when job after job fails.

    A worker with a full disk or faulty memory fails jobs faster than other workers train them, and would soon fail a
    whole sweep. With a tripped breaker it stays connected and reports the failure (in its log, `worker.health` and
    `celery inspect stats`). It tries again after a restart or `celery -A worker control add_consumer seedsweep`; one
    more failure then stops it again.

    Attributes:
        failures: The number of failures since the last success.
        reason: The last failure, in words.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        self._limit: int = c.app.settings.breaker_failures
        self.failures = 0
        self.reason = ""
        task: TrainingTask = c.app.tasks[TRAIN]
        # A request sees how its job ends; it knows its task, but not the consumer.
        task.on_job_end = lambda failure: self._on_job_end(c, failure)
        c.breaker = self

    @property
    def tripped(self) -> bool:
        """Whether enough jobs failed in a row that the worker is to blame."""
        return self.failures >= self._limit

    def info(self, c: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return what `celery inspect stats` shows."""
        return {"breaker": {"failures_in_a_row": self.failures, "tripped": self.tripped}}

    def _on_job_end(self, c: Any, failure: str | None) -> None:
        if failure is None:
            self.failures = 0
            return
        self.failures += 1
        self.reason = failure
        queues = list(c.app.amqp.queues.consume_from) if self.tripped else []
        if queues:
            logger.critical("Takes no more jobs: %d failed in a row, the last one with %s", self.failures, failure)
        for queue in queues:
            c.cancel_task_queue(queue)


class RefusalStep(bootsteps.StartStopStep):
    """Occupies one place of the prefetch limit for a while after a job was given back.

    Otherwise the worker would take the same job again within milliseconds. If two workers held each other's jobs,
    neither job would ever be in the queue when the right worker looks. The rest is random, so that they do not rest in
    step.

    It relies on an attribute that kombu does not document (`qos._delivered`), as `worker.steps.lease` does.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, c: Any) -> None:
        """Let rests use the connection that is open now. A reconnect ends all rests."""
        task: TrainingTask = c.app.tasks[TRAIN]
        task.on_refusal = lambda: _rest(c.task_consumer.channel.qos, c.timer)


def _rest(qos: Any, timer: Any) -> None:
    # No message has this tag: neither the lease nor a shutdown finds anything under it in Redis.
    tag = f"rest-{uuid.uuid4()}"
    qos._delivered[tag] = None
    timer.call_after(random.uniform(0.5, 1.5) * REST_SECONDS, qos._delivered.pop, (tag, None))
