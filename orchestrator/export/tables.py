"""A sweep as two tables: one row for each job that has ended, and one for each of its epochs; written as CSV.

A single table would repeat every option in each epoch and lose the jobs without epochs; a column for each epoch would
depend on the longest job. The column `job` joins them. CSV is in UTF-8, with commas, a line feed after each row, and
numbers with all their digits; `parquet_files` writes the same tables as Parquet.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.analysis.sweep import Ended, Sweep
from orchestrator.export.jobs import OnProgress, as_text, plain
from worker.text import csv_cell

#: What a column holds, besides None. `option` is any value that `orchestrator.export.jobs.plain` returns.
Kind = Literal["text", "int", "float", "option"]
#: The cell of an option that a job does not have: the jobs of a sweep may have several models of options.
ABSENT = object()
#: The epoch of a job's own row: the last one.
LAST = -1
#: Jobs whose rows are in memory at a time.
BATCH = 1000


@dataclass(frozen=True)
class Column:
    """A column: its heading, what it holds, and the cell of a job after an epoch, which is counted from 0."""

    heading: str
    kind: Kind
    cell: Callable[[Ended, int], Any]


@dataclass(frozen=True)
class Table:
    """A table: its columns, and the epochs of a job that have a row."""

    columns: tuple[Column, ...]
    epochs: Callable[[Ended], Iterable[int]]

    @property
    def headings(self) -> tuple[str, ...]:
        """The headings of the columns."""
        return tuple(column.heading for column in self.columns)

    def rows_of(self, each: Ended) -> list[list[Any]]:
        """Return the rows of a job, each with a cell for each column."""
        return [[column.cell(each, epoch) for column in self.columns] for epoch in self.epochs(each)]


#: Opens a file for a table of a sweep; the block calls what it gets with rows to write.
Opened = contextlib.AbstractContextManager[Callable[[list[list[Any]]], object]]


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> None:
    """Write the jobs and the epochs to two CSV files. The same results give the same bytes.

    Text is untrusted: its control characters are escaped, and what a spreadsheet would take for a formula gets a
    leading apostrophe.
    """
    write_as(_opened, sweep, paths, on_progress)


@contextlib.contextmanager
def _opened(_: Sweep, table: Table, path: Path) -> Iterator[Callable[[list[list[Any]]], None]]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.headings)
        yield lambda rows: writer.writerows(map(_cell, table.columns, row) for row in rows)


def _cell(column: Column, value: Any) -> Any:
    if value is ABSENT:
        return ""
    return csv_cell(value, as_text(value) if column.kind == "option" else None)


def write_as(
    opened: Callable[[Sweep, Table, Path], Opened], sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress
) -> None:
    """Write the table of jobs to the first path, and that of epochs to the second one."""
    tables = (jobs_table(sweep), epochs_table(sweep))
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(opened(sweep, table, path)) for table, path in zip(tables, paths, strict=True)]
        for first in range(0, len(sweep.ended), BATCH):
            batch = sweep.ended[first : first + BATCH]
            for table, add in zip(tables, files, strict=True):
                add([row for each in batch for row in table.rows_of(each)])
            on_progress(first + len(batch), len(sweep.ended))


_NAMES = (
    Column("job", "text", lambda each, _: each.key),
    Column("seed", "int", lambda each, _: each.row.seed),
)
_TRAINER = Column("trainer", "text", lambda each, _: each.job.trainer)
_STATUS = (
    Column("status", "text", lambda each, _: each.row.status),
    Column("metric", "text", lambda each, _: each.job.metric.name),
)
_SCORE = Column("score", "float", lambda each, epoch: _at(each.row.validation_score, epoch))
_REST = (
    Column("epochs_trained", "int", lambda each, _: len(each.row.validation_score)),
    Column("seconds", "float", lambda each, _: sum(each.row.epoch_seconds) if each.row.accepted else None),
    Column("attempts", "int", lambda each, _: each.row.attempts),
    Column("worker", "text", lambda each, _: each.row.worker),
    Column("reused_from", "text", lambda each, _: each.row.reused_from),
    Column("weights_sha256", "text", lambda each, _: each.row.weights_sha256),
    Column("mismatches", "int", lambda each, _: len(each.row.mismatches)),
    Column("environment", "text", lambda each, _: each.row.environment),
    Column("code", "text", lambda each, _: each.row.code),
    Column("stopped", "text", lambda each, _: each.row.stopped),
    Column("error", "text", lambda each, _: each.row.error),
)
_OF_JOBS = frozenset(column.heading for column in (*_NAMES, _TRAINER, *_STATUS, _SCORE, *_REST))
_EPOCH = Column("epoch", "int", lambda _, epoch: epoch + 1)
_SECONDS = Column("seconds", "float", lambda each, epoch: each.row.epoch_seconds[epoch])
_OF_EPOCHS = frozenset(column.heading for column in (*_NAMES, _EPOCH, _SCORE, _SECONDS))


def jobs_table(sweep: Sweep) -> Table:
    """Return the table with a row for each job: its options, how it ended, and its last metrics.

    An option that is named like another column gets a prefix: `options.status`. So does a further metric that is named
    like a column or an option: `metrics.loss`.
    """
    options = tuple(_option(name) for name in sweep.options)
    others = _others(sweep, _OF_JOBS.union(sweep.options))
    return Table((*_NAMES, _TRAINER, *options, *_STATUS, _SCORE, *others, *_REST), lambda _: (LAST,))


def epochs_table(sweep: Sweep) -> Table:
    """Return the table with a row for each epoch of each job: the metrics after it, and its seconds."""
    columns = (*_NAMES, _EPOCH, _SCORE, *_others(sweep, _OF_EPOCHS), _SECONDS)
    return Table(columns, lambda each: range(len(each.row.validation_score)))


def _option(name: str) -> Column:
    def cell(each: Ended, _: int) -> Any:
        options = each.job.options
        return plain(getattr(options, name)) if name in type(options).model_fields else ABSENT

    return Column(f"options.{name}" if name in _OF_JOBS else name, "option", cell)


def _others(sweep: Sweep, taken: frozenset[str]) -> list[Column]:
    return [_other(name, f"metrics.{name}" if name in taken else name) for name in sweep.others]


def _other(name: str, heading: str) -> Column:
    return Column(heading, "float", lambda each, epoch: _at(each.row.others.get(name, ()), epoch))


def _at(values: Sequence[float], epoch: int) -> float | None:
    return values[epoch] if values else None
