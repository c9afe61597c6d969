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
from worker.text import one_line

#: Spreadsheets compute a text that begins so.
_FORMULA = ("=", "+", "-", "@")


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> None:
    """Write the jobs and the epochs to two files. The same results give the same bytes.

    A spreadsheet or a terminal must not run what a stranger wrote: control characters of texts are escaped, and a text
    that would be a formula gets an apostrophe before it.
    """
    tables.write(_opened, sweep, paths, on_progress)


@contextlib.contextmanager
def _opened(_: Sweep, table: Table, path: Path) -> Iterator[Callable[[list[list[Any]]], None]]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.headings)
        yield lambda rows: writer.writerows(map(cell, table.columns, row) for row in rows)


def cell(column: Column, value: Any) -> Any:
    """Return what a table writes for a value."""
    if value is ABSENT:
        return ""
    if column.kind == "option" and not isinstance(value, str):
        return _safe(as_text(value)) if _has_text(value) else as_text(value)
    return _safe(value) if isinstance(value, str) else value


def _has_text(value: Any) -> bool:
    """Return whether a list has a text in it, which a stranger may have written."""
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and any(map(_has_text, value)))


def _safe(text: str) -> str:
    shown = one_line(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
