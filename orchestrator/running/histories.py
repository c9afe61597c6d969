"""The attempts at jobs, for their rows: read for many jobs at once, and again for those whose end came late."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.folder.rows import AttemptRecord, Row
from worker.records.history import Attempt

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster

#: A worker records the end of an attempt just after it stored the job's result. How long to wait for that, in seconds.
LONGEST_WAIT = 1.0
_PAUSE = 0.05


class Histories:
    """The attempts at jobs that have ended and have no row yet.

    They are read a few hundred jobs ahead, and not all at once: whoever may write to Redis decides their size.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._ahead: Iterator[tuple[str, list[Attempt]]] = iter(())

    def expect(self, keys: Sequence[str]) -> None:
        """Begin to read the attempts at these jobs, in this order."""
        self._ahead = self._cluster.attempts(keys)

    def take(self, key: str) -> list[Attempt]:
        """Return the attempts at the next of the expected jobs that has this key, oldest first."""
        return next((attempts for found, attempts in self._ahead if found == key), [])


def completed(cluster: Cluster, rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return the rows, by key, of which the cluster knows the ends of attempts by now that it did not know before.

    It waits a moment for the last ones. An attempt may never end: its worker was frozen, and another one finished.
    """
    found: dict[str, Row] = {}
    left = {key: row for key, row in rows.items() if any(_is_open(attempt) for attempt in row.own_history)}
    deadline = time.monotonic() + LONGEST_WAIT
    while left:
        late = {}
        for key, attempts in cluster.attempts(list(left)):
            if attempts:
                found[key] = left[key].with_history(attempts)
                if attempts[-1].end is None and left[key].status != "cancelled":
                    late[key] = left[key]
        if time.monotonic() > deadline:
            break
        left = late
        if left:
            time.sleep(_PAUSE)
    return found


def _is_open(attempt: AttemptRecord) -> bool:
    return attempt.started is not None and attempt.ended is None
