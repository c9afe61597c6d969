"""The table of configurations by rank."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress

from orchestrator.analysis.leaderboard import table
from orchestrator.analysis.leaderboard.table import TextTable
from orchestrator.report.contents.commands import shell
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
        every: The command that prints all rows, where some are left out; else empty.
    """

    notes: tuple[str, ...]
    table: DataTable
    every: str


def content(snapshot: Snapshot) -> StandingsContent:
    """Return what the table shows."""
    board = snapshot.leaderboard
    shown = table.by_configuration(board, board.standings[:MOST_ROWS], wide=True)
    # The rank, the options that vary, n, the mean and the interval are told anyway.
    always = len(board.names.varying) + 4
    told = [i < always or _tells(shown, i) for i in range(len(shown.headings))]
    rows = [tuple(compress(row, told)) for row in shown.rows]
    configurations = DataTable("Configurations by rank", tuple(compress(shown.headings, told)), rows)
    every = shell("orchestrator", "leaderboard", snapshot.folder.name, "--csv")
    return StandingsContent(shown.notes, configurations, every if len(board.standings) > MOST_ROWS else "")


def _tells(shown: TextTable, column: int) -> bool:
    """Return whether a column tells anything: trouble that a sweep did not have does not need one."""
    if shown.headings[column] == "rate of divergence":
        column = shown.headings.index("diverged")
    return any(row[column] not in ("0", table.NONE) for row in shown.rows)
