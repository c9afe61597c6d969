"""Reads Celery's queue: which jobs have a message, queued or held by a worker."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from celery import Celery

#: Messages a command reads: large enough that round trips do not count, small enough that Redis serves others in
#: between.
CHUNK = 256


class Queue:
    """The queue of one app."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def messages(self) -> set[str]:
        """Return the ids of the tasks that have a message: queued, or held by a worker that has not acknowledged it."""
        with self._app.connection_for_read() as connection:
            channel = connection.default_channel
            client = channel.client
            found: set[str] = set()
            for queue in self._lists(channel):
                start = 0
                # New messages enter at this end and push the others on: up to the end of the list, none is missed.
                while chunk := client.lrange(queue, start, start + CHUNK - 1):
                    found.update(map(_task_id, chunk))
                    start += CHUNK
            held = client.hscan_iter(channel.unacked_key, count=CHUNK)
            found.update(_task_id(item, held=True) for _, item in held)
            return found - {""}

    def withdraw(self, task_ids: Collection[str]) -> set[str]:
        """Remove the queued messages of these tasks; messages that workers hold stay.

        Returns:
            The ids whose message was removed: no worker has it, or will get it.
        """
        withdrawn: set[str] = set()
        with self._app.connection_for_write() as connection:
            channel = connection.default_channel
            client = channel.client
            for queue in self._lists(channel):
                start = 0
                while chunk := client.lrange(queue, start, start + CHUNK - 1):
                    ours = [(item, task_id) for item in chunk if (task_id := _task_id(item)) in task_ids]
                    with client.pipeline(transaction=False) as pipeline:
                        for item, _ in ours:
                            # By value: if a worker was faster, nothing is removed.
                            pipeline.lrem(queue, 1, item)
                        removed = pipeline.execute()
                    withdrawn.update(task_id for (_, task_id), count in zip(ours, removed, strict=True) if count)
                    start += len(chunk) - sum(removed)
        return withdrawn

    def _lists(self, channel: Any) -> list[str]:
        """Return the names of the lists that make up the queue, one for each priority."""
        return [channel._q_for_pri(self._app.conf.task_default_queue, step) for step in channel.priority_steps]


def _task_id(message: bytes, *, held: bool = False) -> str:
    """Return the task id of a message as kombu stores it; an empty text if it cannot be read.

    Args:
        message: JSON.
        held: Whether a worker holds it, and the name of its queue is stored beside it.
    """
    try:
        fields = json.loads(message)
        return str((fields[0] if held else fields)["headers"]["id"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
