"""Reads Celery's result backend: what is known about each job.

Stateless: everything is asked for by job key, so that any orchestrator can go on where another one stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


class Results:
    """The result backend of one app."""

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

    def revoke(self, keys: Iterable[str], reason: str) -> None:
        """Store that these jobs are cancelled; a result that is stored already stays."""
        for key in keys:
            self._app.backend.mark_as_revoked(key, reason)


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    remaining = list(keys)
    for start in range(0, len(remaining), CHUNK):
        yield remaining[start : start + CHUNK]
