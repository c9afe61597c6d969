"""Prints results: tables for people, JSON for programs."""

from __future__ import annotations

import io
import json
import re
import shlex
import string
import sys
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nn.errors import clipped, printable
from orchestrator.analysis.summary import of_sweep
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT
from orchestrator.text import counted
from worker.redis.address import hide_password

if TYPE_CHECKING:
    from orchestrator.analysis.leaderboard.board import Leaderboard
    from orchestrator.analysis.leaderboard.table import TextTable
    from orchestrator.analysis.sweep import Sweep
    from orchestrator.folder.sweep_folder import SweepFolder

_ANY_WIDTH = 10**6
#: How a sentence wraps.
_WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
#: Most characters of a cell.
_LONGEST = 1000
#: Least width of a column of texts, unless these are shorter; columns are left out before.
_TEXT = 12


def complain(text: str) -> None:
    """Print a message on standard error."""
    print(printable(text), file=sys.stderr)


def answer(text: str, *, as_json: bool = False, **content: object) -> int:
    """Print a sentence, or with --json its content as one JSON object; return the exit status 0."""
    print(json.dumps(content, allow_nan=False) if as_json else printable(text), flush=True)
    return 0


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a text without markup, highlighting or truncation; a terminal wraps sentences at words, commands never."""
    text = printable(text)
    # `Console.is_terminal` is true for a file under FORCE_COLOR, too.
    if not (console.is_terminal or console.file.isatty()):
        # As `Console` prints it, in a tenth of the time: there may be a line for each of thousands of jobs.
        print(text, file=console.file, flush=True)
        return
    if console.file.isatty() and not text.startswith("  ") and "orchestrator " not in text:
        text = "\n".join(fill(line, max(console.width, 1), **_WHOLE_WORDS) for line in text.split("\n"))
    console.print(text, style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)


def print_result(console: Console, result: Sweep, broker: str | None = None, *, verdict: bool = True) -> None:
    """Print the verdict and its advice, unless told otherwise, the leaderboard, the accounting, and where files are."""
    print_leaderboard(console, result.leaderboard, verdict=verdict)
    say(console, str(result.accounting))
    say(console, f"Results: {result.folder.path} (leaderboard.csv, results.jsonl, weights)")
    if verdict:
        advise(console, result, broker)


def advise(console: Console, result: Sweep, broker: str | None = None) -> None:
    """Print the command that trains what was cancelled, goes on with a search, or decides further, if there is one."""
    search = result.manifest.specification.remaining and len(result.rows) == len(result.jobs)
    if (result.accounting.cancelled or search) and of_sweep(result, None).state != "running":
        what = "train the cancelled jobs" if result.accounting.cancelled else "go on with the search"
        say(console, f"To {what}: {shlex.join(resumption(result.folder, broker))}")
    verdict = result.leaderboard.verdict
    if verdict.advice is None:
        return
    # Imported here because it takes a while, and few commands advise.
    from orchestrator.analysis.leaderboard.judgement import MOST_JOBS, SETTLES, in_full

    if verdict.within is not None and verdict.advice.within != verdict.within:
        asked = in_full(result.names.metric, verdict.within)
        say(console, f"No race of up to {MOST_JOBS:,} jobs is sure to bring the regret to {asked}")
    jobs = counted(verdict.advice.jobs, "job")
    most = f"{verdict.advice.budget:,} suffice with a probability of at least {100 * SETTLES:.0f} %"
    say(console, f"To decide further, in about {jobs} if the differences are as they seem; {most}:")
    say(console, f"  {shlex.join((*result.advised, *place_flags(result.folder, broker)))}")


def place_flags(folder: SweepFolder, broker: str | None = None) -> list[str]:
    """Return the flags with which another command finds the sweep of this folder and the same cluster."""
    output = folder.path.parent
    flags = [] if output == DEFAULT_OUTPUT else ["--output", str(output)]
    return flags if broker is None else [*flags, "--broker", hide_password(broker)]


def resumption(folder: SweepFolder, broker: str | None = None) -> list[str]:
    """Return the command that goes on with a sweep that is not complete."""
    return ["orchestrator", "sweep", "--resume", "--name", folder.name, *place_flags(folder, broker)]


def print_leaderboard(
    console: Console, board: Leaderboard, table: TextTable | None = None, *, verdict: bool = True
) -> None:
    """Print the verdict, what the configurations have in common, and a table.

    Args:
        console: Where to print.
        board: The leaderboard.
        table: The rows and columns to print; None for a row for each configuration.
        verdict: Whether to print the verdict.
    """
    # Imported here and below because it takes a while, and few commands print a leaderboard.
    from orchestrator.analysis.leaderboard.table import by_configuration

    table = by_configuration(board, board.standings) if table is None else table
    if verdict:
        say(console, board.verdict.sentence, style="bold")
    say(console, f"In common: {board.in_common}")
    print_table(console, table.headings, table.rows, spare=table.spare, notes=table.notes)


def print_table(
    console: Console,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    spare: Sequence[str] = (),
    padding: tuple[int, int, int, int] = (0, 1, 0, 1),
    is_text: bool = False,
    notes: Sequence[str] = (),
) -> None:
    """Print the table without truncating it, and what was left out; outside a terminal it takes its natural width.

    Args:
        console: Where to print.
        headings: One for each column.
        rows: The cells of each row, one for each column.
        spare: Columns to leave out on a narrow terminal, in this order; if that does not suffice, cells wrap.
        padding: Around each cell: top, right, bottom, left.
        is_text: Whether cells wrap before a column is left out.
        notes: Lines above the table; one that begins with a column's heading and a colon is left out with its column.
    """
    # Others' texts may have megabytes; --json has all of them.
    headings, *rows = [[printable(clipped(cell, _LONGEST)) for cell in row] for row in (headings, *rows)]
    for left_out in range(len(spare) + 1):
        hidden = [heading for heading in headings if heading in spare[:left_out]]
        columns = [each for each in zip(headings, *rows, strict=True) if each[0] not in hidden]
        table = Table(box=box.SIMPLE_HEAD, padding=padding)
        for heading, *_ in columns:
            table.add_column(Text(heading), justify="left" if is_text else "right", overflow="fold")
        for row in zip(*(cells for _, *cells in columns), strict=True):
            table.add_row(*map(Text, row))
        width = console.measure(table, options=console.options.update(width=_ANY_WIDTH)).maximum
        longest = [max(map(cell_len, each)) for each in columns]
        words, figures = (
            [max((cell_len(word) for word in " ".join(each).split() if fits(word)), default=0) for each in columns]
            for fits in (bool, set(string.digits).intersection)
        )
        least = [min(long, max(word, _TEXT)) if is_text else long for long, word in zip(longest, words, strict=True)]
        room = console.width - width + sum(longest)
        if not console.is_terminal or sum(least) <= room:
            break
    if (is_text or spare) and console.is_terminal and width > console.width:
        # No word is broken if all of them fit; else, rich breaks the longest ones, but no figures, which would read as
        # others: the table is wider then. The first columns get what is left.
        least = least if sum(least) <= room else words if sum(words) <= room or is_text else figures
        width = console.width + (0 if is_text else max(0, sum(least) - room))
        room = max(0, room - sum(least))
        for column, short, long in zip(table.columns, least, longest, strict=True):
            column.max_width = min(long, short + room)
            room -= column.max_width - short
    for note in notes:
        if note.partition(":")[0] not in hidden:
            say(console, note)
    _print_at_width(console, table, width)
    if hidden:
        say(console, f"Left out, because the terminal is narrow: {', '.join(hidden)}. --json has all columns.")


def _print_at_width(console: Console, table: Table, width: int) -> None:
    # For an encoding that lacks its lines, rich would draw others.
    wide = Console(file=io.StringIO(), force_terminal=console.is_terminal, width=width)
    with wide.capture() as captured:
        wide.print(table)
    # rich pads every line with spaces to the table's width.
    text = captured.get() if console.is_terminal else re.sub(" +$", "", captured.get(), flags=re.MULTILINE)
    console.file.write(text)
    console.file.flush()


def print_json(content: Mapping[str, Any]) -> int:
    """Print one JSON object on a line, and return the exit status 0."""
    print(json.dumps(content, allow_nan=False))
    return 0


def print_result_as_json(result: Sweep, **more: object) -> None:
    """Print one JSON object: the accounting, the fields of `leaderboard.json`, and `more`."""
    from orchestrator.analysis.leaderboard.table import as_dict

    accounting, board = result.accounting.model_dump(), as_dict(result.leaderboard)
    print_json({"name": result.name, "folder": str(result.folder.path), "accounting": accounting, **board, **more})
