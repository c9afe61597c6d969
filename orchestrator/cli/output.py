"""Prints results: tables for people, JSON for programs."""

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

from nn.options import describe
from orchestrator.analysis.leaderboard import Leaderboard
from orchestrator.commands.result import SweepResult
from worker.text import printable

#: `box.SIMPLE_HEAD` for an output without line-drawing characters.
_ASCII_HEAD = box.Box(str(box.SIMPLE_HEAD).replace("─", "-"), ascii=True)
_ANY_WIDTH = 10**6


def complain(text: str) -> None:
    """Print a message on standard error."""
    print(printable(text), file=sys.stderr)


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a text without markup or highlighting, and without truncating it: a long line wraps."""
    console.print(printable(text), style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)


def knows_blocks(console: Console) -> bool:
    """Whether the console can show block characters."""
    return console.encoding.startswith("utf")


def print_result(console: Console, result: SweepResult) -> None:
    """Print the leaderboard, the accounting line and where the files are."""
    print_leaderboard(console, result.leaderboard)
    say(console, str(result.accounting))
    say(console, f"Results: {result.folder} (leaderboard.csv, results.jsonl, weights)")


def print_leaderboard(console: Console, board: Leaderboard) -> None:
    """Print what the configurations have in common, and a row for each: what varies, and the metric.

    Columns about trouble appear when there is some.
    """
    trouble = [
        name for name in ("diverged", "failed", "cancelled") if any(getattr(each, name) for each in board.standings)
    ]
    rows = []
    for standing in board.standings:
        scores = (standing.mean, standing.std, standing.best, standing.worst)
        rows.append(
            (
                str(standing.rank),
                *(board.names.shown(name, value) for name, value in standing.options.items()),
                *("-" if score is None else board.metric.number(score) for score in scores),
                str(standing.seeds),
                *(str(getattr(standing, name)) for name in trouble),
            )
        )
    say(console, f"In common: {board.in_common}")
    unit = ", in %" if board.metric.is_share else ""
    name = board.metric.name[:1].upper() + board.metric.name[1:]
    say(console, f"{name} after the last epoch{unit}")
    varying = (describe.heading(board.names.model, name) for name in board.names.varying)
    headings = ("rank", *varying, "mean", "std", "best", "worst", "seeds", *trouble)
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
    """Print the table without truncating it; outside a terminal it takes its natural width.

    Args:
        console: Where to print.
        headings: One for each column.
        rows: The cells of each row, one for each column.
        spare: Columns to leave out on a narrow terminal, the first of them first.
        padding: Around each cell: top, right, bottom, left.
        is_text: Whether a cell may wrap.
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
    # rich pads every line with spaces to the table's width.
    text = captured.get() if console.is_terminal else re.sub(" +$", "", captured.get(), flags=re.MULTILINE)
    console.file.write(text)
    console.file.flush()


def print_result_as_json(result: SweepResult, **more: object) -> None:
    """Print one JSON object with the accounting and the leaderboard, and more fields."""
    print(
        json.dumps(
            {
                "name": result.name,
                "folder": str(result.folder),
                "accounting": result.accounting.model_dump(),
                **result.leaderboard.as_dict(),
                **more,
            },
            allow_nan=False,
        )
    )
