"""What sections are made of: facts and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Fact(NamedTuple):
    """A term, what is said of it, and a command to act on it, which may be empty."""

    term: str
    text: str
    command: str = ""


class DataTable(NamedTuple):
    """A table of texts: what it shows, its rows, of which the first cell names each, and what is left out, if any."""

    label: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
