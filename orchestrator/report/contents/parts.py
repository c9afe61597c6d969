"""What sections are made of: facts, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from orchestrator.text import counted


class Fact(NamedTuple):
    """A term, its text, and a command to act on it, which may be empty."""

    term: str
    text: str
    command: str = ""


class Picture(NamedTuple):
    """An image for a page: its `data:` address, and its size in pixels."""

    address: str
    width: int
    height: int


class DataTable(NamedTuple):
    """A table of text: its label, headings and rows, and a note if some are left out. The first cell names a row."""

    label: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    @classmethod
    def of(cls, label: str, headings: Sequence[str], rows: Sequence[Sequence[str]], thing: str, most: int) -> Self:
        """Return a table with the first `most` rows, with a note if there are more things."""
        note = f"{most} of {counted(len(rows), thing)}" if len(rows) > most else ""
        return cls(label, headings, rows[:most], note)
