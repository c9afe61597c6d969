"""`orchestrator leaderboard`: reads its arguments, calls the command, shows its sweep."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from nn.errors import Described, InvalidInputError
from orchestrator.analysis.leaderboard import export, table
from orchestrator.analysis.leaderboard.board import Leaderboard
from orchestrator.analysis.leaderboard.scoring import Scoring
from orchestrator.analysis.leaderboard.table import TextTable
from orchestrator.analysis.lookup import open_sweep
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.output import print_leaderboard, say
from orchestrator.cli.words.arguments import output_folder
from orchestrator.sweeps.specification import MAX_JOBS
from worker.text import printable


@dataclass(frozen=True)
class Options:
    """The options of `orchestrator leaderboard`, as they were typed."""

    metric: str
    where: Sequence[str]
    by: str
    sort: str | None
    top: str | None
    wide: bool
    csv: bool
    markdown: bool
    json: bool
    output: str


def run_leaderboard(name: str, options: Options) -> int:
    """Print a leaderboard, and return the exit status: 1 if no configuration can be recommended.

    Raises:
        SeedsweepError: bad input, or the folder cannot be read.
    """
    _check(options)
    top = None if options.top is None else _count(options.top)
    scoring = Scoring.parse(options.metric, "--metric")
    sweep = Sweep.read(open_sweep(name, output_folder(options.output))).select(options.where, scoring)
    if options.by == "job":
        _print_jobs(sweep.leaderboard, options, top)
    else:
        _print_configurations(sweep, options, top)
    return 0 if sweep.leaderboard.usable else 1


def _check(options: Options) -> None:
    """Reject options that do not go together."""
    formats = [flag for flag in ("csv", "markdown", "json") if getattr(options, flag)]
    if len(formats) > 1:
        raise InvalidInputError(f"--{formats[1]}", Described("given"), f"nothing together with --{formats[0]}")
    if options.by not in ("configuration", "job"):
        raise InvalidInputError("--by", options.by, "configuration or job")
    if options.by == "job" and options.sort is not None:
        raise InvalidInputError("--sort", options.sort, "nothing together with --by job, which sorts by the score")
    if options.wide and (options.by == "job" or "csv" in formats or "json" in formats):
        allowed = "a table of configurations: the others have all columns"
        raise InvalidInputError("--wide", Described("given"), allowed)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_JOBS):
        raise InvalidInputError("--top", text, f"an integer from 1 to {MAX_JOBS}")
    return int(text)


def _print_configurations(sweep: Sweep, options: Options, top: int | None) -> None:
    board = sweep.leaderboard
    standings = table.arranged(board, options.sort or "rank", top)
    if options.json:
        _print_json(export.as_dict(board, standings))
    elif options.csv:
        sys.stdout.write(export.to_csv(board, standings))
    else:
        _print_table(board, table.by_configuration(board, standings, wide=options.wide), options)
        if not options.markdown:
            say(Console(highlight=False), str(sweep.accounting))


def _print_jobs(board: Leaderboard, options: Options, top: int | None) -> None:
    if options.json:
        _print_json(export.jobs_as_dict(board, top))
    elif options.csv:
        sys.stdout.write(export.jobs_to_csv(board, top))
    else:
        _print_table(board, table.by_job(board, top), options)


def _print_table(board: Leaderboard, shown: TextTable, options: Options) -> None:
    if options.markdown:
        sys.stdout.write(printable(export.to_markdown(board, shown)))
    else:
        print_leaderboard(Console(highlight=False), board, shown)


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content, allow_nan=False))
