"""The table of configurations by rank."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.analysis.leaderboard import table
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.contents.commands import shell
from orchestrator.report.contents.parts import DataTable, Fact

#: How many configurations the table shows, the first by rank.
MOST_ROWS = 500


@dataclass(frozen=True)
class StandingsContent:
    """What the table shows.

    Attributes:
        notes: What the numbers are.
        meanings: What each column means, without the options.
        table: A row for each configuration.
        every: The command that prints all rows, where some are left out; else empty.
    """

    notes: tuple[str, ...]
    meanings: tuple[Fact, ...]
    table: DataTable
    every: str


def content(sweep: Sweep) -> StandingsContent:
    """Return what the table shows."""
    board = sweep.leaderboard
    shown = board.standings[:MOST_ROWS]
    # Trouble that a sweep did not have needs no column.
    columns = [each for each in table.columns(board) if each.is_told(shown)]
    headings = tuple(each.heading for each in columns)
    rows = [tuple(each.cell(standing) for each in columns) for standing in shown]
    every = shell("orchestrator", "leaderboard", sweep.folder.name, "--csv")
    return StandingsContent(
        notes=table.notes(board, len(shown)),
        meanings=tuple(Fact(each.heading, each.meaning) for each in columns if each.meaning),
        table=DataTable("Configurations by rank", headings, rows),
        every=every if len(board.standings) > MOST_ROWS else "",
    )
