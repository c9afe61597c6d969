"""The table of configurations by rank."""

from __future__ import annotations

from orchestrator.analysis.leaderboard import table as leaderboard_table
from orchestrator.analysis.leaderboard.table import TextTable
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.contents.parts import DataTable, Fact

#: How many configurations the table shows, the first by rank.
MOST_ROWS = 500


def notes(sweep: Sweep) -> tuple[str, ...]:
    """Return notes on the table's numbers."""
    return _told(sweep)[0].notes


def table(sweep: Sweep) -> DataTable:
    """Return a row for each configuration."""
    told, _ = _told(sweep)
    return DataTable("Configurations by rank", told.headings, list(told.rows))


def meanings(sweep: Sweep) -> list[Fact]:
    """Return what each column means, without the options."""
    return [Fact(*each) for each in _told(sweep)[1].items()]


def _told(sweep: Sweep) -> tuple[TextTable, dict[str, str]]:
    """Return the table without columns for trouble that did not occur, and what its columns mean."""
    board = sweep.leaderboard
    return leaderboard_table.for_report(board, board.standings[:MOST_ROWS])
