"""How commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from itertools import compress

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.analysis.leaderboard import Standing
from orchestrator.folder.rows import Accounting
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.text import say
from worker.text import printable

#: `box.SIMPLE_HEAD` for an output that knows no lines.
_ASCII_HEAD = box.Box(str(box.SIMPLE_HEAD).replace("─", "-"), ascii=True)
_ANY_WIDTH = 10**6


def complain(text: str) -> None:
    """Tell the user something on standard error."""
    print(printable(text), file=sys.stderr)


def knows_blocks(console: Console) -> bool:
    """Whether the output can show more than ASCII."""
    return console.encoding.startswith("utf")


def print_end(console: Console, folder: SweepFolder, accounting: Accounting, standings: Sequence[Standing]) -> None:
    """Print the leaderboard, the accounting line and where the files are."""
    print_leaderboard(console, standings)
    say(console, str(accounting))
    say(console, f"Results: {folder.path} (leaderboard.csv, results.jsonl, weights)")


def print_leaderboard(console: Console, standings: Sequence[Standing]) -> None:
    """Print the leaderboard with accuracies in percent; columns about trouble appear when there is some."""
    trouble = [
        name for name in ("diverged", "failed", "cancelled") if any(getattr(standing, name) for standing in standings)
    ]
    rows = []
    for standing in standings:
        accuracies = (standing.mean, standing.std, standing.best, standing.worst)
        rows.append(
            (
                str(standing.rank),
                f"{standing.learning_rate:g}",
                *("-" if accuracy is None else f"{100 * accuracy:.2f}" for accuracy in accuracies),
                str(standing.seeds),
                *(str(getattr(standing, name)) for name in trouble),
            )
        )
    say(console, "Validation accuracy after the last epoch, in %")
    headings = ("rank", "learning rate", "mean", "std", "best", "worst", "seeds", *trouble)
    print_table(console, headings, rows, spare=("worst", "best", "rank", "seeds"))


def print_table(
    console: Console,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    spare: Sequence[str] = (),
    padding: tuple[int, int, int, int] = (0, 1, 0, 1),
    is_text: bool = False,
) -> None:
    """Print a table of which nothing is cut: where no terminal says otherwise, it is as wide as it is.

    Args:
        console: Where to.
        headings: One for each column.
        rows: A cell for each column.
        spare: The columns that a narrow terminal goes without, beginning with the first.
        padding: Of each cell, as rich counts it.
        is_text: Whether cells may go on in the next line.
    """
    for left_out in range(len(spare) + 1):
        table = Table(box=box.SIMPLE_HEAD if knows_blocks(console) else _ASCII_HEAD, padding=padding)
        shown = [heading not in spare[:left_out] for heading in headings]
        for heading in compress(headings, shown):
            table.add_column(heading, justify="left" if is_text else "right", overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in compress(row, shown)))
        width = console.measure(table, options=console.options.update(width=_ANY_WIDTH)).maximum
        if not console.is_terminal or width <= console.width:
            break
    _print_at_width(console, table, min(width, console.width) if is_text and console.is_terminal else width)


def _print_at_width(console: Console, table: Table, width: int) -> None:
    wide = Console(file=console.file, force_terminal=console.is_terminal, width=width)
    with wide.capture() as captured:
        wide.print(table)
    # Of the blanks at the ends of its lines, rich prints all.
    text = captured.get() if console.is_terminal else re.sub(" +$", "", captured.get(), flags=re.MULTILINE)
    console.file.write(text)
    console.file.flush()


def print_json(folder: SweepFolder, accounting: Accounting, standings: Sequence[Standing]) -> None:
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
