"""Text for people: without characters that do something to their terminal, and with the right plural."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

#: Control characters, what turns the direction of writing, and halves of characters.
_UNPRINTABLE = re.compile(
    "[\0-\x09\x0b-\x1f\x7f-\x9f\N{ARABIC LETTER MARK}\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}"
    "\N{LEFT-TO-RIGHT EMBEDDING}-\N{RIGHT-TO-LEFT OVERRIDE}\N{LEFT-TO-RIGHT ISOLATE}-\N{POP DIRECTIONAL ISOLATE}"
    "\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Return a text, whoever wrote it, that a terminal only shows; it may have several lines."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Return a text as `printable` does, on one line."""
    return printable(text).replace("\n", "\\n")


def counted(number: int, thing: str) -> str:
    """Return how many there are of something: 1 job, 2 jobs."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def have(number: int, thing: str) -> str:
    """Return the beginning of a sentence: 1 job has, 2 jobs have."""
    return f"{counted(number, thing)} {'has' if number == 1 else 'have'}"


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a text as it is, whatever it holds; a line that is too long goes on below."""
    console.print(printable(text), style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)
