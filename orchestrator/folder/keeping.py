"""Decides which weights a sweep's folder keeps: all, none, or those of the best jobs of each configuration."""

import heapq
from collections import Counter
from typing import Any

from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.specification import MAX_JOBS
from worker.trainers import registry

#: A job's rank within its configuration, the best highest, and the hash of its weights.
_Ranked = tuple[tuple[bool, float, int], str]


class Keeper:
    """The weights of one sweep's folder. The rows stay, whatever becomes of their weights.

    What is kept in the end does not depend on the order in which jobs end.

    Args:
        folder: The folder, which this process has locked.
        policy: `all`, `none` or `best:K`.
        bare: Whether a row is complete without its weights, if these are gone (`Manifest.bare`).

    Attributes:
        gone: How many rows have no weights because these were gone.
    """

    def __init__(self, folder: SweepFolder, policy: str, *, bare: bool = False) -> None:
        self.bare, self.gone = bare, 0
        self._folder = folder
        #: The most weights of a configuration.
        self._most = MAX_JOBS if policy == "all" else int(policy.partition(":")[2] or 0)
        #: The kept weights of each configuration, as a heap: the worst first.
        self._kept: dict[Any, list[_Ranked]] = {}
        #: How many kept rows name each hash: two jobs may have trained to the same weights.
        self._users: Counter[str] = Counter()

    def wants(self, row: Row) -> bool:
        """Return whether the folder keeps the weights of a row that is new to it."""
        kept = self._kept.get(row.options, [])
        return row.accepted and (len(kept) < self._most or (self._most > 0 and _rank(row) > kept[0]))

    def note(self, *rows: Row) -> None:
        """Take rows whose weights are in the folder into account, and remove the weights that they displace."""
        displaced = []
        for row in rows:
            kept = self._kept.setdefault(row.options, [])
            ranked = _rank(row)
            self._users[ranked[1]] += 1
            heapq.heappush(kept, ranked)
            if len(kept) > self._most:
                displaced.append(heapq.heappop(kept)[1])
        self._users.subtract(displaced)
        # After all rows: a later one may have the same weights.
        for sha256 in set(displaced):
            if not self._users[sha256]:
                self._folder.drop_weights(sha256)


def _rank(row: Row) -> _Ranked:
    sign = 1 if registry.trainer(row.trainer).metric_of(row.options).higher_is_better else -1
    return (row.status == "succeeded", sign * row.validation_score[-1], -row.seed), str(row.weights_sha256)
