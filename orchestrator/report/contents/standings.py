"""The table of configurations by rank."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress

from orchestrator.analysis.leaderboard import table
from orchestrator.analysis.leaderboard.table import TextTable
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.contents.commands import shell
from orchestrator.report.contents.parts import DataTable, Fact

#: How many configurations the table shows, the first by rank.
MOST_ROWS = 500
#: What a column means, by its heading.
_MEANINGS = {
    "rank": "the place by the mean; in brackets, from which to which it may belong",
    "n": "jobs that trained, of all jobs",
    "mean": "the mean over the jobs that trained",
    "interval": "where the mean over all seeds is",
    "best?": "whether the configuration can be the best",
    "P(best)": "the probability that it is the best",
    "on new samples": "the interval for new samples, too: the other one is for these validation samples",
    "diverged": "jobs that diverged",
    "rate of divergence": "which share of all seeds may diverge, at 95 %",
    "failed": "jobs without a result, because training failed",
    "cancelled": "jobs without a result, because they were cancelled",
    "honest": "what the first row is worth, had no seed had a part in choosing it",
    "sd": "the standard deviation over the seeds",
    "best seed": "the best result of a seed",
    "worst seed": "the worst result of a seed",
}


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
    shown = table.by_configuration(board, board.standings[:MOST_ROWS], wide=True)
    # The rank, the options that vary, n, the mean and the interval are told anyway.
    always = len(board.names.varying) + 4
    told = [i < always or _tells(shown, i) for i in range(len(shown.headings))]
    rows = [tuple(compress(row, told)) for row in shown.rows]
    configurations = DataTable("Configurations by rank", tuple(compress(shown.headings, told)), rows)
    every = shell("orchestrator", "leaderboard", sweep.folder.name, "--csv")
    # Behind the rank, the options have headings of their own.
    own = (configurations.headings[0], *configurations.headings[1 + len(board.names.varying) :])
    meanings = tuple(Fact(heading, _MEANINGS[heading]) for heading in own)
    return StandingsContent(shown.notes, meanings, configurations, every if len(board.standings) > MOST_ROWS else "")


def _tells(shown: TextTable, column: int) -> bool:
    """Return whether a column tells anything: trouble that a sweep did not have does not need one."""
    if shown.headings[column] == "rate of divergence":
        column = shown.headings.index("diverged")
    return any(row[column] not in ("0", table.NONE) for row in shown.rows)
