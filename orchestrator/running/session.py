"""One session of the orchestrator on a sweep: it reuses rows, trains the missing jobs, and keeps every row."""

from __future__ import annotations

import contextlib
import shlex
import socket
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from nn.errors import WeightsError
from orchestrator.cluster.connect import Place
from orchestrator.folder.keeping import Keeper
from orchestrator.folder.reuse import sibling_results
from orchestrator.folder.rows import Row, seen
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interruption
from orchestrator.running.growth import Grow, Growth, no_growth
from orchestrator.running.listener import SILENT, Progress
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from orchestrator.sweeps.rounds import Going
from orchestrator.text import counted, some
from worker.job import Job, Result
from worker.trainers import registry

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster
    from orchestrator.running.collect import Collector

#: The origin, in a row, of a result that the cluster had before this sweep began.
RESULT_BACKEND = "the result backend"

#: The lines of a silent job's stack that are shown, and the seconds that its process gets to write them.
_STACK_LINES = 3
_STACK_SECONDS = 10.0


@dataclass
class Session:
    """A sweep folder, which this process has locked, and the rows of the sweep's jobs.

    A session prints nothing, handles no signals, and works in any thread.

    Attributes:
        folder: The sweep folder, which keeps rows and weights.
        manifest: The sweep, as far as this session knows it: the folder has the same.
        jobs: The jobs by key, in the sweep's order.
        place: Where the jobs are trained.
        interruption: Defers signals while a row is written; by default, no signals are handled.
        resuming: Whether an earlier session began with the missing jobs.
        rows: The rows by job key. `keep_own`, `reuse_siblings`, `train` and `follow` add to them.
        missing: The jobs without a row, in the sweep's order.
        fail_fast: The number of failed jobs after which the others are cancelled; None for no such number.
        keeper: Decides which weights the folder keeps.
        reuse_from: The sweeps that the user named for reuse, beside those in the same output folder.
        any_code: Whether to reuse results that other code of the trainer made than is installed here.
    """

    folder: SweepFolder
    manifest: Manifest
    jobs: dict[str, Job]
    place: Place
    interruption: Interruption = field(default_factory=Interruption)
    resuming: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    missing: dict[str, Job] = field(init=False)
    keeper: Keeper = field(init=False)
    fail_fast: int | None = None
    reuse_from: Collection[SweepFolder] = ()
    any_code: bool = False
    _failures: int = field(default=0, init=False)
    _others_code: str | None = field(default=None, init=False)
    _told: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.keep_weights(None)
        self.missing = {key: job for key, job in self.jobs.items() if key not in self.rows}

    @property
    def axes(self) -> tuple[str, ...]:
        """The options that vary in the sweep."""
        return self.manifest.axes

    @property
    def remaining(self) -> int:
        """The number of configurations that a sampler has yet to draw."""
        return self.manifest.specification.remaining

    def look(self, command: Going, within: float | None = None, metric: str = "last") -> None:
        """Record in the folder that the command goes on with the sweep after a look, unless it has done so already."""
        found, last = seen(command, self.rows, within, metric), self.manifest.looks[-1:]
        same = [(each.command, each.within, each.metric) for each in last] == [(command, within, metric)]
        if found is not None and not same:
            self._write(self.manifest.with_look(found))

    def keep_weights(self, policy: str | None) -> None:
        """Record in the folder which weights it keeps from now on (`Manifest.keep_weights`); None changes nothing."""
        if policy not in (None, self.manifest.keep_weights):
            self._write(self.manifest.model_copy(update={"keep_weights": policy}))
        self.keeper = Keeper(self.folder, self.manifest.keep_weights)

    def _write(self, manifest: Manifest) -> None:
        self.manifest = manifest
        with self.interruption.shield():
            self.folder.write_manifest(manifest)

    def keep_own(self, *, failed: bool = False) -> list[Row]:
        """Take the rows of earlier sessions whose weights are as the folder keeps them; return the others.

        Args:
            failed: Whether to take the rows of failed jobs, too, instead of training these again.
        """
        others, held = [], []
        for key, row in self.folder.rows_of(self.jobs).items():
            is_whole = self.folder.has_weights(self.jobs[key], row, bare=self.keeper.bare)
            if is_whole or (failed and row.status == "failed"):
                self._note(row)
                if self.folder.holds(row):
                    held.append(row)
            else:
                others.append(row)
        self.keeper.note(*held)
        return others

    def _fits(self, found: Row | Result) -> bool:
        """Return whether a result may be reused: by default, if the code that is installed here made it."""
        if self.any_code or found.code == registry.code(self.manifest.specification.trainer):
            return True
        if self._others_code is None:
            self._others_code = found.code or "unknown code"
        return False

    def _tell_code(self, tell: Callable[[str], None]) -> None:
        """Say, once, that results were not reused because other code made them."""
        others = self._others_code
        if others:
            self._others_code = ""
            trainer = self.manifest.specification.trainer
            tell(
                f"Results of other code of the trainer {trainer} are not reused: {others} made them, and "
                f"{registry.code(trainer)} is here. orchestrator sweep --reuse-anyway takes them"
            )

    def reuse_siblings(self, tell: Callable[[str], None]) -> None:
        """Take the results of other sweeps, and tell how many each had."""
        counts: Counter[str] = Counter()
        found = sibling_results(
            self.folder, dict(self.missing), tell, self._fits, bare=self.keeper.bare, named=self.reuse_from
        )
        for row, other in found:
            # If the other sweep has removed the weights meanwhile, the job is trained.
            with self.interruption.shield(), contextlib.suppress(WeightsError):
                if self.keeper.wants(row) and (other.holds(row) or not self.keeper.bare):
                    # The owner of a folder that was named could change a linked file later.
                    link = other not in self.reuse_from
                    self.folder.take_weights(other, self.jobs[row.job], str(row.weights_sha256), link=link)
                    self.keeper.note(row)
                self._keep(row.reused(other.name))
                counts[str(other.path)] += 1
        if counts:
            tell(_reused(counts, self.folder))
        self._tell_code(tell)

    def accept(self, row: Row, blob: bytes | None) -> None:
        """Keep a row and its weights. Weights are written first, so that a row never names a missing file."""
        with self.interruption.shield():
            if blob is not None:
                self.folder.keep_weights(str(row.weights_sha256), blob)
                self.keeper.note(row)
            self._keep(row)

    def _keep(self, row: Row) -> None:
        self.folder.append(row)
        self._note(row)

    def _note(self, row: Row) -> None:
        self.rows[row.job] = row
        self.missing.pop(row.job, None)

    def train(
        self, progress: Progress = SILENT, *, reuse: bool = True, grow: Grow = no_growth, expected: int = 0
    ) -> None:
        """Train the missing jobs, until every job has its row.

        Args:
            progress: Receives messages, reports and rows.
            reuse: Whether to take results that the cluster has already.
            grow: Called for further jobs whenever every job has its row.
            expected: The number of further jobs to expect.

        Raises:
            ClusterError: a part of the embedded cluster ended; finished jobs are kept.
            BrokerUnreachableError: Redis rejects a command with a permanent error.
            ClusterFullError: Redis is full.
            OutputError: the folder cannot be written.
            SweepExistsError: the name belongs to another sweep on the cluster.
        """
        with self._connected(progress.message, expected) as cluster:
            growth = Growth(cluster.registry, self.folder, self.interruption, grow)
            manifest: Manifest | None = growth.reopened()
            while manifest is not None:
                self._take(manifest, progress, reuse=reuse)
                self._train(cluster, manifest, progress, reuse=reuse)
                manifest = growth.further(manifest, self.rows)
            self._end(cluster)

    def _train(self, cluster: Cluster, manifest: Manifest, progress: Progress, *, reuse: bool) -> None:
        """Train those of the known jobs that have no row."""
        from orchestrator.running.continuation import Continuation

        collector = self._collector(cluster, manifest, progress)
        origin = None if self.resuming else RESULT_BACKEND
        # Only an extended sweep can have finished jobs of fewer epochs.
        continuation = None
        if reuse and manifest.rounds:
            # Rows whose weights are gone, too: `Continuation` reports them.
            rows = {key: row for key, row in self.folder.rows_of(self.jobs).items() if self._fits(row)}
            continuation = Continuation(self.folder, self.jobs, rows, cluster.store)

        def prepare(jobs: Sequence[Job]) -> None:
            if continuation is not None and (sentence := continuation.prepare(jobs)):
                progress.message(sentence)

        # What a resumed sweep finds on the cluster is most likely its own, finished between sessions.
        found = reuse or self.resuming
        waiting = collector.begin(dict(self.missing), reuse=found, reused_from=origin, prepare=prepare, fits=self._fits)
        self._tell_code(progress.message)
        collector.collect(waiting, ended=None if continuation is None else continuation.ended)

    def _take(self, manifest: Manifest, progress: Progress, *, reuse: bool = False) -> None:
        """Take in the jobs of a manifest that the session does not know yet."""
        self.manifest = manifest
        if self.jobs.keys() >= set(manifest.jobs):
            return
        jobs = {key: job for key, job in manifest.jobs_by_key().items() if key not in self.jobs}
        self.jobs.update(jobs)
        self.missing.update(jobs)
        progress.added(jobs)
        progress.message(f"{_growth(manifest)}: {counted(len(jobs), 'new job')}")
        if reuse:
            self.reuse_siblings(progress.message)
        for key in jobs.keys() & self.rows.keys():
            progress.finished(self.rows[key])

    def submit(self, *, reuse: bool = True) -> None:
        """Queue the missing jobs on a cluster, without waiting for them; another session collects them.

        Args:
            reuse: Whether to take results of other sweeps, in the same output folder or on the cluster.

        Raises:
            BrokerUnreachableError: Redis rejects a command with a permanent error.
            ClusterFullError: Redis is full.
            SweepExistsError: the name belongs to another sweep on the cluster.
        """
        if reuse:
            self.reuse_siblings(SILENT.message)
        with self._connected(SILENT.message) as cluster:
            manifest = Growth(cluster.registry, self.folder, self.interruption).reopened()
            self._submit(cluster, manifest, SILENT, RESULT_BACKEND, reuse=reuse)

    def follow(self, progress: Progress = SILENT) -> None:
        """Collect the missing jobs, which another session has submitted; submit only those that Redis lost.

        Arguments and errors: see `train`.
        """
        # The other session has weights removed from the cluster once it has them; one of another host may still need
        # them after it was interrupted.
        self.keeper.bare = True
        self.keeper.releases = self.manifest.provenance.host == socket.gethostname()
        with self._connected(progress.message) as cluster:
            growth = Growth(cluster.registry, self.folder, self.interruption)
            manifest: Manifest | None = growth.registered()
            while manifest is not None:
                self._take(manifest, progress)
                self._collector(cluster, manifest, progress).collect(dict(self.missing))
                further = growth.added_by_others(manifest, self.rows)
                if further is None:
                    further = growth.further(manifest, self.rows)
                    if further is not None:
                        self._submit(cluster, further, progress, None)
                manifest = further
            self._end(cluster)

    def _submit(
        self, cluster: Cluster, manifest: Manifest, progress: Progress, origin: str | None, *, reuse: bool = True
    ) -> None:
        """Queue the missing jobs; a result that the cluster has already gets a row with this origin."""
        self._take(manifest, progress)
        self._collector(cluster, manifest, progress).begin(
            dict(self.missing), reuse=reuse, reused_from=origin, fits=self._fits
        )

    def _collector(self, cluster: Cluster, manifest: Manifest, progress: Progress) -> Collector:
        # Imported here because they import Celery, which takes a while; an embedded cluster starts meanwhile.
        from orchestrator.running.collect import Collector
        from orchestrator.running.membership import Membership

        sweep = Membership(cluster, manifest, progress.message, self.folder.check_held)
        names = JobNames(self.jobs.values(), manifest.axes)
        failed = partial(self._failed, cluster, manifest, progress.message)
        silent = partial(self._silent, progress.message)
        return Collector(cluster, sweep, self.accept, progress, names, self.keeper, failed, silent)

    def _silent(self, tell: Callable[[str], None], key: str, worker: str, beyond: float) -> bool:
        """Say that a job makes no progress, and the innermost lines of its stack if its log is in the folder.

        The job's process writes its stack on its own, perhaps a little later.

        Args:
            tell: Shows a message to the user.
            key: The job.
            worker: The name of the worker that trains it.
            beyond: Seconds without progress beyond those after which the process writes its stack.

        Returns:
            Whether it was said; False if the stack may still come.
        """
        # The main thread is the last one.
        _, dumped, after = (self.folder.log(key) or "").rpartition("(most recent call first):\n")
        if after.count("\n") < _STACK_LINES and self.place.cluster is None and beyond < _STACK_SECONDS:
            return False
        stack = after.splitlines()[:_STACK_LINES] if dumped else []
        job = JobNames(self.jobs.values(), self.axes).job(self.jobs[key].seed, self.jobs[key].options)
        tell("\n".join([f"No sign of life of {job}, which {worker} trains{': it is at' if stack else ''}", *stack]))
        return True

    def _failed(self, cluster: Cluster, manifest: Manifest, tell: Callable[[str], None], key: str, log: str) -> None:
        """Keep the end of a failed job's log, show that of the first one, and cancel the sweep after `fail_fast`."""
        from orchestrator.running.cancel import reason

        self._failures += 1
        if log and self.place.cluster is not None:
            self.folder.keep_log(key, log)
        if log and not self._told:
            self._told = True
            # Without the lines that underline a part of another.
            lines = [line for line in log.splitlines() if line.strip(" ^~")]
            end = "\n  ".join(lines[-3:])
            command = shlex.join(("orchestrator", "logs", str(self.folder.path), key[:12]))
            tell(f"The first failure:\n  {end}\nIts log: {command}")
        if self._failures == self.fail_fast:
            tell(f"{counted(self._failures, 'job')} failed: the others are cancelled")
            cluster.registry.cancel(manifest, reason(manifest.name))

    def _end(self, cluster: Cluster) -> None:
        """Add evidence and late ends of attempts to the rows, and mark the sweep as finished on the cluster."""
        from orchestrator.running.collect import completed

        for key, mismatches in cluster.store.mismatches(self.jobs).items():
            self.rows[key] = self.rows[key].model_copy(update={"mismatches": mismatches})
        self.rows.update(completed(cluster, self.rows))
        cluster.registry.finish(self.manifest.name)

    def _connected(self, tell: Callable[[str], None], expected: int = 0) -> AbstractContextManager[Cluster]:
        specification = self.manifest.specification
        jobs = len(self.missing) + specification.remaining * len(specification.seeds) + expected
        return self.place.open(
            specification.trainer, specification.data, jobs=jobs, interruption=self.interruption, tell=tell,
            logs=self.folder.logs,
        )  # fmt: skip


def _reused(counts: Counter[str], folder: SweepFolder) -> str:
    """Return from which sweeps results were taken, and the command that verifies them."""
    shown = some([f"{count} from {name}" for name, count in counts.most_common()])
    verb, output = ("is" if counts.total() == 1 else "are"), folder.path.parent
    command = shlex.join(["orchestrator", "verify", folder.name, "--all", "--output", str(output)])
    return f"{counts.total()} {verb} reused from other sweeps: {shown}; to train them again and compare: {command}"


def _growth(manifest: Manifest) -> str:
    """Return how a sweep has grown, as the beginning of a sentence."""
    if manifest.rounds:
        return f"The sweep was extended by {manifest.rounds[-1].kind}"
    drawn, wanted = len(manifest.specification.drawn), manifest.specification.remaining
    return f"{counted(drawn, 'configuration')} of {drawn + wanted} drawn"
