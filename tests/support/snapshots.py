"""Snapshots of sweeps that were never trained: folders with constructed rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.sweep_folders import filled as folder_of
from worker.job import Job

__all__ = ["folder_of", "snapshot_of"]


def snapshot_of(output: Path, specification: SweepSpecification, ended: Callable[[Job], Row | None]) -> Sweep:
    """Return the snapshot of a sweep whose jobs ended so."""
    return Sweep.read(folder_of(output, specification, ended))
