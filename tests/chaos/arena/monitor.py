"""Watches a run from outside: Redis over a connection of its own, and the sweep's folder."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import redis

from tests.chaos.history import History
from worker.job import Attempt, Result
from worker.records.store import key
from worker.redis.backend import parse

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
        self._results = ResultsLog(results)
        self._history = history
        self.attempts: dict[str, dict[str, Attempt]] = {job: {} for job in self._jobs}
        self.states: dict[str, str | None] = dict.fromkeys(self._jobs)
        self.rows = 0

    @property
    def logs(self) -> list[list[str]]:
        """The lines of `results.jsonl` as they were appended, for each file that had the name."""
        return self._results.logs

    def close(self) -> None:
        """Let go of the sweep's folder."""
        self._results.close()

    def look(self) -> None:
        """Look once; a Redis that is away is looked at the next time."""
        self._look_at_rows()
        try:
            states, attempts = self.ask(self._jobs)
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

    def ask(self, tasks: Iterable[str]) -> tuple[dict[str, str | None], dict[str, dict[str, Attempt]]]:
        """Return the state of each task, and the attempts at it, by worker and start."""
        states, attempts = {}, {}
        with self._client.pipeline(transaction=False) as pipeline:
            for task in (named := list(tasks)):
                pipeline.get(f"celery-task-meta-{task}")
                pipeline.hgetall(key("attempts", task))
            answers = pipeline.execute()
        for task, stored, found in zip(named, answers[::2], answers[1::2], strict=True):
            # Whatever a stranger has put there is no state.
            state = {"status": "PENDING"} if stored is None else parse(stored)
            states[task] = None if state["status"] == "PENDING" else state["status"]
            made = [Attempt.model_validate_json(value) for value in found.values()]
            # Only workers store a compressed one.
            if state["status"] == "SUCCESS" and stored[:1] == b"x":
                made += filter(None, [Result.model_validate(state["result"]).attempt])
            attempts[task] = {f"{each.worker} {each.started}": each for each in made}
        return states, attempts

    def _note_attempts(self, job: str, found: dict[str, Attempt]) -> None:
        for name, attempt in found.items():
            before = self.attempts[job].get(name)
            if before is None:
                self._history.add("attempt", job=job, **attempt.model_dump(exclude={"started"}))
            elif before != attempt:
                self._history.add("attempt ended", job=job, number=attempt.number, end=attempt.end)
        self.attempts[job] = found

    def _look_at_rows(self) -> None:
        self._results.look()
        rows = max(map(len, self.logs), default=0)
        if rows > self.rows:
            self.rows = rows
            self._history.add("row", rows=rows)


class ResultsLog:
    """Reads `results.jsonl` while it grows.

    When a sweep ends, another file with the same rows, each once, takes its place: what was appended before is only in
    the file that was there first, which is kept open for that.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: list[BinaryIO] = []
        self.logs: list[list[str]] = []

    def look(self) -> None:
        """Read what was appended, as far as lines are whole."""
        with contextlib.suppress(OSError):
            inode = self._path.stat().st_ino
            if not self._files or os.fstat(self._files[-1].fileno()).st_ino != inode:
                self._files.append(self._path.open("rb"))
                self.logs.append([])
        for file, lines in zip(self._files, self.logs, strict=True):
            known = file.tell()
            appended = file.read()
            whole = appended.rfind(b"\n") + 1
            lines += appended[:whole].decode().splitlines()
            # The rest is not written yet, or torn, and then the next orchestrator removes it.
            file.seek(known + whole)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()
