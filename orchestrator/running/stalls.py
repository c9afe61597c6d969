"""Detects why a sweep stalls: Redis lost jobs, or no worker takes jobs.

A lost job has neither a result nor a message. A server without persistence loses its queue when it ends, and a worker
that dies between taking a message and recording it loses the message.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from orchestrator.cluster.cluster import Cluster
from orchestrator.errors import ClusterError
from worker.records.presence import Presence

#: Seconds between two searches for lost jobs. A search reads all messages.
LOOK_SECONDS = 3.0
#: The longest time between two searches, in seconds. It limits the pause after a search that waited for an outage.
LONGEST_LOOK_SECONDS = 30.0
#: Seconds without progress after which the workers are checked, and then checked again.
STALL_SECONDS = 3.0
#: Seconds after which the user is told again.
REMINDER_SECONDS = 60.0
#: The fraction of a lease after which a worker without a heartbeat counts as silent. Workers send three per lease.
SILENT_AFTER = 0.5


def share_of_time(taken: float, shortest: float, longest: float) -> float:
    """Return the pause after periodic work, in seconds, with which the work takes a tenth of the time.

    Args:
        taken: Seconds that the work took.
        shortest: The shortest pause, in seconds.
        longest: The longest pause, in seconds.
    """
    return min(max(shortest, 9 * taken), longest)


class LostJobs:
    """Searches for lost jobs. A job is lost if two searches in a row found neither its message nor its result.

    Args:
        cluster: The cluster.
        look_seconds: The shortest time between two searches, in seconds.
    """

    def __init__(self, cluster: Cluster, look_seconds: float) -> None:
        self._cluster = cluster
        self._pause = look_seconds
        self._next = time.monotonic() + look_seconds
        self._suspects: set[str] = set()

    def lost(self, waiting: Iterable[str]) -> set[str]:
        """Return the lost ones of these tasks; an empty set until the next search is due."""
        started = time.monotonic()
        if started < self._next:
            return set()
        # Messages are read before results. A result is stored before its message is acknowledged, so a task that ends
        # meanwhile is found in one of the two. A message that moves from the queue to a worker is briefly in neither,
        # which is why a second search must agree.
        messages = self._cluster.queue.messages()
        silent = set(waiting) - messages
        silent -= self._cluster.results.ended(silent).keys()
        lost = silent & self._suspects
        self._suspects = silent - lost
        now = time.monotonic()
        self._next = now + share_of_time(now - started, self._pause, LONGEST_LOOK_SECONDS)
        return lost


class StallWatch:
    """Tells the user that no worker takes jobs, and repeats it every minute.

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
        """Check the workers if there was no progress for `STALL_SECONDS`.

        Args:
            ended: Whether a task has ended since the last call.
            running: The reports of the running tasks. A changed report is progress.

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
            # A worker that has just died still looks alive, so the next check is soon.
            self._next_look = now + (STALL_SECONDS if reason is None else REMINDER_SECONDS)

    def _reason(self, workers: list[Presence]) -> str | None:
        """Return why no worker takes jobs, or None if a worker may."""
        lease = self._cluster.app.settings.lease_seconds
        online = [worker for worker in workers if worker.age() < lease]
        if not online:
            return self._cluster.no_worker
        silence = min(worker.age() for worker in online)
        if silence > SILENT_AFTER * lease:
            return f"No worker at {self._cluster.address} has sent a heartbeat for {silence:.0f} s: waiting for one"
        if all(worker.broken is not None for worker in online):
            named = "; ".join(f"{worker.name}: {worker.broken}" for worker in online)
            sentence = f"Every worker has stopped taking jobs because too many failed in a row ({named})"
            if self._cluster.embedded:
                raise ClusterError(sentence)
            return f"{sentence}; the sweep continues when a worker is restarted"
        return None
