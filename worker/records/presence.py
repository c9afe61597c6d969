"""The presence of workers, which each writes to one Redis hash at every heartbeat, and why one makes no progress."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, cast

from pydantic import BaseModel, Field

from worker.job import Needs, OneLine, Text, Time
from worker.records.store import Store, read_record
from worker.redis import limits
from worker.redis.bounded import read_fields, read_hash
from worker.redis.clock import ServerClock

WORKERS = "seedsweep:workers"

#: A number of processes, or the id of one.
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]

#: The most tasks that a worker trains at once.
MAX_RUNNING = 1000

#: A difference of times, in seconds.
Difference = Annotated[float, Field(ge=-1e11, le=1e11)]

#: A worker is removed when its last heartbeat is this many leases old.
FORGOTTEN_AFTER = 10


# A field that is added later needs a default: two versions share a cluster during an upgrade.
class Presence(BaseModel, frozen=True, strict=True):
    """The state of a worker at its last heartbeat. Times are in seconds since the epoch, by Redis's clock."""

    name: OneLine
    host: OneLine
    pid: Count
    started: Time
    beat: Time
    #: When its event loop last ran.
    looped: Time
    #: When it last took a job, or could not: no process was idle, or the queue was empty.
    kept_up: Time
    #: The tasks in training, each with the time of its last progress, or of its start if the pool cannot be watched.
    running: dict[Text, Time] = Field(max_length=MAX_RUNNING)
    concurrency: Count
    #: Whether its pool runs jobs in the event loop, and thus blocks it.
    blocking: bool
    #: Whether it consumes the queue.
    consuming: bool
    #: The last failure, if the circuit breaker has stopped the worker; otherwise None.
    broken: OneLine | None
    #: The digest of its data set; None until it is loaded.
    dataset: Text | None
    #: Its trainer, and the versions of jobs that the trainer trains.
    trainer: OneLine
    versions: list[Count] = Field(max_length=1000)
    #: The source of its data set, and the number of attempts that have ended since it started.
    data: OneLine
    done: Count
    #: Seconds between two heartbeats.
    interval: Time
    #: Whether it is connected to the queue's Redis.
    connected: bool
    #: Whether it is shutting down.
    stopping: bool
    #: Why it can open no more files and connections; None if it can.
    exhausted: OneLine | None
    #: Seconds by which its host's clock is ahead of Redis's; negative if it is behind.
    ahead: Difference

    def age(self, now: float) -> float:
        """Return the seconds since the last heartbeat, or until it if its time is in the future.

        Args:
            now: The time by Redis's clock (`Roster.clock`).
        """
        return abs(now - self.beat)

    def has(self, needs: Needs) -> bool:
        """Return whether the worker has what a job needs."""
        return (self.trainer, self.dataset) == (needs.trainer, needs.dataset) and needs.version in self.versions


class Roster:
    """The workers of one cluster.

    Args:
        store: The store that keeps their presence.
        lease_seconds: The lease of messages. A worker sends a heartbeat and renews its leases at least three times per
            lease, so a worker that was silent for a whole lease has lost its messages.
        clock: A clock that others use, too; None for one of its own.

    Attributes:
        store: The store.
        lease: The lease, in seconds.
        clock: Redis's clock, measured whenever the roster is read.
    """

    def __init__(self, store: Store, lease_seconds: float, clock: ServerClock | None = None) -> None:
        self.store = store
        self.lease = lease_seconds
        self.clock = clock or ServerClock()

    def now(self) -> float:
        """Return Redis's time in seconds since the epoch, measured now or just before."""
        return self.clock.recent(self.store.client)

    def report(self, presence: Presence) -> None:
        """Record a worker's presence."""
        with self.store.client.pipeline(transaction=False) as pipeline:
            pipeline.hset(WORKERS, presence.name, presence.model_dump_json())
            pipeline.expire(WORKERS, int(FORGOTTEN_AFTER * self.lease))
            pipeline.execute()

    def leave(self, name: str) -> None:
        """Remove a worker that shuts down."""
        self.store.client.hdel(WORKERS, name)

    def all(self) -> list[Presence]:
        """Return the recorded workers, sorted by name; remove those silent for more than `FORGOTTEN_AFTER` leases."""
        now = self.clock.measure(self.store.client)
        stored = read_hash(self.store.client, WORKERS, limits.PRESENCE, limits.PRESENCES)
        found = []
        while stored:
            # Taken out, so that its memory is free for what it becomes.
            name, value = stored.popitem()
            presence = read_record(Presence, value, limits.PRESENCE_VALUES)
            if presence is None or presence.age(now) > FORGOTTEN_AFTER * self.lease:
                self.store.client.hdel(WORKERS, cast("str", name))
            else:
                found.append(presence)
        return sorted(found, key=lambda presence: presence.name)

    def online(self) -> list[Presence]:
        """Return the workers that hold their leases, sorted by name."""
        workers = self.all()
        lost = self.lost(workers)
        return [presence for presence in workers if presence.name not in lost]

    def lost(self, workers: Iterable[Presence]) -> dict[str, float]:
        """Return those of these workers that have lost their leases, by name: seconds since the last heartbeat."""
        now = self.clock.now()
        return {each.name: age for each in workers if (age := each.age(now)) >= self.lease}

    def is_alive(self, name: str, since: float) -> bool:
        """Return whether the worker that had this name at `since`, by Redis's clock, still holds its leases."""
        now = self.clock.measure(self.store.client)
        value = read_fields(self.store.client, WORKERS, [name], limits.PRESENCE)[0]
        presence = None if value is None else read_record(Presence, value, limits.PRESENCE_VALUES)
        # A process of this name that started later is a different worker.
        return presence is not None and presence.age(now) < self.lease and presence.started <= since

    def trainers_of(self, needs: Needs) -> list[str]:
        """Return the names of the live workers that have what a job needs."""
        return [presence.name for presence in self.online() if presence.consuming and presence.has(needs)]


@dataclass(frozen=True)
class Problem:
    """Why a worker makes no progress.

    Attributes:
        kind: The name of the problem, the same for all workers.
        sentence: The problem as the end of a sentence that begins with the worker's name.
    """

    kind: str
    sentence: str


def problem_of(worker: Presence, now: float, *, patience: float, idle: float) -> Problem | None:
    """Return the most serious problem of a worker, or None.

    Args:
        worker: Its presence.
        now: The time by Redis's clock, in seconds since the epoch.
        patience: Seconds for which it may send no heartbeat, and its event loop may stand still.
        idle: Seconds for which it may take no job while jobs wait and a process is idle.
    """
    silent, blocked, rested = worker.age(now), now - worker.looped, now - worker.kept_up
    in_its_loop = worker.blocking and bool(worker.running)
    if silent > patience:
        return Problem("silent", f"has sent no heartbeat for {silent:.0f} s")
    if worker.exhausted is not None:
        why = f"can open no more files or connections ({worker.exhausted})"
        return Problem("exhausted", f"{why}: raise its limit, or restart it")
    if worker.broken is not None:
        why = f"takes no more jobs, because too many failed in a row, the last one with {worker.broken}"
        return Problem("broken", f"{why}: restart it")
    if worker.stopping:
        return Problem("stopping", "is shutting down")
    if not worker.connected:
        return Problem("cut off", "is not connected to the queue's Redis, and tries to reconnect")
    if not worker.consuming:
        cure = "`celery -A worker control add_consumer seedsweep` lets it take jobs again"
        return Problem("drained", f"is connected but does not consume the queue: {cure}")
    if blocked > patience and not in_its_loop:
        return Problem("blocked", f"has an event loop that has stood still for {blocked:.0f} s: restart it")
    if rested > idle and not in_its_loop:
        return Problem("idle", f"is connected but has taken no job for {rested:.0f} s, although jobs wait")
    return None


def clocks_of(workers: Iterable[Presence], here: ServerClock) -> dict[str, float]:
    """Return the seconds by which this host's clock and each worker's are ahead of Redis's, by the host's name."""
    ahead = {socket.gethostname(): here.ahead}
    for worker in workers:
        ahead[worker.host] = max(ahead.get(worker.host, 0.0), worker.ahead, key=abs)
    return ahead
