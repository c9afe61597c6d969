"""Snapshots of sweeps that were never trained: folders with constructed rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.sweeps import PROVENANCE
from worker.job import Job


def folder_of(
    output: Path,
    specification: SweepSpecification,
    ended: Callable[[Job], Row | None],
    *,
    name: str = "a",
    dataset: str = MNIST_DIGEST,
) -> SweepFolder:
    """Make the folder of a sweep whose jobs ended so; None for one that has not."""
    folder = SweepFolder(output, name)
    jobs = specification.jobs_by_key(dataset)
    folder.create(
        Manifest(name=name, specification=specification, dataset=dataset, jobs=list(jobs), provenance=PROVENANCE)
    )
    rows = [row for row in map(ended, jobs.values()) if row is not None]
    (folder.path / "results.jsonl").write_text("".join(row.line() for row in rows))
    return folder


def snapshot_of(output: Path, specification: SweepSpecification, ended: Callable[[Job], Row | None]) -> Sweep:
    """Return the snapshot of a sweep whose jobs ended so."""
    return Sweep.read(folder_of(output, specification, ended))
