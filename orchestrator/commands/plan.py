"""The plan of a command that works on a sweep: everything was checked, and nothing was begun."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.cluster.connect import Place
from orchestrator.errors import SweepExistsError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interruption
from orchestrator.running.session import Session
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.provenance import provenance
from worker.job import Job


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
        data, deferring = self.manifest.specification.data, interruption or Interruption()
        return Session(self.folder, self.jobs, self.place, data, deferring, resuming=self.resuming)

    def note_resumption(self) -> None:
        """Add this session's provenance to `sweep.json`; the caller holds the folder's lock."""
        written = self.folder.manifest()
        self.folder.write_manifest(written.model_copy(update={"resumed": [*written.resumed, provenance()]}))


def jobs_of(manifest: Manifest) -> dict[str, Job]:
    """Return a sweep's jobs by key, in its order.

    Raises:
        SweepExistsError: this version derives other jobs from the sweep's specification.
    """
    jobs = manifest.specification.jobs_by_key(manifest.dataset)
    if list(jobs) != manifest.jobs:
        raise SweepExistsError(
            f"This version of Seedsweep derives other jobs from the specification of the sweep {manifest.name}: "
            "start it again under another --name"
        )
    return jobs
