"""The queue: submits tasks, lists those that have a message, and withdraws messages."""

import json
import uuid
from collections.abc import Collection, Container, Sequence
from typing import Any

import redis
from celery import Celery
from kombu.transport.redis import Channel

from nn.files import json_values
from worker.job import Job, is_task_id
from worker.messages import MAX_HELD_BYTES, MAX_TAG_BYTES, MAX_TASK_BYTES, MAX_TASK_VALUES, QUEUE, UNACKED, signature
from worker.records.store import key
from worker.redis.bounded import chunks, read_items, scan_values
from worker.redis.waiting import Policy

#: The number of messages sent in one round trip. After a lost connection, at most this many are sent twice.
BATCH = 500
#: The lists of the queue: kombu uses one per priority.
LISTS = [f"{QUEUE}{Channel.sep}{step}" if step else QUEUE for step in Channel.priority_steps]

#: Seconds after which the receipts of a withdrawal expire, if its orchestrator was killed: longer than any outage.
RECEIPT_SECONDS = 86_400

#: Removes messages, and returns for each whether it was removed, now or by an earlier try whose answer was lost.
#: KEYS[1]: a list of the queue. KEYS[2]: the receipts, a set of hashes. ARGV[1]: seconds to keep them; then messages.
_WITHDRAW = """
local removed = {}
for i = 2, #ARGV do
    local hash = redis.sha1hex(ARGV[i])
    -- By value, so that a message which a worker has taken meanwhile changes nothing.
    if redis.call('LREM', KEYS[1], 1, ARGV[i]) > 0 then redis.call('SADD', KEYS[2], hash) end
    removed[i - 1] = redis.call('SISMEMBER', KEYS[2], hash)
end
redis.call('EXPIRE', KEYS[2], ARGV[1])
return removed
"""


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

    def submit(self, jobs: Sequence[Job], *, label: str | None = None, varying: Collection[str] = ()) -> None:
        """Queue jobs in order. The task id is the job key, so queueing a job twice is harmless.

        Args:
            jobs: The jobs.
            label: The label of verification tasks; None for the jobs' own tasks.
            varying: The options that vary in the jobs' sweep; Flower shows them.
        """
        for batch in chunks(jobs, BATCH):
            self._policy(lambda batch=batch: self._publish(batch, label, varying))  # type: ignore[misc]

    def _publish(self, jobs: Sequence[Job], label: str | None, varying: Collection[str]) -> None:
        with self._app.producer_or_acquire() as producer, producer.batch(BATCH):
            for job in jobs:
                signature(self._app, job, label=label, varying=varying).apply_async(producer=producer)

    def messages(self, of: Container[str]) -> set[str]:
        """Return which of these tasks have a message: queued, or held by a worker that has not acknowledged it."""
        # The queue is read first, so that a message which a worker takes meanwhile is found in one of the two places.
        found = self.queued(of)
        ids = (_task_id(item, held=True) for item in scan_values(self._client, UNACKED, MAX_HELD_BYTES, MAX_TAG_BYTES))
        return found.union(each for each in ids if each in of)

    def queued(self, of: Container[str]) -> set[str]:
        """Return which of these tasks have a message that no worker has taken yet."""
        found: set[str] = set()
        for name in LISTS:
            start = 0
            # New messages enter at this end and shift the others, so reading up to the end misses no message.
            while chunk := read_items(self._client, name, MAX_TASK_BYTES, start):
                found.update(each for each in map(_task_id, chunk) if each in of)
                start += len(chunk)
        return found

    def withdraw(self, task_ids: Collection[str]) -> set[str]:
        """Remove the queued messages of these tasks; messages that workers hold stay.

        Returns:
            The ids of the tasks whose message was removed. No worker has received it, or will.
        """
        wanted = frozenset(task_ids)
        withdrawn: set[str] = set()
        receipts = key("withdrawn", uuid.uuid4().hex)
        for name in LISTS:
            again = True
            # Repeated until a pass finds no wanted message: messages that others remove meanwhile shift the rest.
            while again:
                again, start = False, 0
                while chunk := read_items(self._client, name, MAX_TASK_BYTES, start):
                    start += len(chunk)
                    if ours := [item for item in chunk if _task_id(item) in wanted]:
                        again = True
                        removed: Any = self._client.eval(_WITHDRAW, 2, name, receipts, RECEIPT_SECONDS, *ours)
                        withdrawn.update(_task_id(item) for item, count in zip(ours, removed, strict=True) if count)
                        start -= sum(removed)
        if withdrawn:
            self._client.unlink(receipts)
        return withdrawn


def _task_id(message: bytes, *, held: bool = False) -> str:
    """Return the task id of a message that kombu stored; an empty text if the message is invalid."""
    if json_values(message) > MAX_TASK_VALUES:
        return ""
    try:
        fields: Any = json.loads(message)
        # A message that a worker holds is stored in an array with its queue.
        found = (fields[0] if held else fields)["headers"]["id"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
    # Ids are kept in memory, so a message must not choose the length of its id.
    return found if isinstance(found, str) and is_task_id(found) else ""
