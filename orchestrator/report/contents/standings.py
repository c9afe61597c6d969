"""The table of configurations by rank."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.analysis.leaderboard import table
from orchestrator.report.contents.parts import DataTable
from orchestrator.report.snapshot import Snapshot

#: How many configurations the table shows, the first by rank.
MOST_ROWS = 500


@dataclass(frozen=True)
class StandingsContent:
    """What the table shows.

    Attributes:
        notes: What the numbers are.
        table: A row for each configuration.
    """

    notes: tuple[str, ...]
    table: DataTable


def content(snapshot: Snapshot) -> StandingsContent:
    """Return what the table shows."""
    board = snapshot.leaderboard
    shown = table.by_configuration(board, board.standings[:MOST_ROWS], wide=True)
    return StandingsContent(shown.notes, DataTable("Configurations by rank", shown.headings, shown.rows))
