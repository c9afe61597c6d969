"""Reads Celery's result backend and its queue: what is known about each job, and which messages there are.

Stateless: everything is asked for by job key, so that any orchestrator can go on where another one stopped.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from celery import Celery, states
from celery.exceptions import TaskRevokedError

from nn.errors import SeedsweepError
from worker.records.report import PROGRESS, read_report

#: Keys a command reads: large enough that round trips do not count, small enough that Redis serves others in between.
CHUNK = 256


@dataclass(frozen=True)
class State:
    """What the result backend holds for a job.

    Attributes:
        name: One of Celery's states, or one of `worker.records.report`.
        value: The result of a SUCCESS, the error of a FAILURE as a sentence, a job's last `Report` or None.
    """

    name: str
    value: Any

    @property
    def running(self) -> bool:
        """Whether a worker has begun with the job and not ended."""
        return self.name in (states.STARTED, states.RETRY, PROGRESS)

    @property
    def ended(self) -> bool:
        """Whether the job has a result, failed, or was cancelled."""
        return self.name in states.READY_STATES


class Ledger:
    """The result backend and the queue of one app."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def states(self, keys: Iterable[str]) -> dict[str, State]:
        """Return what is stored for these jobs; a job about which nothing is stored is absent."""
        backend = self._app.backend
        found = {}
        for chunk in _chunks(keys):
            for key, stored in zip(chunk, backend.mget([backend.get_key_for_task(key) for key in chunk]), strict=True):
                if stored is not None:
                    found[key] = self._state(stored)
        return found

    def _state(self, stored: bytes) -> State:
        meta = self._app.backend.decode_result(stored)
        name, value = meta["status"], meta["result"]
        if name not in states.READY_STATES:
            return State(name, read_report(value))
        if name == states.SUCCESS:
            return State(name, value)
        words = (
            f"{value}" if isinstance(value, (SeedsweepError, TaskRevokedError)) else f"{type(value).__name__}: {value}"
        )
        # Whoever wrote them, they can be written down again.
        return State(name, words.encode(errors="replace").decode())

    def forget(self, keys: Iterable[str]) -> None:
        """Remove what is stored for these jobs, so that they can be asked for anew."""
        backend = self._app.backend
        for chunk in _chunks(keys):
            backend.client.delete(*(backend.get_key_for_task(key) for key in chunk))

    def messages(self) -> set[str]:
        """Return the keys of the jobs that have a message: queued, or held by a worker that has not acknowledged it."""
        with self._app.connection_for_read() as connection:
            channel = connection.default_channel
            client = channel.client
            found: set[str] = set()
            for queue in self._queues(channel):
                start = 0
                # New ones come in at this end meanwhile, and move the others on: until the list ends, none is missed.
                while chunk := client.lrange(queue, start, start + CHUNK - 1):
                    found.update(map(_message_id, chunk))
                    start += CHUNK
            held = client.hscan_iter(channel.unacked_key, count=CHUNK)
            found.update(_message_id(item, held=True) for _, item in held)
            return found - {""}

    def withdraw(self, keys: Collection[str]) -> set[str]:
        """Remove the queued messages of these jobs; those that workers hold stay.

        Returns:
            The keys of which a message was removed: nobody else has it, or will have it.
        """
        withdrawn: set[str] = set()
        with self._app.connection_for_write() as connection:
            channel = connection.default_channel
            client = channel.client
            for queue in self._queues(channel):
                start = 0
                while chunk := client.lrange(queue, start, start + CHUNK - 1):
                    ours = [(item, key) for item in chunk if (key := _message_id(item)) in keys]
                    with client.pipeline(transaction=False) as pipeline:
                        for item, _ in ours:
                            # The very message, by its value: if a worker was faster, nothing is removed.
                            pipeline.lrem(queue, 1, item)
                        removed = pipeline.execute()
                    withdrawn.update(key for (_, key), count in zip(ours, removed, strict=True) if count)
                    start += len(chunk) - sum(removed)
        return withdrawn

    def revoke(self, keys: Iterable[str], reason: str) -> None:
        """Store that these jobs are cancelled; a result that is stored already stays."""
        for key in keys:
            self._app.backend.mark_as_revoked(key, reason)

    def _queues(self, channel: Any) -> list[str]:
        """Return the names of the lists that make up the queue, one for each priority."""
        return [channel._q_for_pri(self._app.conf.task_default_queue, step) for step in channel.priority_steps]


def _message_id(message: bytes, *, held: bool = False) -> str:
    """Return the task id of a message as kombu stores it; an empty text if it is none.

    Args:
        message: JSON.
        held: Whether a worker holds it, and its queue is beside it.
    """
    try:
        fields = json.loads(message)
        return str((fields[0] if held else fields)["headers"]["id"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    remaining = list(keys)
    for start in range(0, len(remaining), CHUNK):
        yield remaining[start : start + CHUNK]
