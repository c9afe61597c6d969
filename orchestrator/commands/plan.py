"""The plan of a command that works on a sweep: everything was checked, and nothing was begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.cluster.connect import Place
from orchestrator.errors import SweepExistsError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interruption
from orchestrator.running.session import Session
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.provenance import provenance
from worker.job import Job
from worker.trainers import registry


@dataclass(frozen=True)
class SweepPlan:
    """What a command is about to do with a sweep.

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

    def session(self, interruption: Interruption | None = None) -> Session:
        """Return a session that has no rows yet; the caller holds the folder's lock."""
        # Read again: since this plan was made, another session may have added jobs.
        written = self.folder.manifest()
        jobs = self.jobs if written.jobs == self.manifest.jobs else jobs_of(written)
        return Session(self.folder, written, jobs, self.place, interruption or Interruption(), resuming=self.resuming)

    def note_resumption(self) -> None:
        """Add this session's provenance to `sweep.json`; the caller holds the folder's lock."""
        written = self.folder.manifest()
        session = provenance(written.specification.trainer)
        self.folder.write_manifest(written.model_copy(update={"resumed": [*written.resumed, session]}))


def jobs_of(manifest: Manifest) -> dict[str, Job]:
    """Return a sweep's jobs by key, in its order.

    Raises:
        SweepExistsError: this version derives other jobs from the sweep's specification, or would train them to other
            bits.
    """
    jobs = manifest.jobs_by_key()
    if list(jobs) != manifest.jobs:
        raise SweepExistsError(
            f"{_this_version(manifest)} derives other jobs from the specification of the sweep {manifest.name}: "
            "start it again under another --name"
        )
    refuse_earlier(manifest, jobs)
    return jobs


def refuse_earlier(manifest: Manifest, jobs: Mapping[str, Job]) -> None:
    """Raise `SweepExistsError` if an earlier version trained the sweep's jobs to other bits than this one would."""
    old = next((job for job in jobs.values() if not job.is_current), None)
    if old is None:
        return
    if old.trainer == registry.DEFAULT:
        by, which, this = "An earlier version of Seedsweep", "the float64 jobs", "this one"
    else:
        by, which, this = f"Version {old.version} of the trainer {old.trainer}", "the jobs", "the version here"
    raise SweepExistsError(
        f"{by} trained {which} of the sweep {manifest.name}, to other bits than {this}: they cannot be resumed or "
        "verified; start the sweep again under another --name"
    )


def _this_version(manifest: Manifest) -> str:
    trainer = registry.trainer(manifest.specification.trainer)
    if trainer.name == registry.DEFAULT:
        return "This version of Seedsweep"
    return f"Version {trainer.version} of the trainer {trainer.name}, which is installed here,"
