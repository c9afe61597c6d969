"""What workers say about themselves at every beat, in one Redis hash for all of them."""

from __future__ import annotations

import time
from typing import TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.records.store import Store

P = TypeVar("P", bound="_Pulse")

WORKERS = "seedsweep:workers"

#: A worker that has not reported for so many leases is forgotten.
FORGOTTEN_AFTER = 10


class _Pulse(BaseModel):
    """What can be read of a worker of any version. Times are seconds since the epoch, by the worker's own clock."""

    model_config = ConfigDict(frozen=True)

    started: float
    beat: float

    def age(self) -> float:
        """Return the seconds since the last beat."""
        return time.time() - self.beat


class Presence(_Pulse):
    """A worker as it was at its last beat."""

    name: str
    host: str
    pid: int
    #: When its event loop last turned.
    looped: float
    #: When it last took a job, or had no reason to: no process was free, or none waited.
    kept_up: float
    #: The runs that its processes train, and when each began.
    running: dict[str, float]
    concurrency: int
    #: Whether its pool works in the event loop itself, which then stands still during a job.
    blocking: bool
    #: Whether it takes jobs from the queue.
    consuming: bool
    #: Why it takes none, if its circuit breaker stopped it.
    broken: str | None
    #: The digest of its data set; None before it is loaded.
    dataset: str | None


class Roster:
    """All workers that report to one Redis.

    Args:
        store: Where they report.
        lease_seconds: The lease of messages. A worker beats three times in a lease, and renews its leases with the same
            beat: one that has been silent for longer has lost them, too.
    """

    def __init__(self, store: Store, lease_seconds: float) -> None:
        self._store = store
        self._lease = lease_seconds

    def report(self, presence: Presence) -> None:
        """Put a worker on record, or renew it."""
        client = self._store.client

        def command() -> None:
            with client.pipeline(transaction=False) as pipeline:
                pipeline.hset(WORKERS, presence.name, presence.model_dump_json())
                pipeline.expire(WORKERS, int(FORGOTTEN_AFTER * self._lease))
                pipeline.execute()

        self._store.call(command)

    def leave(self, name: str) -> None:
        """Remove a worker that ends."""
        self._store.call(lambda: self._store.client.hdel(WORKERS, name))

    def all(self) -> list[Presence]:
        """Return the workers that reported lately, by name; those long silent are removed."""
        stored = self._store.call(lambda: self._store.client.hgetall(WORKERS))
        found = []
        for name, value in cast("dict[bytes, bytes]", stored).items():
            pulse, presence = _read(_Pulse, value), _read(Presence, value)
            if pulse is None or pulse.age() > FORGOTTEN_AFTER * self._lease:
                self._store.call(lambda name=name: self._store.client.hdel(WORKERS, name))  # type: ignore[misc]
            elif presence is not None:
                found.append(presence)
        return sorted(found, key=lambda presence: presence.name)

    def is_alive(self, name: str, since: float) -> bool:
        """Return whether the worker that had this name at a time (by its own clock) still holds its leases."""
        value = self._store.call(lambda: self._store.client.hget(WORKERS, name))
        pulse = _read(_Pulse, cast("bytes", value)) if value is not None else None
        # A worker of the same name that started later is another one.
        return pulse is not None and pulse.age() < self._lease and pulse.started <= since

    def holders(self, dataset: str) -> list[str]:
        """Return the names of the workers that take jobs on a data set."""
        live = (presence for presence in self.all() if presence.age() < self._lease)
        return [presence.name for presence in live if presence.consuming and presence.dataset == dataset]


def _read(kind: type[P], value: bytes) -> P | None:
    try:
        return kind.model_validate_json(value)
    except ValidationError:
        return None
