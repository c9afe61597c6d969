"""Watches a run from outside: Redis over a connection of its own, and the sweep's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import redis

from tests.chaos.history import History
from worker.attempts import Attempt
from worker.store import key

ENDED = ("SUCCESS", "FAILURE", "REVOKED")


class Monitor:
    """Notes what changes between two looks.

    Args:
        client: A direct connection to Redis, which may be away.
        jobs: The keys of the sweep's jobs.
        results: The sweep's `results.jsonl`.
        history: Where changes are noted.
    """

    def __init__(self, client: redis.Redis, jobs: Iterable[str], results: Path, history: History) -> None:
        self._client = client
        self._jobs = list(jobs)
        self._results = results
        self._history = history
        self.attempts: dict[str, dict[str, Attempt]] = {job: {} for job in self._jobs}
        self.states: dict[str, str | None] = dict.fromkeys(self._jobs)
        self.rows = 0

    def look(self) -> None:
        """Look once; a Redis that is away is looked at the next time."""
        self._look_at_rows()
        try:
            states, attempts = self._ask()
        except (redis.RedisError, OSError):
            return
        for job in self._jobs:
            self._note_attempts(job, attempts[job])
            if states[job] != self.states[job]:
                self.states[job] = states[job]
                if states[job] in ENDED:
                    self._history.add("ended", job=job, state=states[job])

    def running(self, worker: str | None = None) -> list[str]:
        """Return the jobs that are being trained, on this worker or on any."""
        return [
            job
            for job in self._jobs
            if self.states[job] not in ENDED
            and any(attempt.end is None and worker in (None, attempt.worker) for attempt in self.attempts[job].values())
        ]

    def untouched(self) -> list[str]:
        """Return the jobs that no worker has begun with."""
        return [job for job in self._jobs if self.states[job] is None and not self.attempts[job]]

    def _ask(self) -> tuple[dict[str, str | None], dict[str, dict[str, Attempt]]]:
        with self._client.pipeline(transaction=False) as pipeline:
            for job in self._jobs:
                pipeline.get(f"celery-task-meta-{job}")
                pipeline.hgetall(key("attempts", job))
            answers = pipeline.execute()
        states = {job: _state(meta) for job, meta in zip(self._jobs, answers[::2], strict=True)}
        return states, {job: read_attempts(found) for job, found in zip(self._jobs, answers[1::2], strict=True)}

    def _note_attempts(self, job: str, found: dict[str, Attempt]) -> None:
        for attempt_id, attempt in found.items():
            before = self.attempts[job].get(attempt_id)
            if before is None:
                self._history.add("attempt", job=job, **attempt.model_dump(exclude={"started"}))
            elif before != attempt:
                self._history.add("attempt ended", job=job, number=attempt.number, end=attempt.end)
        self.attempts[job] = found

    def _look_at_rows(self) -> None:
        try:
            rows = self._results.read_bytes().count(b"\n")
        except OSError:
            return
        if rows > self.rows:
            self.rows = rows
            self._history.add("row", rows=rows)


def read_attempts(found: dict[bytes, bytes]) -> dict[str, Attempt]:
    return {attempt_id.decode(): Attempt.model_validate_json(value) for attempt_id, value in found.items()}


def _state(meta: bytes | None) -> str | None:
    if meta is None:
        return None
    fields: dict[str, Any] = json.loads(meta)
    return str(fields["status"])
