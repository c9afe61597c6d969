"""One session of the orchestrator on a sweep: it reuses rows, trains the missing jobs, and keeps every row."""

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
from orchestrator.running.listener import SILENT, Progress
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from worker.job import Job

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster
    from orchestrator.running.collect import Collector

#: The origin, in a row, of a result that the cluster had before this sweep began.
RESULT_BACKEND = "the result backend"


@dataclass
class Session:
    """A sweep folder, which this process has locked, and the rows of the sweep's jobs.

    A session prints nothing, handles no signals, and works in any thread.

    Attributes:
        folder: The sweep folder, which keeps rows and weights.
        jobs: The jobs by key, in the sweep's order.
        place: Where the jobs are trained.
        data: The data set of an embedded worker.
        interruption: Defers signals while a row is written; by default, no signals are handled.
        resuming: Whether an earlier session began the sweep.
        rows: The rows by job key. `keep_own`, `reuse_siblings`, `train` and `follow` add to them.
        missing: The jobs without a row, in the sweep's order.
    """

    folder: SweepFolder
    jobs: dict[str, Job]
    place: Place
    data: str
    interruption: Interruption = field(default_factory=Interruption)
    resuming: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    missing: dict[str, Job] = field(init=False)

    def __post_init__(self) -> None:
        self.missing = {key: job for key, job in self.jobs.items() if key not in self.rows}

    def keep_own(self) -> int:
        """Take the rows of earlier sessions whose weights are in the folder; return the number of rows."""
        for row in self.folder.rows_of(self.jobs).values():
            if row.weights_sha256 is not None and self.folder.has_weights(row.weights_sha256):
                self._note(row)
        return len(self.rows)

    def reuse_siblings(self, tell: Callable[[str], None]) -> int:
        """Take the results of other sweeps in the same output folder; return the number of results.

        Args:
            tell: Shows a message to the user.
        """
        count = 0
        for row, other in sibling_results(self.folder, dict(self.missing), tell):
            with self.interruption.shield():
                self.folder.take_weights(other, str(row.weights_sha256))
                self._keep(row.model_copy(update={"reused_from": row.reused_from or other.name}))
            count += 1
        return count

    def accept(self, row: Row, blob: bytes | None) -> None:
        """Keep a row and its weights. Weights are written first, so that a row never names a missing file."""
        with self.interruption.shield():
            if blob is not None:
                self.folder.keep_weights(str(row.weights_sha256), blob)
            self._keep(row)

    def _keep(self, row: Row) -> None:
        self.folder.append(row)
        self._note(row)

    def _note(self, row: Row) -> None:
        self.rows[row.job] = row
        self.missing.pop(row.job, None)

    def train(self, progress: Progress = SILENT, *, reuse: bool = True) -> None:
        """Train the missing jobs, until every job has its row.

        Args:
            progress: Receives messages, reports and rows.
            reuse: Whether to take results that the cluster has already.

        Raises:
            ClusterError: a part of the embedded cluster ended; finished jobs are kept.
            BrokerUnreachableError: Redis rejects a command with a permanent error.
            ClusterFullError: Redis is full.
            OutputError: the folder cannot be written.
            SweepExistsError: the name belongs to another sweep on the cluster.
        """
        with self._connected(progress.message) as cluster:
            manifest = self.folder.manifest()
            cluster.registry.reopen(manifest)
            collector = self._collector(cluster, manifest, progress)
            # The results that a resumed sweep finds on the cluster are most likely its own, finished between sessions.
            waiting = collector.begin(
                dict(self.missing),
                reuse=reuse or self.resuming,
                reused_from=None if self.resuming else RESULT_BACKEND,
            )
            collector.collect(waiting)
            self._end(cluster, manifest)

    def follow(self, progress: Progress = SILENT) -> None:
        """Collect the missing jobs, which another session has submitted; submit only those that Redis lost.

        It raises the same errors as `train`.

        Args:
            progress: Receives messages, reports and rows.
        """
        with self._connected(progress.message) as cluster:
            manifest = self.folder.manifest()
            cluster.registry.register(manifest)
            self._collector(cluster, manifest, progress).collect(dict(self.missing))
            self._end(cluster, manifest)

    def _collector(self, cluster: Cluster, manifest: Manifest, progress: Progress) -> Collector:
        # Imported here because they import Celery, which takes time in which an embedded cluster starts.
        from orchestrator.running.collect import Collector
        from orchestrator.running.membership import Membership

        sweep, names = Membership(cluster, manifest, progress.message), JobNames(self.jobs.values())
        return Collector(cluster, sweep, self.accept, progress, names)

    def _end(self, cluster: Cluster, manifest: Manifest) -> None:
        """Add evidence to the rows, and mark the sweep as finished on the cluster."""
        for key, mismatches in cluster.store.mismatches(self.jobs).items():
            self.rows[key] = self.rows[key].model_copy(update={"mismatches": mismatches})
        cluster.registry.finish(manifest.name)

    def _connected(self, tell: Callable[[str], None]) -> AbstractContextManager[Cluster]:
        return self.place.open(data=self.data, jobs=len(self.missing), interruption=self.interruption, tell=tell)
