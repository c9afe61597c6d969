"""Ties a session to its sweep on the cluster: keeps the sweep registered, and carries out its cancellation."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from orchestrator.cluster.cluster import Cluster
from orchestrator.running.cancel import cancel_jobs, reason
from orchestrator.running.stalls import LOOK_SECONDS
from orchestrator.sweeps.manifest import Manifest
from orchestrator.text import have


class Membership:
    """A session's sweep, as the cluster knows it.

    Args:
        cluster: The cluster, on which the sweep is registered.
        manifest: The sweep.
        tell: Shows a message to the user.
    """

    def __init__(self, cluster: Cluster, manifest: Manifest, tell: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._manifest = manifest
        self._tell = tell
        self._next = 0.0
        self._cancelled: str | None = None
        #: Jobs that go on for another sweep; None until the cancellation is carried out.
        self._wanted: dict[str, str] | None = None

    def keep(self) -> None:
        """Renew the registration if it is time.

        Raises:
            ClusterFullError: Redis is full: the workers cannot store their results either.
        """
        if time.monotonic() >= self._next:
            self._cluster.registry.keep(self._manifest)
            self._next = time.monotonic() + LOOK_SECONDS

    def cancelled(self) -> str | None:
        """Return why the sweep is cancelled, or None. Once cancelled, it stays so even if Redis loses the mark."""
        if self._cancelled is None:
            self._cancelled = self._cluster.registry.cancelled(self._manifest.name)
        return self._cancelled

    def given_up(self, waiting: Collection[str]) -> dict[str, str] | None:
        """Carry the sweep's cancellation out, if it is cancelled.

        Args:
            waiting: The jobs without a row.

        Returns:
            None while the sweep is not cancelled. Then those of the jobs that no worker will end for this sweep, each
            with the reason to show. The others have ended, or run on a live worker, which ends them at the next epoch.
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
        running = {task_id for worker in self._cluster.online_workers() for task_id in worker.running}
        silent = [key for key in waiting if key in self._wanted or key not in running]
        ended = self._cluster.results.ended(silent)
        return {key: self._words(key, self._wanted) for key in silent if key not in ended}

    def _words(self, key: str, wanted: dict[str, str]) -> str:
        other = wanted.get(key)
        ended = reason(self._manifest.name)
        return ended if other is None else f"{ended}; the job goes on for the sweep {other}"
