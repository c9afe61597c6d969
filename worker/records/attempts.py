"""Counts the attempts at a job, says why each was made, and ends a job that takes its workers down."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.errors import TooManyAttemptsError
from worker.records.presence import Roster
from worker.records.store import Store, key

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
    #: The epochs that it had from a checkpoint when it began.
    epochs_before: int = 0
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

    def is_suspect(self, task_id: str, epochs: int) -> bool:
        """Return whether the next worker that goes down under the run is one too many.

        A worker may have gone down because of a job that it trained beside this one: the last attempt shall show it.

        Args:
            task_id: The task.
            epochs: Those that it has from a checkpoint.

        Raises:
            TooManyAttemptsError: the run took its worker down as often as is allowed.
        """
        strikes = _strikes(self._mark_lost(task_id), epochs)
        if len(strikes) >= self.limit:
            what = ", ".join(f"{attempt.end} on {attempt.worker}" for attempt in strikes)
            raise TooManyAttemptsError(f"the job took its worker down {len(strikes)} times ({what}): it is given up")
        return len(strikes) == self.limit - 1 and any(attempt.end == "worker lost" for attempt in strikes)

    def start(self, task_id: str, worker: str, epochs: int = 0) -> tuple[str, Attempt]:
        """Put a new attempt on record, which has so many epochs from a checkpoint.

        Returns:
            The attempt's id, which `finish` takes, and the attempt.
        """
        earlier = self._mark_lost(task_id)
        attempt = Attempt(
            number=len(earlier) + 1,
            cause=_cause(earlier[-1] if earlier else None),
            worker=worker,
            started=time.time(),
            epochs_before=epochs,
        )
        attempt_id = uuid.uuid4().hex
        self._put(task_id, attempt_id, attempt)
        return attempt_id, attempt

    def finish(self, task_id: str, attempt_id: str, attempt: Attempt, end: End) -> None:
        """Put on record how an attempt ended."""
        self._put(task_id, attempt_id, attempt.model_copy(update={"end": end}))

    def finish_on(self, task_id: str, worker: str, end: End) -> None:
        """Put on record how the attempts ended that a worker saw end for their process."""
        for attempt_id, attempt in self._read(task_id).items():
            if attempt.worker == worker and attempt.end is None:
                self.finish(task_id, attempt_id, attempt, end)

    def of(self, task_id: str) -> list[Attempt]:
        """Return a run's attempts, oldest first."""
        return _in_order(self._read(task_id))

    def _mark_lost(self, task_id: str) -> list[Attempt]:
        """Return the attempts, with those on record as lost whose workers are gone, and no others."""
        attempts = self._read(task_id)
        for attempt_id, attempt in attempts.items():
            if attempt.end not in (None, "worker lost"):
                continue
            # A worker that was only cut off, or frozen, is back; its attempt goes on, and has the last word itself.
            end = None if self.roster.is_alive(attempt.worker, attempt.started) else "worker lost"
            if end != attempt.end:
                attempts[attempt_id] = attempt.model_copy(update={"end": end})
                self._put(task_id, attempt_id, attempts[attempt_id])
        return _in_order(attempts)

    def _put(self, task_id: str, attempt_id: str, attempt: Attempt) -> None:
        name = key("attempts", task_id)

        def command() -> None:
            with self.store.client.pipeline() as pipeline:
                pipeline.hset(name, attempt_id, attempt.model_dump_json())
                pipeline.expire(name, self.store.expires)
                pipeline.execute()

        self.store.call(command)

    def _read(self, task_id: str) -> dict[str, Attempt]:
        stored = self.store.call(lambda: self.store.client.hgetall(key("attempts", task_id)))
        found = {}
        for attempt_id, value in cast("dict[bytes, bytes]", stored).items():
            try:
                found[attempt_id.decode(errors="replace")] = Attempt.model_validate_json(value)
            except ValidationError:
                # Not written by this version: it counts for nothing, and harms nothing.
                continue
        return found


def _strikes(attempts: list[Attempt], epochs: int) -> list[Attempt]:
    """Return the attempts that took their worker down and left no checkpoint further on than they had found one.

    Args:
        attempts: In their order.
        epochs: Those that the run has from a checkpoint now.
    """
    found_after = [*(attempt.epochs_before for attempt in attempts[1:]), epochs]
    return [
        attempt
        for attempt, after in zip(attempts, found_after, strict=False)
        if attempt.end in _TAKEN_DOWN and after <= attempt.epochs_before
    ]


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
