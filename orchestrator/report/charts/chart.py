"""What a chart is, before it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.report.contents.parts import DataTable

#: Most rows of a table.
MOST_ROWS = 500


@dataclass(frozen=True)
class Chart:
    """A chart of a report.

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
        return DataTable(self.title, self.headings, self.rows[:MOST_ROWS])
