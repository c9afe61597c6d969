"""Lets a process rest after it gave back a job, so that another worker can take the job."""

from __future__ import annotations

import random
import uuid
from typing import Any

from celery import bootsteps

from worker.messages import TRAIN
from worker.training.task import TrainingTask

#: Average number of seconds for which a process takes no job after it gave one back.
REST_SECONDS = 2.0


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
