"""Wording that several messages share, and the one way to print a sentence on a console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.text import printable

if TYPE_CHECKING:
    from rich.console import Console


def counted(number: int, thing: str) -> str:
    """Return a number with its noun: 1 job, 2 jobs."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def have(number: int, thing: str) -> str:
    """Return a number with its noun and verb: 1 job has, 2 jobs have."""
    return f"{counted(number, thing)} {'has' if number == 1 else 'have'}"


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a text without markup or highlighting, and without truncating it: a long line wraps."""
    console.print(printable(text), style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)
