"""Runs a sweep from its plan to its rows: reuse, submit, collect."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from celery import states
from celery.utils.sysinfo import cpu_budget

from orchestrator.broker import Broker
from orchestrator.cluster import EmbeddedCluster
from orchestrator.collect import Collector
from orchestrator.progress import Progress
from orchestrator.reuse import sibling_results
from orchestrator.rows import Row
from orchestrator.run_folder import RunFolder
from orchestrator.signals import Interruption
from orchestrator.submit import submit
from worker.job import Job
from worker.settings import Settings

#: What a row says of a result that the cluster had before this sweep asked for it.
RESULT_BACKEND = "the result backend"


@dataclass
class Run:
    """One run of the orchestrator on a sweep's folder, which is its own for the time.

    Attributes:
        folder: Where rows and weights go.
        jobs: The sweep's jobs by key, in its order.
        settings: The cluster, if they name a broker; otherwise an embedded one is started.
        data: Where an embedded worker takes the data set from.
        interruption: Keeps signals from cutting a row in two.
        workers: Processes of an embedded cluster; None for one per core.
        resuming: Whether an earlier run has begun with the sweep.
        rows: What is known, by job key.
    """

    folder: RunFolder
    jobs: dict[str, Job]
    settings: Settings
    data: str
    interruption: Interruption
    workers: int | None = None
    resuming: bool = False
    rows: dict[str, Row] = field(default_factory=dict)

    @property
    def missing(self) -> dict[str, Job]:
        """The jobs without a result, in the sweep's order."""
        return {key: job for key, job in self.jobs.items() if key not in self.rows}

    def keep_own(self) -> None:
        """Take the rows of earlier runs of this sweep that have a result and its weights."""
        for key, row in self.folder.rows().items():
            if key in self.jobs and row.weights_sha256 is not None and self.folder.has_weights(row.weights_sha256):
                self.rows[key] = row

    def reuse_siblings(self) -> int:
        """Take what other sweeps in the same output folder have, and return how many rows that were."""
        count = 0
        for row, other in sibling_results(self.folder, self.missing):
            with self.interruption.shield():
                self.folder.take_weights(other, str(row.weights_sha256))
                self._keep(row.model_copy(update={"reused_from": row.reused_from or other.name}))
            count += 1
        return count

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
            OutputError: the folder cannot be written any more.
        """

        def accept(row: Row, blob: bytes | None) -> None:
            with self.interruption.shield():
                if blob is not None:
                    self.folder.keep_weights(str(row.weights_sha256), blob)
                self._keep(row)
                progress.finished(row)

        with self._cluster(progress.message) as broker:
            collector = Collector(broker, accept, progress)
            self._submit(broker, collector, progress, reuse=reuse)
            collector.collect(self.missing)

    def _submit(self, broker: Broker, collector: Collector, progress: Progress, *, reuse: bool) -> None:
        """Queue the missing jobs that have neither a usable result on the cluster nor a message under way."""
        jobs = self.missing
        known = broker.patiently(lambda: broker.ledger.states(jobs))
        if reuse or self.resuming:
            succeeded = {key: state for key, state in known.items() if state.name == states.SUCCESS}
            # What a resumed sweep finds on the cluster is most likely its own, finished while nobody looked.
            collector.take(jobs, succeeded, None if self.resuming else RESULT_BACKEND)
            jobs = self.missing
        under_way = broker.patiently(broker.ledger.messages) if known else set()
        submitted = [job for key, job in jobs.items() if key not in under_way]
        collector.resubmit([job for job in submitted if job.key in known])
        submit(broker, [job for job in submitted if job.key not in known])
        if under_way & jobs.keys():
            progress.message(f"{len(under_way & jobs.keys())} jobs are under way on the cluster already")

    @contextlib.contextmanager
    def _cluster(self, tell: Callable[[str], None]) -> Iterator[Broker]:
        """Give the cluster that the settings name, or an embedded one for as long as the block runs."""
        if self.settings.broker_url is not None:
            yield Broker(self.settings, tell)
            return
        environment = {"SEEDSWEEP_DATA": self.data, "SEEDSWEEP_CACHE_DIR": str(self.settings.cache_dir.absolute())}
        with contextlib.ExitStack() as stack:
            with self.interruption.shield():
                cluster = stack.enter_context(EmbeddedCluster(self.processes, environment))
            update = {"broker_url": cluster.url, "result_backend": None}
            broker = Broker(self.settings.model_copy(update=update), tell, cluster.check)
            cluster.wait_for_server()
            yield broker

    @property
    def processes(self) -> int:
        """How many processes an embedded cluster has: one per core that this process may use, and no idle ones."""
        return min(self.workers or cpu_budget(use_cgroup_quota=True).count, max(1, len(self.missing)))
