"""Finds out why a sweep stands still: Redis lost jobs, or no worker takes any.

A lost job has no result, and no message that could still bring one. A server without persistence loses its queue when
it ends, and a worker that dies between taking a message and recording it loses that message.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from orchestrator.cluster.cluster import Cluster
from orchestrator.errors import ClusterError
from worker.records.presence import Presence

#: Seconds between two looks for lost jobs. A look reads all messages.
LOOK_SECONDS = 3.0
#: The longest time between two looks, in seconds: an outage makes a look long that costs nothing.
LONGEST_LOOK_SECONDS = 30.0
#: Seconds without a sign of work after which the workers are looked at, and then again.
STALL_SECONDS = 3.0
#: Seconds after which the user is told again.
REMINDER_SECONDS = 60.0
#: The share of a lease after which a worker without a heartbeat is called silent. It sends three per lease.
SILENT_AFTER = 0.5


def share_of_time(taken: float, shortest: float, longest: float) -> float:
    """Return the seconds to pause after some work, so that the work takes a tenth of the time.

    Args:
        taken: Seconds that the work took.
        shortest: The shortest pause, in seconds.
        longest: The longest pause, in seconds.
    """
    return min(max(shortest, 9 * taken), longest)


class LostJobs:
    """Looks for lost jobs from time to time. A job is lost when two looks in a row found nothing of it.

    Args:
        cluster: The cluster.
        look_seconds: The shortest time between two looks, in seconds.
    """

    def __init__(self, cluster: Cluster, look_seconds: float) -> None:
        self._cluster = cluster
        self._pause = look_seconds
        self._next = time.monotonic() + look_seconds
        self._suspects: set[str] = set()

    def lost(self, waiting: Iterable[str]) -> set[str]:
        """Return those of the waiting tasks that are lost; none if it is not yet time for another look."""
        started = time.monotonic()
        if started < self._next:
            return set()
        # First the messages, then the results: a result is stored before its message is acknowledged, so that a task
        # that ends in between is seen in one of the two. A message on its way from the queue to a worker is in neither
        # for an instant: that is why there is a second look.
        messages = self._cluster.queue.messages()
        silent = set(waiting) - messages
        silent -= self._cluster.results.ended(silent).keys()
        lost = silent & self._suspects
        self._suspects = silent - lost
        now = time.monotonic()
        self._next = now + share_of_time(now - started, self._pause, LONGEST_LOOK_SECONDS)
        return lost


class StallWatch:
    """Tells the user, and then reminds each minute, that nothing happens because no worker takes jobs.

    Args:
        cluster: The cluster.
        tell: Shows a message to the user.
    """

    def __init__(self, cluster: Cluster, tell: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._tell = tell
        self._next_look = time.monotonic() + STALL_SECONDS
        self._running: Mapping[str, object] = {}

    def look(self, *, ended: bool, running: Mapping[str, object]) -> None:
        """Take note of whether anything happened since the last look.

        Args:
            ended: Whether a task has ended.
            running: The reports of the running tasks; unchanged reports are no sign of work.

        Raises:
            ClusterError: the worker of an embedded cluster takes no more jobs.
        """
        now = time.monotonic()
        if ended or running != self._running:
            self._running = dict(running)
            self._next_look = now + STALL_SECONDS
        elif now > self._next_look:
            reason = self._reason(self._cluster.roster.all())
            if reason is not None:
                self._tell(reason)
            # A worker that has just died still looks alive: look again soon.
            self._next_look = now + (STALL_SECONDS if reason is None else REMINDER_SECONDS)

    def _reason(self, workers: list[Presence]) -> str | None:
        """Return why no worker takes jobs, or None if one may."""
        lease = self._cluster.app.settings.lease_seconds
        online = [worker for worker in workers if worker.age() < lease]
        if not online:
            return self._cluster.no_worker
        silence = min(worker.age() for worker in online)
        if silence > SILENT_AFTER * lease:
            return f"No worker at {self._cluster.address} has sent a heartbeat for {silence:.0f} s: waiting for one"
        if all(worker.broken is not None for worker in online):
            named = "; ".join(f"{worker.name}: {worker.broken}" for worker in online)
            sentence = f"No worker takes jobs any more, because too many failed in a row on each ({named})"
            if self._cluster.embedded:
                raise ClusterError(sentence)
            return f"{sentence}; it goes on when one is restarted"
        return None
