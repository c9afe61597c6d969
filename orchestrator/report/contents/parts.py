"""What sections are made of: facts and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Fact(NamedTuple):
    """A term, its text, and a command to act on it, which may be empty."""

    term: str
    text: str
    command: str = ""


class DataTable(NamedTuple):
    """A table of text: its label, headings and rows, and a note if some are left out. The first cell names a row."""

    label: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
