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

#: Spreadsheets take a text that begins so for a formula.
_FORMULA = ("=", "+", "-", "@")


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
    if column.kind == "option" and not isinstance(value, str):
        return _safe(as_text(value)) if _has_text(value) else as_text(value)
    return _safe(value) if isinstance(value, str) else value


def _has_text(value: Any) -> bool:
    """Return whether a value is or contains text, which is untrusted."""
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and any(map(_has_text, value)))


def _safe(text: str) -> str:
    shown = one_line(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
