"""The table of configurations by rank."""

from __future__ import annotations

from orchestrator.analysis.leaderboard.table import for_report
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.contents.parts import DataTable, Fact

#: How many configurations the table shows, the first by rank.
MOST_ROWS = 500


def table(sweep: Sweep) -> tuple[DataTable, tuple[str, ...], list[Fact]]:
    """Return a row for each configuration, notes on the numbers, and what each column means, without the options.

    It has no columns for trouble that did not occur.
    """
    told, meanings = for_report(sweep.leaderboard, sweep.leaderboard.standings[:MOST_ROWS])
    facts = [Fact(*each) for each in meanings.items()]
    return DataTable("Configurations by rank", told.headings, told.rows), told.notes, facts
