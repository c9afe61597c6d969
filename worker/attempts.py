"""Counts the attempts at a job, says why each was made, and ends a job that takes its workers down."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.errors import TooManyAttemptsError
from worker.presence import Roster
from worker.store import Store, key

#: Why an attempt was made.
Cause = Literal[
    "first run",
    "worker lost",  # The worker of the attempt before is gone.
    "child lost",  # Its process died, and the worker lives.
    "given back",  # Its worker was told to end.
    "delivered again",  # It may still run: its worker lives, but lost the message.
    "submitted again",  # It ended, and somebody asked again.
]
#: How an attempt ended.
End = Literal["finished", "failed", "cancelled", "given back", "child lost", "worker lost"]

#: Ends that took a worker, or a process of it, down.
_TAKEN_DOWN = ("child lost", "worker lost")


class Attempt(BaseModel):
    """One execution of a job by one worker. `started` is in seconds since the epoch, by the worker's clock."""

    model_config = ConfigDict(frozen=True)

    number: int
    cause: Cause
    worker: str
    started: float
    #: None while it runs, and for ever if nobody saw it end.
    end: End | None = None


@dataclass(frozen=True)
class Attempts:
    """The attempts at runs, in Redis.

    Args:
        store: Where they are kept.
        roster: Tells which workers live.
        limit: How often a run may take its worker down.
    """

    store: Store
    roster: Roster
    limit: int

    def start(self, run: str, worker: str) -> tuple[str, Attempt]:
        """Put a new attempt on record.

        Returns:
            The attempt's id, which `finish` takes, and the attempt.

        Raises:
            TooManyAttemptsError: the run took its worker down as often as is allowed.
        """
        earlier = self._settle_lost(run)
        lost = [attempt for attempt in earlier if attempt.end in _TAKEN_DOWN]
        if len(lost) >= self.limit:
            what = ", ".join(f"{attempt.end} on {attempt.worker}" for attempt in lost)
            raise TooManyAttemptsError(f"the job took its worker down {len(lost)} times ({what}): it is given up")
        attempt = Attempt(
            number=len(earlier) + 1, cause=_cause(earlier[-1] if earlier else None), worker=worker, started=time.time()
        )
        attempt_id = uuid.uuid4().hex
        self._put(run, attempt_id, attempt)
        return attempt_id, attempt

    def finish(self, run: str, attempt_id: str, attempt: Attempt, end: End) -> None:
        """Put on record how an attempt ended."""
        self._put(run, attempt_id, attempt.model_copy(update={"end": end}))

    def finish_on(self, run: str, worker: str, end: End) -> None:
        """Put on record how the attempts ended that a worker saw end for their process."""
        for attempt_id, attempt in self._read(run).items():
            if attempt.worker == worker and attempt.end is None:
                self.finish(run, attempt_id, attempt, end)

    def of(self, run: str) -> list[Attempt]:
        """Return a run's attempts, oldest first."""
        return _in_order(self._read(run))

    def _settle_lost(self, run: str) -> list[Attempt]:
        """Return the attempts, with those on record as lost whose workers are gone."""
        attempts = self._read(run)
        for attempt_id, attempt in attempts.items():
            if attempt.end is None and not self.roster.is_alive(attempt.worker, attempt.started):
                # If it was only cut off, it corrects this when it ends: the last word is its own.
                attempts[attempt_id] = attempt.model_copy(update={"end": "worker lost"})
                self._put(run, attempt_id, attempts[attempt_id])
        return _in_order(attempts)

    def _put(self, run: str, attempt_id: str, attempt: Attempt) -> None:
        name = key("attempts", run)

        def command() -> None:
            with self.store.client.pipeline() as pipeline:
                pipeline.hset(name, attempt_id, attempt.model_dump_json())
                pipeline.expire(name, self.store.expires)
                pipeline.execute()

        self.store.call(command)

    def _read(self, run: str) -> dict[str, Attempt]:
        stored = self.store.call(lambda: self.store.client.hgetall(key("attempts", run)))
        found = {}
        for attempt_id, value in cast("dict[bytes, bytes]", stored).items():
            try:
                found[attempt_id.decode(errors="replace")] = Attempt.model_validate_json(value)
            except ValidationError:
                # Not written by this version: it counts for nothing, and harms nothing.
                continue
        return found


def _in_order(attempts: dict[str, Attempt]) -> list[Attempt]:
    return sorted(attempts.values(), key=lambda attempt: (attempt.number, attempt.started))


def _cause(before: Attempt | None) -> Cause:
    if before is None:
        return "first run"
    if before.end is None:
        return "delivered again"
    if before.end in ("worker lost", "child lost", "given back"):
        return before.end
    return "submitted again"
