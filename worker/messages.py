"""What travels through the queue: the names on the wire, how a job's message is written, and how it is read."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.canvas import Signature

from nn.errors import InvalidInputError
from worker.errors import JobRefusedError
from worker.job import Job, is_task_of, task_id

#: The name of the task: messages carry it.
TRAIN = "worker.tasks.train"
QUEUE = "seedsweep"
#: Where messages wait that a worker holds and has not acknowledged.
UNACKED = "seedsweep:unacked"
#: When each was delivered, or its lease last renewed.
UNACKED_INDEX = f"{UNACKED}_index"


def signature(app: Celery, job: Job, *, label: str | None = None) -> Signature:
    """Return the message that runs a job: `signature(app, job).apply_async()` queues it and subscribes to nothing.

    Args:
        app: The app of the cluster (`worker.app.create_app`).
        job: What to train.
        label: None for the job's own run; otherwise the name of a further run, which trains it again and compares.
            The task's id is `job.task_id(job, label)`.
    """
    return app.tasks[TRAIN].signature(
        kwargs={"job": job.model_dump(mode="json")},
        task_id=task_id(job, label),
        # What Flower and the logs show of the arguments.
        argsrepr="",
        kwargsrepr=str(job),
    )


def accept(task_id: str, job: Any, *more: Any, **unknown: Any) -> Job:
    """Read the job of a message that anyone may have sent.

    Raises:
        JobRefusedError: it is malformed, too large, of another version, or not the job that the task's id names.
    """
    if more or unknown:
        raise JobRefusedError("the message has arguments beside its job; allowed: job alone")
    try:
        parsed = Job.parse(job)
    except InvalidInputError as error:
        raise JobRefusedError(f"the message holds no valid job: {error}") from None
    if not is_task_of(task_id, parsed):
        raise JobRefusedError(f"the message is named {task_id[:80]!r}; its job's key is {parsed.key}")
    return parsed
