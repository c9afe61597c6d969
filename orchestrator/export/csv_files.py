"""Writes the tables of a sweep as CSV: UTF-8, commas, a line feed after each row, numbers with all their digits."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.analysis.sweep import Sweep
from orchestrator.export import tables
from orchestrator.export.jobs import OnProgress, as_text
from orchestrator.export.tables import ABSENT, Column, Table
from worker.text import csv_cell


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> None:
    """Write the jobs and the epochs to two files. The same results give the same bytes.

    Text is untrusted: its control characters are escaped, and what a spreadsheet would take for a formula gets a
    leading apostrophe.
    """
    tables.write(_opened, sweep, paths, on_progress)


@contextlib.contextmanager
def _opened(_: Sweep, table: Table, path: Path) -> Iterator[Callable[[list[list[Any]]], None]]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.headings)
        yield lambda rows: writer.writerows(map(cell, table.columns, row) for row in rows)


def cell(column: Column, value: Any) -> Any:
    """Return a value as the file has it."""
    if value is ABSENT:
        return ""
    return csv_cell(value, as_text(value) if column.kind == "option" else None)
