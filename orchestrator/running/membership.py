"""What ties a collector to its sweep: it keeps the sweep registered, and ends with it when somebody cancels it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from orchestrator.cluster.cluster import Cluster
from orchestrator.running.cancel import cancel_jobs, reason
from orchestrator.running.stalls import LOOK_SECONDS
from orchestrator.sweeps.manifest import Manifest
from orchestrator.text import have


class Membership:
    """A collector's sweep, as the cluster knows it.

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
        #: Jobs that go on for another sweep; None before the cancellation was carried out.
        self._wanted: dict[str, str] | None = None

    def keep(self) -> None:
        """Renew the registration if it is time.

        Raises:
            ClusterFullError: Redis takes nothing more: the workers cannot store their results either.
        """
        if time.monotonic() >= self._next:
            self._cluster.patiently(lambda: self._cluster.registry.keep(self._manifest))
            self._next = time.monotonic() + LOOK_SECONDS

    def cancelled(self) -> str | None:
        """Return why the sweep is cancelled, or None."""
        return self._cluster.patiently(lambda: self._cluster.registry.cancelled(self._manifest.name))

    def given_up(self, waiting: Collection[str]) -> dict[str, str]:
        """Carry the sweep's cancellation out.

        Args:
            waiting: The jobs without a row.

        Returns:
            Those of them that nobody will bring to an end for this sweep, each with what to say of it. The others
            have ended, or run on a worker that lives and ends them at the next epoch.
        """
        if self._wanted is None:
            done = cancel_jobs(self._cluster, self._manifest.name, waiting)
            self._wanted = done.wanted
            withdrawn = have(len(done.withdrawn), "queued job")
            self._tell(f"The sweep {self._manifest.name} is cancelled: {withdrawn} ended")
        running = {run for worker in self._cluster.online_workers() for run in worker.running}
        silent = [key for key in waiting if key in self._wanted or key not in running]
        known = self._cluster.patiently(lambda: self._cluster.results.states(silent))
        return {key: self._words(key) for key in silent if key not in known or not known[key].ended}

    def _words(self, key: str) -> str:
        other = (self._wanted or {}).get(key)
        ended = reason(self._manifest.name)
        return ended if other is None else f"{ended}; the job goes on for the sweep {other}"
