"""The table of configurations by rank."""

from __future__ import annotations

from orchestrator.analysis.leaderboard import table as leaderboard_table
from orchestrator.analysis.leaderboard.table import Column
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.contents.parts import DataTable, Fact

#: How many configurations the table shows, the first by rank.
MOST_ROWS = 500


def notes(sweep: Sweep) -> tuple[str, ...]:
    """Return what the numbers of the table are."""
    board = sweep.leaderboard
    return leaderboard_table.notes(board, min(len(board.standings), MOST_ROWS))


def table(sweep: Sweep) -> DataTable:
    """Return a row for each configuration."""
    columns = _columns(sweep)
    rows = [tuple(each.cell(standing) for each in columns) for standing in sweep.leaderboard.standings[:MOST_ROWS]]
    return DataTable("Configurations by rank", tuple(each.heading for each in columns), rows)


def meanings(sweep: Sweep) -> list[Fact]:
    """Return what each column means, without the options."""
    return [Fact(each.heading, each.meaning) for each in _columns(sweep) if each.meaning]


def _columns(sweep: Sweep) -> list[Column]:
    """Return the columns that have something to say: trouble that a sweep did not have needs none."""
    board = sweep.leaderboard
    return [each for each in leaderboard_table.columns(board) if each.is_told(board.standings[:MOST_ROWS])]
