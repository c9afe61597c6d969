"""Shows how far a command is that works for long: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from orchestrator.cli.output import say

#: Seconds between two lines.
SILENCE = 10.0


@contextlib.contextmanager
def counting(done_word: str) -> Iterator[Callable[[int, int], None]]:
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
