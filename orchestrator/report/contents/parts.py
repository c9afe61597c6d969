"""What sections are made of: facts and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """A term and what is said of it.

    Attributes:
        term: The term.
        text: What is said.
        command: What one can type to act on it; may be empty.
    """

    term: str
    text: str
    command: str = ""


@dataclass(frozen=True)
class DataTable:
    """A table of texts.

    Attributes:
        label: What it shows.
        headings: One for each column.
        rows: The cells of each row; the first one names it.
        note: What is left out, or how to read it; may be empty.
    """

    label: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
