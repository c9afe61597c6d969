"""`orchestrator export`: reads its arguments, calls the command, says what was written."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from nn.errors import Described, InvalidInputError
from orchestrator.analysis.lookup import open_sweep
from orchestrator.cli.outcome import interruptible
from orchestrator.cli.output import complain, say
from orchestrator.cli.words.arguments import output_folder
from orchestrator.commands.publishing.export import Export, export, track
from orchestrator.text import counted

#: How many missing weights are named.
NAMED = 3


#: Seconds between two lines.
SILENCE = 10.0


@dataclass(frozen=True)
class Options:
    """The options of `orchestrator export`, as they were typed."""

    to: str
    file: str | None
    tracking_uri: str | None
    force: bool
    json: bool
    output: str


def run_export(name: str, options: Options) -> int:
    """Export a sweep, and return the exit status: 1 if the export lacks weights.

    Raises:
        SeedsweepError: bad input, or a folder cannot be read or written.
    """
    _check(options)
    folder = open_sweep(name, output_folder(options.output))
    with interruptible(), _counting("exported") as on_progress:
        if options.tracking_uri is None:
            file = None if options.file is None else Path(options.file)
            result = export(folder, options.to, file=file, replace=options.force, on_progress=on_progress)
        else:
            result = track(folder, options.tracking_uri, on_progress=on_progress)
    if options.json:
        print(json.dumps(_as_dict(result), allow_nan=False))
    else:
        say(Console(highlight=False), _said(result))
    if result.missing:
        complain(_lacking(result))
    return 1 if result.missing else 0


def _check(options: Options) -> None:
    if options.file is not None and ("\0" in options.file or not Path(options.file).name):
        raise InvalidInputError("--file", options.file, "the path of a file or folder to make")
    if options.tracking_uri is None:
        return
    if options.to != "mlflow":
        raise InvalidInputError("--tracking-uri", Described("given"), "nothing together with another --to than mlflow")
    for flag, given in (("--file", options.file is not None), ("--force", options.force)):
        if given:
            raise InvalidInputError(flag, Described("given"), "nothing together with --tracking-uri")


def _said(result: Export) -> str:
    ended, jobs = len(result.sweep.ended), counted(len(result.sweep.jobs), "job")
    what = jobs if result.finished else f"the {ended} of {jobs} that have ended"
    known = f" ({result.known} were there already)" if result.known else ""
    return f"Exported {what}: {', '.join(result.places)}{known}"


def _as_dict(result: Export) -> dict[str, object]:
    return {
        "name": result.sweep.name,
        "format": result.format,
        "places": list(result.places),
        "jobs": len(result.sweep.jobs),
        "exported": len(result.sweep.ended),
        "known": result.known,
        "missing_weights": [{"job": each.ended.key, "fault": each.fault} for each in result.missing],
    }


def _lacking(result: Export) -> str:
    """Say whose weights are missing, and how to get them."""
    sweep, axes = result.sweep, result.sweep.manifest.axes
    named = [f"{each.ended.key[:12]} ({each.ended.job.words(axes)}): {each.fault}" for each in result.missing[:NAMED]]
    more = len(result.missing) - len(named)
    listed = "; ".join([*named, *([f"and {more} more"] if more else [])])
    return (
        f"The export lacks the weights of {counted(len(result.missing), 'job')}: {listed}. To have them, resume the "
        f"sweep: orchestrator sweep --name {sweep.name} --resume"
    )


@contextlib.contextmanager
def _counting(done_word: str) -> Iterator[Callable[[int, int], None]]:
    """Give the block a function that it calls with the number of jobs that are done, and of all.

    Standard error shows it, so that standard output is the result's.
    """
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        with _bar(console, done_word) as on_progress:
            yield on_progress
    else:
        yield _lines(console, done_word)


@contextlib.contextmanager
def _bar(console: Console, done_word: str) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.completed:.0f}/{task.total:.0f} jobs {task.description}"), BarColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(done_word, total=None, visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)


def _lines(console: Console, done_word: str) -> Callable[[int, int], None]:
    last = time.monotonic()

    def on_progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > SILENCE:
            last = time.monotonic()
            say(console, f"{done} of {total} jobs {done_word}")

    return on_progress
