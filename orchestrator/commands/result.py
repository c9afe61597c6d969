"""The result of a command that gives every job of a sweep its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.analysis.leaderboard.board import Leaderboard
from orchestrator.analysis.leaderboard.export import to_csv, to_json
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Accounting, Row
from orchestrator.running.session import Session


@dataclass(frozen=True)
class SweepResult:
    """A sweep in which every job has its row.

    Attributes:
        name: The sweep's name.
        folder: The sweep's folder, with rows, weights and leaderboard.
        rows: The row of each job, by job key, in the sweep's order.
        accounting: How many jobs ended in which way.
        leaderboard: The configurations by rank, with what they have in common.
    """

    name: str
    folder: Path
    rows: Mapping[str, Row] = field(repr=False)
    accounting: Accounting
    leaderboard: Leaderboard = field(repr=False)

    @property
    def complete(self) -> bool:
        """Whether every job has a result, and no two attempts at a job ended with different weights."""
        return self.accounting.complete

    @property
    def mismatched(self) -> list[Row]:
        """The rows of jobs of which two attempts ended with different weights."""
        return [row for row in self.rows.values() if row.mismatches]


def finish(session: Session) -> SweepResult:
    """Write the leaderboard of a session in which every job has its row.

    Raises:
        OutputError: the folder cannot be written.
    """
    ended = Sweep(session.folder, session.manifest, session.jobs, session.rows, session.axes)
    board = ended.leaderboard
    with session.interruption.shield():
        session.folder.finish(session.rows, list(session.jobs), to_csv(board), to_json(board))
    return SweepResult(
        name=session.folder.name,
        folder=session.folder.path,
        rows={each.key: each.row for each in ended.ended},
        accounting=ended.accounting,
        leaderboard=board,
    )
