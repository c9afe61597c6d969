"""The plan of a command on a sweep: all checks have passed, and nothing has begun."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.connect import Place
from orchestrator.errors import SweepExistsError
from orchestrator.folder.rows import seen
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interruption
from orchestrator.running.listener import SILENT, Progress
from orchestrator.running.session import Session
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.provenance import provenance
from worker.job import Job
from worker.trainers import registry

#: Opens a display of a sweep with the rows that it has already.
Display = Callable[[Sweep], Progress]


def silent(_sweep: Sweep) -> Progress:
    """Open a display that shows nothing."""
    return SILENT


def snapshot(session: Session, metric: str | None = None) -> Sweep:
    """Return the sweep with the rows that a session has now; it is judged by a metric, or by its own."""
    return Sweep.of(session.folder, session.manifest, session.jobs, session.rows, metric)


@dataclass(frozen=True)
class SweepPlan:
    """The plan of a command on a sweep.

    Attributes:
        folder: Where rows and weights go.
        manifest: The sweep.
        jobs: The sweep's jobs by key, in its order.
        place: Where the jobs are trained.
        resuming: Whether an earlier session began with the sweep.
    """

    folder: SweepFolder
    manifest: Manifest
    jobs: dict[str, Job]
    place: Place
    resuming: bool

    def rehearse(self, keep_weights: str | None = None) -> Session:
        """Return the session that would begin, without its rows; nothing is written. Weights are kept as given."""
        kept = {"keep_weights": keep_weights or self.manifest.keep_weights}
        manifest = self.manifest.model_copy(update=kept)
        return Session(self.folder, manifest, dict(self.jobs), self.place, resuming=self.resuming)

    def judged_by(self, metric: str | None) -> SweepPlan:
        """Return the plan of the sweep that is judged by a metric from now on; None changes nothing.

        Args:
            metric: As `Scoring.parse` reads it.

        Raises:
            InvalidInputError: the jobs have no such metric, or fewer epochs than are to be averaged.
        """
        if metric is None:
            return self
        judged = Sweep.of(self.folder, self.manifest, self.jobs, {}, metric)
        return replace(self, manifest=self.manifest.model_copy(update={"metric": str(judged.scoring)}))

    @contextlib.contextmanager
    def begin(self, interruption: Interruption | None = None) -> Iterator[Session]:
        """Make the sweep's folder, or take up the one that exists, and hold its lock while the block runs.

        Args:
            interruption: Defers signals while files are written; None if the caller handles no signals.

        Raises:
            SweepExistsError: the folder was made meanwhile.
            SweepBusyError: another process works on the sweep.
            OutputError: the folder cannot be written.
        """
        interruption = interruption or Interruption()
        if not self.resuming:
            with interruption.shield():
                self.folder.create(self.manifest)
        with self.folder.exclusive():
            if self.resuming:
                self.note_resumption()
            yield self.session(interruption)

    def session(self, interruption: Interruption) -> Session:
        """Return a session that has no rows yet; the caller holds the folder's lock."""
        # Read again: since this plan was made, another session may have added jobs.
        written = self.folder.manifest()
        jobs = self.jobs if written.jobs == self.manifest.jobs else jobs_of(written)
        return Session(self.folder, written, jobs, self.place, interruption, resuming=self.resuming)

    def note_resumption(self) -> None:
        """Add this session's provenance to `sweep.json`; the caller holds the folder's lock."""
        written = self.folder.manifest()
        session = provenance(written.specification.trainer)
        if self.manifest.metric != written.metric:
            # Which metric counts may depend on the results that could be seen.
            written = written.with_look(seen("resume", self.folder.rows_of(self.jobs)))
        self.folder.write_manifest(
            written.model_copy(update={"resumed": [*written.resumed, session], "metric": self.manifest.metric})
        )


def jobs_of(manifest: Manifest) -> dict[str, Job]:
    """Return a sweep's jobs by key, in its order.

    Raises:
        SweepExistsError: this version derives other jobs from the sweep's specification, or would train them to other
            bits.
    """
    jobs = manifest.jobs_by_key()
    if list(jobs) != manifest.jobs:
        trainer = registry.trainer(manifest.specification.trainer)
        this = f"Version {trainer.version} of the trainer {trainer.name}, which is installed here,"
        if trainer.name == registry.DEFAULT:
            this = "This version of Seedsweep"
        raise SweepExistsError(
            f"{this} derives other jobs from the specification of this sweep: start it again under another --name"
        )
    refuse_earlier(jobs)
    return jobs


def refuse_earlier(jobs: Mapping[str, Job]) -> None:
    """Raise `SweepExistsError` if an earlier version trained the sweep's jobs to other bits than this one would."""
    old = next((job for job in jobs.values() if not job.is_current), None)
    if old is None:
        return
    if old.trainer == registry.DEFAULT:
        by, which, this = "An earlier version of Seedsweep", "the float64 jobs", "this one"
    else:
        by, which, this = f"Version {old.version} of the trainer {old.trainer}", "the jobs", "the version here"
    raise SweepExistsError(
        f"{by} trained {which} of this sweep, to other bits than {this}: they cannot be resumed or "
        "verified; start the sweep again under another --name"
    )


def registered(place: Place, manifest: Manifest) -> Manifest:
    """Return the manifest, with what another session has added to the sweep on the cluster.

    Raises:
        SweepExistsError: the cluster knows another sweep of this name.
    """
    # By the manifest's name: the folder may have been renamed, and the cluster knows the name it began with.
    return manifest if place.cluster is None else place.cluster.registry.longer(manifest)
