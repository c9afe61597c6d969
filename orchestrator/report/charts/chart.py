"""What a chart is, before it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

#: Most rows of a table.
MOST_ROWS = 500


@dataclass(frozen=True)
class Table:
    """The data of a chart as text, for those who do not see it.

    Attributes:
        headings: One for each column.
        rows: The cells, already formatted.
        total: The number of rows in the data; `rows` may have fewer.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: int

    @classmethod
    def of(cls, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Self:
        """Return a table with the first `MOST_ROWS` rows."""
        return cls(headings, rows[:MOST_ROWS], len(rows))


@dataclass(frozen=True)
class Chart:
    """A chart of a report.

    Attributes:
        name: Its name in commands and addresses, such as `curves`: letters, digits, `-` and `_`.
        title: One sentence or phrase that says what is shown.
        caption: How to read it: what a mark and a band are. May be empty.
        specification: A Vega-Lite specification, as a dict.
        table: Its data.
    """

    name: str
    title: str
    caption: str
    specification: dict[str, Any]
    table: Table
