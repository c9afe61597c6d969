"""Records the attempts at a task with their causes and ends, and gives up a job that hangs or takes workers down."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from worker.errors import TooManyAttemptsError
from worker.job import Attempt, Cause, End
from worker.records.presence import Roster
from worker.records.store import Store, key, read_record
from worker.redis import limits
from worker.redis.bounded import read_hash, read_hashes

#: Ends in which a worker, or one of its processes, died or hung.
_TAKEN_DOWN = ("child lost", "hung", "worker lost")

#: Ends of an attempt that also end its job.
_JOB_ENDED = ("finished", "failed", "cancelled")


@dataclass(frozen=True)
class Attempts:
    """The attempts at tasks, in Redis.

    Args:
        store: The store that keeps the attempts.
        roster: The presence of the workers, to find those that died.
        limit: The number of times that a task may hang or take its worker down.
    """

    store: Store
    roster: Roster
    limit: int

    def earlier(self, task_id: str) -> list[Attempt]:
        """Mark attempts as lost if their worker is gone, and as open if it is back; return all, oldest first."""
        attempts = self._read(task_id)
        for attempt_id, attempt in attempts.items():
            if attempt.end not in (None, "worker lost"):
                continue
            # A worker that was frozen or cut off from Redis may be back. Its attempt is no longer lost.
            end = None if self.roster.is_alive(attempt.worker, attempt.started) else "worker lost"
            if end != attempt.end:
                ended = None if end is None else self.roster.clock.now()
                attempts[attempt_id] = attempt.model_copy(update={"end": end, "ended": ended})
                self._put(task_id, attempt_id, attempts[attempt_id])
        return _in_order(attempts)

    def is_suspect(self, earlier: list[Attempt], epochs: int) -> bool:
        """Return whether the next attempt after these is a task's last and must run alone in its worker.

        A worker may have died because of another job that it trained at the same time; an isolated attempt rules that
        out. The task's checkpoint has `epochs` epochs.

        Raises:
            TooManyAttemptsError: the task has hung or taken its worker down as often as the limit allows.
        """
        epochs_after = [*(attempt.epochs_before for attempt in earlier[1:]), epochs]
        # Those that took their worker down without advancing the checkpoint.
        strikes = [
            attempt
            for attempt, after in zip(earlier, epochs_after, strict=False)
            if attempt.end in _TAKEN_DOWN and after <= attempt.epochs_before
        ]
        if len(strikes) >= self.limit:
            what = ", ".join(f"{attempt.end} on {attempt.worker}" for attempt in strikes)
            did = "hung or took" if any(attempt.end == "hung" for attempt in strikes) else "took"
            raise TooManyAttemptsError(f"the job {did} its worker down {len(strikes)} times ({what}) and is given up")
        return len(strikes) == self.limit - 1 and any(attempt.end == "worker lost" for attempt in strikes)

    def start(
        self, task_id: str, worker: str, epochs: int = 0, earlier: Sequence[Attempt] | None = None
    ) -> tuple[str, Attempt]:
        """Record a new attempt, which begins from a checkpoint of `epochs` epochs.

        It comes after `earlier`, as `self.earlier` returned them; None to ask now.

        Returns:
            The id of the attempt, for `finish`, and the attempt.
        """
        earlier = self.earlier(task_id) if earlier is None else earlier
        attempt = Attempt(
            number=len(earlier) + 1,
            cause=_cause(earlier[-1] if earlier else None),
            worker=worker,
            started=self.roster.now(),
            epochs_before=epochs,
        )
        attempt_id = uuid.uuid4().hex
        self._put(task_id, attempt_id, attempt)
        return attempt_id, attempt

    def finish(self, task_id: str, attempt_id: str, attempt: Attempt, end: End) -> None:
        """Record how an attempt ended."""
        self._put(task_id, attempt_id, attempt.model_copy(update={"end": end, "ended": self.roster.now()}))

    def finish_on(self, task_id: str, worker: str, end: End) -> None:
        """Record the end of a worker's open attempts at a task."""
        for attempt_id, attempt in self._read(task_id).items():
            if attempt.worker == worker and attempt.end is None:
                self.finish(task_id, attempt_id, attempt, end)

    def drop(self, task_id: str, attempt_id: str) -> None:
        """Remove the record of an attempt whose result is stored (`worker.job.Result.attempt`), and the checkpoint.

        Those of earlier attempts then expire with the result.
        """
        with self.store.client.pipeline() as pipeline:
            pipeline.unlink(key("checkpoint", task_id))
            pipeline.hdel(key("attempts", task_id), attempt_id)
            pipeline.expire(key("attempts", task_id), self.store.expires)
            pipeline.execute()

    def of_each(self, task_ids: Sequence[str]) -> Iterator[tuple[str, list[Attempt]]]:
        """Yield each task with its attempts, oldest first, in few round trips and bounded memory.

        The one that made the task's stored result is absent, or, for a moment, still open.
        """
        names = [key("attempts", task_id) for task_id in task_ids]
        stored = read_hashes(self.store.client, names, limits.ATTEMPT, limits.ATTEMPTS)
        return ((task_id, _in_order(_parse(found))) for task_id, found in zip(task_ids, stored, strict=True))

    def _put(self, task_id: str, attempt_id: str, attempt: Attempt) -> None:
        name = key("attempts", task_id)
        with self.store.client.pipeline() as pipeline:
            pipeline.hset(name, attempt_id, attempt.model_dump_json())
            pipeline.expire(name, self.store.expires if attempt.end in _JOB_ENDED else self.store.open_expires)
            pipeline.execute()

    def _read(self, task_id: str) -> dict[str, Attempt]:
        return _parse(read_hash(self.store.client, key("attempts", task_id), limits.ATTEMPT, limits.ATTEMPTS))


def _parse(stored: Mapping[bytes, bytes]) -> dict[str, Attempt]:
    read = ((attempt_id.decode(errors="replace"), read_record(Attempt, value)) for attempt_id, value in stored.items())
    return {attempt_id: attempt for attempt_id, attempt in read if attempt is not None}


def _in_order(attempts: dict[str, Attempt]) -> list[Attempt]:
    return sorted(attempts.values(), key=lambda attempt: (attempt.number, attempt.started))


def _cause(before: Attempt | None) -> Cause:
    if before is None:
        return "first run"
    if before.end is None:
        return "delivered again"
    if before.end in ("worker lost", "child lost", "hung", "given back"):
        return before.end
    return "submitted again"
