"""The queue: which tasks have a message, and how messages get in and out."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, cast

import redis
from celery import Celery
from kombu.transport.redis import Channel

from worker.job import Job
from worker.messages import QUEUE, UNACKED, signature
from worker.redis.waiting import Policy

#: Messages that one command reads: large enough that round trips do not count, small enough that Redis serves other
#: clients in between.
CHUNK = 256
#: Messages that are sent in one round trip; after a lost connection, at most this many are sent twice.
BATCH = 500
#: The lists that make up the queue, one for each priority, by the names that kombu gives them.
LISTS = [f"{QUEUE}{Channel.sep}{step}" if step else QUEUE for step in Channel.priority_steps]


class Queue:
    """The queue of one cluster.

    Args:
        app: The Celery app.
        client: A client of the broker.
        policy: What to do when Redis rejects a message.
    """

    def __init__(self, app: Celery, client: redis.Redis, policy: Policy) -> None:
        self._app = app
        self._client = client
        self._policy = policy

    def submit(self, jobs: Sequence[Job], *, label: str | None = None) -> None:
        """Queue jobs in their order. The task id is the job's key, so that queueing a job twice does no harm.

        Args:
            jobs: The jobs.
            label: Names verification tasks of these jobs, beside the jobs' own.
        """
        for start in range(0, len(jobs), BATCH):
            self._policy.run(lambda batch=jobs[start : start + BATCH]: self._publish(batch, label))  # type: ignore[misc]

    def _publish(self, jobs: Sequence[Job], label: str | None) -> None:
        with self._app.producer_or_acquire() as producer, producer.batch(BATCH):
            for job in jobs:
                signature(self._app, job, label=label).apply_async(producer=producer)

    def messages(self) -> set[str]:
        """Return the ids of the tasks that have a message: queued, or held by a worker that has not acknowledged it."""
        # First the queue: a message that a worker takes meanwhile is seen in one of the two.
        found = self.queued()
        for _, item in self._client.hscan_iter(UNACKED, count=CHUNK):
            found.add(_task_id(item, held=True))
        return found - {""}

    def queued(self) -> set[str]:
        """Return the ids of the tasks whose message no worker has taken yet."""
        found: set[str] = set()
        for name in LISTS:
            start = 0
            # New messages enter at this end and push the others on: up to the end of the list, none is missed.
            while chunk := self._read(name, start):
                found.update(map(_task_id, chunk))
                start += CHUNK
        return found - {""}

    def withdraw(self, task_ids: Collection[str]) -> set[str]:
        """Remove the queued messages of these tasks; messages that workers hold stay.

        Returns:
            The ids whose message was removed: no worker has it, or will get it.
        """
        wanted = frozenset(task_ids)
        withdrawn: set[str] = set()
        for name in LISTS:
            # Until none is left: when an answer is lost and the command repeated, the number of removed messages is
            # unknown, and with it the place where the list goes on.
            while self._withdraw_from(name, wanted, withdrawn):
                pass
        return withdrawn

    def _withdraw_from(self, name: str, wanted: frozenset[str], withdrawn: set[str]) -> bool:
        """Go through a list once, adding to `withdrawn`; return whether it held a wanted message."""
        found = False
        start = 0
        while chunk := self._read(name, start):
            ours = [(item, task_id) for item in chunk if (task_id := _task_id(item)) in wanted]
            found = found or bool(ours)
            with self._client.pipeline(transaction=False) as pipeline:
                for item, _ in ours:
                    # By value: if a worker was faster, nothing is removed.
                    pipeline.lrem(name, 1, cast("str", item))
                removed = pipeline.execute()
            withdrawn.update(task_id for (_, task_id), count in zip(ours, removed, strict=True) if count)
            start += len(chunk) - sum(removed)
        return found

    def _read(self, name: str, start: int) -> list[bytes]:
        return cast("list[bytes]", self._client.lrange(name, start, start + CHUNK - 1))


def _task_id(message: bytes, *, held: bool = False) -> str:
    """Return the task id of a message as kombu stores it; an empty text if it cannot be read.

    Args:
        message: JSON.
        held: Whether a worker holds it: then the name of its queue is stored beside it.
    """
    try:
        fields: Any = json.loads(message)
        return str((fields[0] if held else fields)["headers"]["id"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
