"""One session of the orchestrator on a sweep: it reuses rows, trains the missing jobs, and keeps every row."""

from __future__ import annotations

import contextlib
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nn.errors import WeightsError
from orchestrator.cluster.connect import Place
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.keeping import Keeper
from orchestrator.folder.reuse import is_only_ours, sibling_results
from orchestrator.folder.rows import Row, Rows, seen
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.growth import Grow
from orchestrator.running.listener import SILENT, Progress
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.rounds import Going
from orchestrator.text import counted, some
from worker.job import Job, Mismatch, Result
from worker.trainers import registry

if TYPE_CHECKING:
    from orchestrator.running.collect import Collector
    from orchestrator.running.membership import Membership

#: The origin, in a row, of a result that the cluster had before this sweep began.
RESULT_BACKEND = "the result backend"


@dataclass
class Session:
    """A sweep folder, which this process has locked, and the rows of the sweep's jobs.

    A session prints nothing, handles no signals, and works in any thread.

    Attributes:
        folder: The sweep folder, which keeps rows and weights.
        manifest: The sweep, as far as this session knows it: the folder has the same.
        jobs: The jobs by key, in the sweep's order.
        place: Where the jobs are trained.
        resuming: Whether an earlier session began with the missing jobs.
        rows: The rows by job key. `keep_own`, `reuse_siblings`, `train` and `follow` add to them.
        missing: The jobs without a row, in the sweep's order.
        again: The rows, by job key, of jobs that failed or were cancelled in earlier sessions, and are tried again.
        fail_fast: The number of failed jobs after which the others are cancelled; None for no such number.
        keeper: Decides which weights the folder keeps.
        reuse_from: The sweeps that the user named for reuse, beside those in the same output folder.
        any_code: Whether to reuse results that other code of the trainer made than is installed here.
        unmade: How many jobs have a result that lost its weights, and had no other one here. The result stays.
    """

    folder: SweepFolder
    manifest: Manifest
    jobs: dict[str, Job]
    place: Place
    resuming: bool = False
    rows: Rows = field(default_factory=Rows)
    missing: dict[str, Job] = field(init=False)
    again: dict[str, Row] = field(default_factory=dict, init=False)
    keeper: Keeper = field(init=False)
    fail_fast: int | None = None
    reuse_from: Collection[SweepFolder] = ()
    any_code: bool = False
    unmade: int = field(default=0, init=False)
    _others_code: str | None = field(default=None, init=False)
    #: The rows, by job key, whose weights the folder should have and has not.
    _lost: dict[str, Row] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.keep_weights(None)
        self.missing = {key: job for key, job in self.jobs.items() if key not in self.rows}

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
        self.keeper = Keeper(self.folder, self.manifest.keep_weights, bare=self.manifest.bare)

    def _write(self, manifest: Manifest) -> None:
        self.manifest = manifest
        with self.place.interruption.shield():
            self.folder.write_manifest(manifest)

    def own(self, *, failed: bool = False) -> tuple[list[Row], list[Row]]:
        """Return the rows of earlier sessions whose weights are as the folder keeps them, and the others.

        Rows of a new round were withdrawn: they are reused like those of other sweeps.

        Args:
            failed: Whether rows of failed jobs are among the first, so that these are not trained again.
        """
        is_new = bool(self.manifest.rounds) and not self.resuming
        whole: list[Row] = []
        others: list[Row] = []
        for row in self.folder.rows_of(self.manifest.undone().jobs_by_key() if is_new else self.jobs).values():
            is_whole = self.folder.has_weights(self.jobs[row.job], row, bare=self.keeper.bare)
            (whole if is_whole or (failed and row.status == "failed") else others).append(row)
        return whole, others

    def keep_own(self, *, failed: bool = False) -> None:
        """Take the first ones of `own`."""
        whole, others = self.own(failed=failed)
        self.again = {row.job: row for row in others if not row.accepted}
        self._lost = {row.job: row for row in others if row.accepted}
        for row in whole:
            self._note(row)
        self.keeper.note(*filter(self.folder.holds, whole))

    @property
    def doubts(self) -> list[str]:
        """Sentences about the rows of earlier sessions: damaged lines, and that others could write them."""
        told, kept = [self.folder.damage] if self.folder.damage else [], len(self.rows)
        if kept and not is_only_ours(self.folder.path):
            command = shlex.join(["orchestrator", "verify", str(self.folder.path), "--all"])
            rows = f"Its {counted(kept, 'row')} may be theirs; to check them: {command}"
            told.append(f"Other users can write to {self.folder.path}. {rows}")
        return told

    def try_again(self) -> None:
        """Let the cancelled jobs of `again` wait: from now on, the folder has no rows of them.

        A row that says why a job failed stays until the job has another one.
        """
        if self.again:
            # Which jobs are tried again may depend on the results that could be seen.
            self.look("resume")
            with self.place.interruption.shield():
                self.folder.drop_rows({key for key, row in self.again.items() if row.status == "cancelled"})

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
        """Take the results of other sweeps, and what was withdrawn from this one; tell how many each had."""
        counts: Counter[str] = Counter()
        before, source, looks, added = self.manifest.looks, self.folder, self.manifest.looks, frozenset[str]()
        for row, other in self.reusable(tell):
            # If the other sweep has removed the weights meanwhile, or is gone, the job is trained.
            with self.place.interruption.shield(), contextlib.suppress(WeightsError, SweepNotFoundError):
                if other is not source:
                    source, looks, added = other, other.manifest().looks, other.manifest().added
                if looks and row.job in added and all(look.command != "reuse" for look in self.manifest.looks):
                    # Before the row: an interruption must not hide what was seen.
                    first = looks[0].model_copy(update={"command": "reuse", "within": None})
                    self._write(self.manifest.with_look(first))
                if self.keeper.wants(row) and (other.holds(row) or not self.keeper.bare):
                    self.folder.take_weights(other, self.jobs[row.job], str(row.weights_sha256))
                    self.keeper.note(row)
                self.accept(row if other is self.folder else row.reused(other.name))
                counts[str(other.path)] += 1
        if back := counts.pop(str(self.folder.path), 0):
            tell(f"{counted(back, 'row')} taken back from what undo withdrew")
        if counts:
            tell(_reused(counts, self.folder))
            reused = {self.jobs[key].configuration for key, row in self.rows.items() if row.reused_from}
            if not before and (
                self.manifest.looks or any(job.configuration in reused for job in self.missing.values())
            ):
                tell("Reusing these results counts as a look: intervals get wider")
        self._tell_code(tell)

    def reusable(self, tell: Callable[[str], None]) -> Iterator[tuple[Row, SweepFolder]]:
        """Yield the results of other sweeps that the missing jobs can have, each with its folder."""
        missing, bare = dict(self.missing), self.keeper.bare
        return sibling_results(self.folder, missing, tell, self._fits, bare=bare, named=self.reuse_from)

    def accept_weights(self, row: Row, blob: bytes) -> None:
        """Keep a row's weights before `accept` keeps the row, so that a row never names a missing file."""
        self.folder.keep_weights(str(row.weights_sha256), blob, sync=False)
        self.keeper.note(row)

    def accept(self, *rows: Row) -> list[Row]:
        """Keep rows; return what is to be shown of them."""
        rows = tuple(map(self._compared, rows))
        with self.place.interruption.shield():
            self.folder.append(*rows)
            for row in rows:
                self._note(row)
                self.unmade += row.job in self._lost and not row.accepted
        return [row if row.job in self._lost and not row.accepted else self.rows[row.job] for row in rows]

    def _compared(self, row: Row) -> Row:
        """Return a row with the evidence of the one whose weights the folder lost, also if those were others."""
        lost, made = self._lost.get(row.job), str(row.weights_sha256)
        if lost is None or not row.accepted:
            return row
        found = [*lost.mismatches, *row.mismatches]
        if lost.weights_sha256 != made and (lost.code, lost.environment) == (row.code, row.environment):
            found.append(Mismatch(first=str(lost.weights_sha256), second=made, run=row.job, worker=str(row.worker)))
        return row.with_mismatches(found)

    def _note(self, row: Row) -> None:
        # A result without weights stays one, if they cannot be made again.
        self.rows[row.job] = row if row.accepted else self._lost.get(row.job, row)
        self.missing.pop(row.job, None)

    def train(
        self, progress: Progress = SILENT, *, reuse: bool = True, grow: Grow | None = None, expected: int = 0
    ) -> None:
        """Train the missing jobs, until every job has its row.

        Args:
            progress: Receives messages, reports and rows.
            reuse: Whether to take results that the cluster has already.
            grow: Called for further jobs whenever every job has its row; None if only a sampler adds any.
            expected: The number of further jobs to expect.

        Raises:
            ClusterError: a part of the embedded cluster ended; finished jobs are kept.
            BrokerUnreachableError: Redis rejects a command with a permanent error.
            ClusterFullError: Redis is full.
            OutputError: the folder cannot be written.
            SweepExistsError: the name belongs to another sweep on the cluster.
        """
        with self._connected(progress, expected) as sweep:
            sweep.reopen()
            self._train(sweep, reuse=reuse)
            while sweep.grow(self.rows, grow):
                self._train(sweep, reuse=reuse)
            self._end(sweep)

    def _train(self, sweep: Membership, *, reuse: bool) -> None:
        from orchestrator.running.continuation import Continuation

        self._take(sweep, reuse=reuse)
        collector = self._collector(sweep)
        # Only an extended sweep can have finished jobs of fewer epochs. Rows whose weights are gone, too:
        # `Continuation` reports them.
        rows = self._lost | self.rows.data if reuse and self.manifest.rounds else {}
        fitting = {key: row for key, row in rows.items() if row.accepted and self._fits(row)}
        continuation = Continuation(self.folder, fitting, sweep.cluster.store)
        waiting = collector.begin(
            dict(self.missing),
            # What a resumed sweep finds on the cluster is most likely its own, finished between sessions.
            reuse=reuse or self.resuming,
            reused_from=None if self.resuming else RESULT_BACKEND,
            prepare=continuation.prepare,
            fits=self._fits,
        )
        self._tell_code(sweep.progress.message)
        for key in collector.collect(waiting):
            continuation.ended(key)

    def _take(self, sweep: Membership, *, reuse: bool = False) -> None:
        """Take in the jobs of the sweep that the session does not know yet, and drop those that were withdrawn."""
        self.manifest, progress = sweep.manifest, sweep.progress
        if gone := self.jobs.keys() - set(self.manifest.jobs):
            for known in (self.jobs, self.rows, self.missing):
                for key in gone & known.keys():
                    del known[key]
            progress.message(f"Another session has withdrawn {counted(len(gone), 'job')}")
        if len(self.jobs) == len(self.manifest.jobs):
            return
        jobs = {key: job for key, job in self.manifest.jobs_by_key().items() if key not in self.jobs}
        self.jobs.update(jobs)
        self.missing.update(jobs)
        progress.message(f"{_growth(self.manifest)}: {counted(len(jobs), 'new job')}")
        if reuse:
            self.reuse_siblings(progress.message)
            sweep.manifest = self.manifest
        for key in jobs.keys() & self.rows.keys():
            progress.finished(self.rows[key])

    def submit(self, *, reuse: bool = True) -> None:
        """Queue the missing jobs on a cluster, without waiting for them; another session collects them.

        Args:
            reuse: Whether to take results of other sweeps, in the same output folder or on the cluster.

        Errors: see `train`.
        """
        if reuse:
            self.reuse_siblings(self.place.tell)
        with self._connected(Progress(self.place.tell)) as sweep:
            sweep.reopen()
            self._submit(sweep, RESULT_BACKEND, reuse=reuse)

    def follow(self, progress: Progress = SILENT) -> Iterator[Row]:
        """Collect the missing jobs, which another session has submitted; submit only those that Redis lost.

        Arguments and errors: see `train`.

        Yields:
            The row of each job as it ends.
        """
        # Another session, such as one that went on in a folder of its own, may have taken weights.
        self.keeper.bare = True
        with self._connected(progress) as sweep:
            sweep.register()
            going_on = True
            while going_on:
                self._take(sweep)
                yield from map(self.rows.__getitem__, self._collector(sweep).collect(dict(self.missing)))
                going_on = sweep.wait_for_others(self.rows)
                if not going_on and (going_on := sweep.grow(self.rows)):
                    self._submit(sweep, None)
            self._end(sweep)

    def _submit(self, sweep: Membership, origin: str | None, *, reuse: bool = True) -> None:
        """Queue the missing jobs; a result that the cluster has already gets a row with this origin."""
        self._take(sweep)
        self._collector(sweep).begin(dict(self.missing), reuse=reuse, reused_from=origin, fits=self._fits)
        self._tell_code(sweep.progress.message)

    def _collector(self, sweep: Membership) -> Collector:
        from orchestrator.running.collect import Collector

        return Collector(sweep, self.accept_weights, self.accept, self.keeper)

    def _end(self, sweep: Membership) -> None:
        """Add evidence and late ends of attempts to the rows, and mark the sweep as finished on the cluster."""
        from orchestrator.running.collect import completed

        for key, mismatches in sweep.cluster.store.mismatches(self.jobs):
            self.rows[key] = self.rows[key].with_mismatches([*self.rows[key].mismatches, *mismatches])
        for row in completed(sweep.cluster, self.rows):
            self.rows[row.job] = row
        sweep.cluster.registry.finish(self.manifest.name)
        if gone := self.keeper.gone:
            again = "`orchestrator weights` trains a job again for them"
            sweep.progress.message(f"The weights of {counted(gone, 'job')} had left the cluster: {again}")

    @contextlib.contextmanager
    def _connected(self, progress: Progress, expected: int = 0) -> Iterator[Membership]:
        made = self.manifest.specification
        jobs = len(self.missing) + made.remaining * len(made.seeds) + expected
        tell, logs = progress.message, self.folder.real / self.folder.logs.name
        with self.place.open(made.trainer, made.source, jobs=jobs, tell=tell, logs=logs) as cluster:
            # Imported here because it imports Celery, which takes a while; an embedded cluster starts meanwhile.
            from orchestrator.running.membership import Membership
            from orchestrator.running.underway import Underway

            with Underway(self.jobs, self.rows, progress, self.folder, cluster.address) as told:
                yield Membership(
                    cluster, self.folder, self.manifest, self.jobs, told, self.place.interruption, self.fail_fast
                )


def _reused(counts: Counter[str], folder: SweepFolder) -> str:
    """Return from which sweeps results were taken, and the command that verifies them."""
    shown = some([f"{count} from {name}" for name, count in counts.most_common()])
    verb, output = ("is" if counts.total() == 1 else "are"), folder.path.parent
    command = shlex.join(["orchestrator", "verify", folder.name, "--all", "--output", str(output)])
    return f"{counts.total()} {verb} reused from other sweeps: {shown}; to train them again and compare: {command}"


def _growth(manifest: Manifest) -> str:
    if manifest.rounds:
        return f"The sweep was extended by {manifest.rounds[-1].kind}"
    drawn, wanted = len(manifest.specification.drawn), manifest.specification.remaining
    return f"{counted(drawn, 'configuration')} of {drawn + wanted} drawn"
