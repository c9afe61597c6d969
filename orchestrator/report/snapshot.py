"""A sweep as its folder holds it at one moment: what every part of a report is made from."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.leaderboard import board
from orchestrator.analysis.leaderboard.board import Leaderboard
from orchestrator.analysis.leaderboard.ranking import ranked
from orchestrator.analysis.leaderboard.scores import Scored, scores_of
from orchestrator.folder.rows import Accounting, Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from worker.job import Job


@dataclass(frozen=True)
class Snapshot:
    """A sweep at one moment.

    Attributes:
        folder: Where it was read, for weights.
        manifest: The sweep.
        jobs: Its jobs by key, in its order.
        rows: The rows of jobs that have ended, by key.
        leaderboard: The configurations by rank, and the verdict.
        accounting: How many jobs ended in which way.
    """

    folder: SweepFolder
    manifest: Manifest
    jobs: Mapping[str, Job]
    rows: Mapping[str, Row]
    leaderboard: Leaderboard
    accounting: Accounting

    @functools.cached_property
    def scored(self) -> Sequence[Scored]:
        """The scores of the configurations by rank, in the order of the standings, with the keys of their jobs."""
        return ranked(scores_of(self.jobs, self.rows, self.leaderboard.metric, self.leaderboard.scoring))

    @property
    def finished(self) -> bool:
        """Whether every job has ended."""
        return len(self.rows) == len(self.jobs)


def take(folder: SweepFolder) -> Snapshot:
    """Read a sweep's folder. Takes no lock and writes nothing; the sweep may run meanwhile.

    Raises:
        SweepNotFoundError: the folder contains no sweep.
        SweepUnreadableError: the folder cannot be read.
    """
    manifest = folder.manifest()
    jobs = manifest.jobs_by_key()
    rows = folder.rows_of(jobs)
    found = board.leaderboard(jobs, rows, manifest.specification.data, manifest.axes, sequential=bool(manifest.looks))
    return Snapshot(folder, manifest, jobs, rows, found, Accounting.of(len(jobs), rows.values()))
