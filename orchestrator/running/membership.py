"""Keeps the sweep of a session registered on the cluster, and carries out its cancellation."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from orchestrator.cluster.cluster import Cluster
from orchestrator.running.cancel import cancel_jobs, reason
from orchestrator.running.stalls import LOOK_SECONDS
from orchestrator.sweeps.manifest import Manifest
from orchestrator.text import have


class Membership:
    """The registered sweep of a session.

    Args:
        cluster: The cluster on which the sweep is registered.
        manifest: The sweep's manifest.
        tell: Shows a message to the user.
        check: Raises an error if the sweep cannot go on, because its folder was removed.

    Attributes:
        name: The sweep's name on the cluster.
    """

    def __init__(
        self,
        cluster: Cluster,
        manifest: Manifest,
        tell: Callable[[str], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._cluster = cluster
        self._manifest = manifest
        self.name = manifest.name
        self._tell = tell
        self._check = check
        self._next = 0.0
        self._cancelled: str | None = None
        #: Jobs that continue for another sweep; None until the cancellation is carried out.
        self._wanted: dict[str, str] | None = None

    def keep(self) -> None:
        """Renew the registration and check the folder, at most every `LOOK_SECONDS`.

        Raises:
            OutputError: the sweep's folder was removed.
            ClusterFullError: Redis is full, so that workers cannot store results either.
        """
        if time.monotonic() >= self._next:
            self._check()
            self._cluster.registry.keep(self._manifest)
            self._next = time.monotonic() + LOOK_SECONDS

    def cancelled(self) -> str | None:
        """Return why the sweep is cancelled, or None. A cancellation stays in force even if Redis loses its mark."""
        if self._cancelled is None:
            self._cancelled = self._cluster.registry.cancelled(self._manifest.name)
        return self._cancelled

    def given_up(self, waiting: Collection[str]) -> dict[str, str] | None:
        """Carry out the cancellation of the sweep, if it is cancelled.

        Args:
            waiting: The jobs without a row.

        Returns:
            None while the sweep is not cancelled. Afterwards, the jobs for which the session need not wait any longer,
            each with the reason for its row. The others have ended, or end at the next epoch on a live worker.
        """
        if self.cancelled() is None:
            return None
        if not waiting:
            return {}
        if self._wanted is None:
            done = cancel_jobs(self._cluster, self._manifest.name, waiting)
            self._wanted = done.wanted
            withdrawn = have(len(done.withdrawn), "queued job")
            self._tell(f"The sweep {self._manifest.name} is cancelled: {withdrawn} ended")
        running = self._cluster.running()
        silent = [key for key in waiting if key in self._wanted or key not in running]
        ended = self._cluster.results.ended(silent)
        return {key: self._words(key, self._wanted) for key in silent if key not in ended}

    def _words(self, key: str, wanted: dict[str, str]) -> str:
        other = wanted.get(key)
        ended = reason(self._manifest.name)
        return ended if other is None else f"{ended}; the job goes on for the sweep {other}"
