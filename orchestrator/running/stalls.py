"""Finds out why a sweep stands still: Redis forgot jobs, or no worker takes any.

A forgotten job is one without a result, and without a message that could still bring one.

A server without persistence loses its queue when it ends, and a worker that dies in the instant between taking a
message and claiming it loses that message. Both leave a job for which everybody waits for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from orchestrator.cluster.cluster import Cluster
from orchestrator.errors import ClusterError
from worker.records.presence import Presence

#: Seconds between two looks. A look reads all messages: rare enough not to count, often enough to lose no patience.
LOOK_SECONDS = 3.0
#: Seconds without any sign of work after which we ask whether there is a worker at all, and then ask again.
STALL_SECONDS = 3.0
REMINDER_SECONDS = 60.0


class LostJobs:
    """Looks from time to time, and calls a job lost when two looks in a row found nothing of it."""

    def __init__(self, cluster: Cluster, look_seconds: float) -> None:
        self._cluster = cluster
        self._pause = look_seconds
        self._next = time.monotonic() + look_seconds
        self._suspects: set[str] = set()

    def lost(self, waiting: Iterable[str]) -> set[str]:
        """Return those of the waiting jobs that are lost; none if it is not yet time for another look."""
        started = time.monotonic()
        if started < self._next:
            return set()
        # First the messages, then the results: a result is stored before its message is acknowledged, so that a job
        # that ends in between is seen in one of the two. A message on its way from the queue to a worker is in neither
        # list for an instant: that is what the second look is for.
        messages = self._cluster.queue.messages()
        silent = set(waiting) - messages
        silent -= {key for key, state in self._cluster.results.states(silent).items() if state.ended}
        lost = silent & self._suspects
        self._suspects = silent - lost
        # At most a tenth of the time is spent on looking, however long the queue is.
        self._next = time.monotonic() + max(self._pause, 10 * (time.monotonic() - started))
        return lost


class StallWatch:
    """Says so, now and then, if nothing happens and no worker takes jobs.

    Args:
        cluster: The cluster.
        tell: Shows a message to the user.
    """

    def __init__(self, cluster: Cluster, tell: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._tell = tell
        self._next_question = time.monotonic() + STALL_SECONDS
        self._running: Mapping[str, object] = {}

    def look(self, *, ended: bool, running: Mapping[str, object]) -> None:
        """Take note of whether anything happened since the last look.

        Args:
            ended: Whether a job has ended.
            running: What the running jobs report; the same reports again are no sign of work.

        Raises:
            ClusterError: the worker of an embedded cluster takes no more jobs.
        """
        now = time.monotonic()
        if ended or running != self._running:
            self._running = dict(running)
            self._next_question = now + STALL_SECONDS
        elif now > self._next_question:
            self._next_question = now + REMINDER_SECONDS
            self._ask(self._cluster.online_workers())

    def _ask(self, workers: list[Presence]) -> None:
        if not workers:
            self._tell(self._cluster.no_worker)
        elif all(worker.broken is not None for worker in workers):
            named = "; ".join(f"{worker.name}: {worker.broken}" for worker in workers)
            what = f"No worker takes jobs any more, because too many failed in a row on each ({named})"
            if self._cluster.embedded:
                raise ClusterError(what)
            self._tell(f"{what}; it goes on when one is restarted")
