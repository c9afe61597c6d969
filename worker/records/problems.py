"""Tells from a worker's presence why it makes no progress, for `worker.health` and for sweeps that wait."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from worker.records.presence import Presence


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
    table = (
        ("silent", silent > patience, f"has sent no heartbeat for {silent:.0f} s"),
        (
            "exhausted",
            worker.exhausted is not None,
            f"can open no more files or connections ({worker.exhausted}): raise its limit, or restart it",
        ),
        (
            "broken",
            worker.broken is not None,
            f"takes no more jobs, because too many failed in a row, the last one with {worker.broken}: restart it",
        ),
        ("stopping", worker.stopping, "is shutting down"),
        ("cut off", not worker.connected, "is not connected to the queue's Redis, and tries to reconnect"),
        (
            "drained",
            not worker.consuming,
            "is connected but does not consume the queue: `celery -A worker control add_consumer seedsweep` "
            "lets it take jobs again",
        ),
        (
            "blocked",
            blocked > patience and not in_its_loop,
            f"has an event loop that has stood still for {blocked:.0f} s: restart it",
        ),
        (
            "idle",
            rested > idle and not in_its_loop,
            f"is connected but has taken no job for {rested:.0f} s, although jobs wait",
        ),
    )
    return next((Problem(kind, sentence) for kind, holds, sentence in table if holds), None)


def clocks_of(workers: Iterable[Presence]) -> dict[str, float]:
    """Return the seconds by which the clock of each worker's host is ahead of Redis's, by the host's name."""
    ahead: dict[str, float] = {}
    for worker in workers:
        ahead[worker.host] = max(ahead.get(worker.host, 0.0), worker.ahead, key=abs)
    return ahead
