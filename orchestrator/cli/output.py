"""What a finished sweep shows: a table for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.leaderboard import Standing
from orchestrator.rows import Accounting
from orchestrator.run_folder import RunFolder


def print_end(console: Console, folder: RunFolder, accounting: Accounting, standings: Sequence[Standing]) -> None:
    """Print the leaderboard, the accounting line and where the files are."""
    console.print(leaderboard_table(standings))
    console.print(str(accounting), markup=False, soft_wrap=True)
    console.print(f"Results: {folder.path} (leaderboard.csv, results.jsonl, weights)", markup=False, soft_wrap=True)


def leaderboard_table(standings: Sequence[Standing]) -> Table:
    """Return the leaderboard with accuracies in percent; columns about trouble appear when there is some."""
    trouble = [name for name in ("diverged", "failed") if any(getattr(standing, name) for standing in standings)]
    table = Table(box=box.SIMPLE_HEAD, title="Validation accuracy after the last epoch, in %", title_justify="left")
    for heading in ("rank", "learning rate", "mean", "std", "best", "worst", "seeds", *trouble):
        table.add_column(heading, justify="right")
    for standing in standings:
        accuracies = (standing.mean, standing.std, standing.best, standing.worst)
        table.add_row(
            str(standing.rank),
            f"{standing.learning_rate:g}",
            *("-" if accuracy is None else f"{100 * accuracy:.2f}" for accuracy in accuracies),
            str(standing.seeds),
            *(str(getattr(standing, name)) for name in trouble),
        )
    return table


def print_json(folder: RunFolder, accounting: Accounting, standings: Sequence[Standing]) -> None:
    """Print one JSON object with all of it."""
    print(
        json.dumps(
            {
                "name": folder.name,
                "folder": str(folder.path),
                "accounting": accounting.model_dump(),
                "leaderboard": [standing.model_dump() for standing in standings],
            },
            allow_nan=False,
        )
    )
