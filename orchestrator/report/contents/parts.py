"""What sections are made of: facts, tables, pictures and charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from orchestrator.text import counted

#: Most rows of a chart's table, and of the table of configurations, the first by rank.
MOST_ROWS = 500


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


@dataclass(frozen=True)
class Chart:
    """A chart of a report, before it is drawn.

    Attributes:
        name: Its name in commands and addresses, such as `curves`: letters, digits, `-` and `_`.
        title: One sentence or phrase that says what is shown.
        caption: How to read it: what a mark and a band are. May be empty.
        specification: A Vega-Lite specification, as a dict.
        headings: Those of its data as text, for those who do not see it.
        rows: The cells, already formatted.
    """

    name: str
    title: str
    caption: str
    specification: dict[str, Any]
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def table(self) -> DataTable:
        """Its data, at most `MOST_ROWS` rows."""
        return DataTable.of(self.title, self.headings, self.rows, "row", MOST_ROWS)
