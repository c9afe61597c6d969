"""One session of the orchestrator on a sweep: what is known of its jobs, and how the missing ones get their rows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.cluster.connect import Place
from orchestrator.folder.reuse import sibling_results
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interruption
from orchestrator.sweeps.manifest import Manifest
from worker.job import Job

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster
    from orchestrator.running.collect import Collector, Progress

#: What a row says of a result that the cluster had before this sweep asked for it.
RESULT_BACKEND = "the result backend"


@dataclass
class Session:
    """A sweep's folder, which is this process's own for the time, and what is known of the sweep's jobs.

    Attributes:
        folder: Where rows and weights go.
        jobs: The sweep's jobs by key, in its order.
        place: Where the jobs are trained.
        data: Where an embedded worker takes the data set from.
        interruption: Keeps signals from cutting a row in two.
        resuming: Whether an earlier session has begun with the sweep.
        rows: The rows by job key.
    """

    folder: SweepFolder
    jobs: dict[str, Job]
    place: Place
    data: str
    interruption: Interruption = field(default_factory=Interruption)
    resuming: bool = False
    rows: dict[str, Row] = field(default_factory=dict)

    @property
    def missing(self) -> dict[str, Job]:
        """The jobs without a row, in the sweep's order."""
        return {key: job for key, job in self.jobs.items() if key not in self.rows}

    def keep_own(self) -> int:
        """Take the rows of earlier sessions of this sweep that have a result and its weights; return how many."""
        for key, row in self.folder.rows_of(self.jobs).items():
            if row.weights_sha256 is not None and self.folder.has_weights(row.weights_sha256):
                self.rows[key] = row
        return len(self.rows)

    def reuse_siblings(self) -> int:
        """Take the results that other sweeps in the same output folder have; return how many."""
        count = 0
        for row, other in sibling_results(self.folder, self.missing):
            with self.interruption.shield():
                self.folder.take_weights(other, str(row.weights_sha256))
                self._keep(row.model_copy(update={"reused_from": row.reused_from or other.name}))
            count += 1
        return count

    def accept(self, row: Row, blob: bytes | None) -> None:
        """Keep a row and its weights: first the weights, so that a row never names a file that is not there."""
        with self.interruption.shield():
            if blob is not None:
                self.folder.keep_weights(str(row.weights_sha256), blob)
            self._keep(row)

    def _keep(self, row: Row) -> None:
        self.folder.append(row)
        self.rows[row.job] = row

    def train(self, progress: Progress, *, reuse: bool) -> None:
        """Train what is missing, until every job has its row.

        Args:
            progress: Shows what goes on.
            reuse: Whether to take results that the cluster has already.

        Raises:
            ClusterError: a part of the embedded cluster ended; what was finished is kept.
            BrokerUnreachableError: the broker refuses.
            ClusterFullError: Redis has no room.
            OutputError: the folder cannot be written any more.
            SweepExistsError: the name belongs to another sweep on the cluster.
        """
        with self._cluster(progress.message) as cluster:
            manifest = self.folder.manifest()
            cluster.patiently(lambda: cluster.registry.reopen(manifest))
            collector = self._collector(cluster, manifest, progress)
            # What a resumed sweep finds on the cluster is most likely its own, finished while nobody looked.
            waiting = collector.begin(
                self.missing,
                reuse=reuse or self.resuming,
                reused_from=None if self.resuming else RESULT_BACKEND,
            )
            collector.collect(waiting)
            self._end(cluster, manifest)

    def follow(self, progress: Progress) -> None:
        """Collect what somebody has submitted, until every job has its row; submit only what Redis lost.

        Raises: as `train`.
        """
        with self._cluster(progress.message) as cluster:
            manifest = self.folder.manifest()
            cluster.patiently(lambda: cluster.registry.register(manifest))
            self._collector(cluster, manifest, progress).collect(self.missing)
            self._end(cluster, manifest)

    def _collector(self, cluster: Cluster, manifest: Manifest, progress: Progress) -> Collector:
        from orchestrator.running.collect import Collector
        from orchestrator.running.membership import Membership

        sweep = Membership(cluster, manifest, progress.message)
        return Collector(cluster, self.accept, progress, sweep=sweep)

    def _end(self, cluster: Cluster, manifest: Manifest) -> None:
        """Look whether any two runs of a job disagreed, and note on the cluster that the sweep waits for nothing."""
        found = cluster.patiently(lambda: cluster.store.mismatches(self.jobs))
        for key, mismatches in found.items():
            self.rows[key] = self.rows[key].model_copy(update={"mismatches": mismatches})
        cluster.patiently(lambda: cluster.registry.finish(manifest.name))

    def _cluster(self, tell: Callable[[str], None]) -> AbstractContextManager[Cluster]:
        return self.place.open(data=self.data, jobs=len(self.missing), interruption=self.interruption, tell=tell)
