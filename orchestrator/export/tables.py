"""A sweep as two tables: one row for each job that has ended, and one for each of its epochs; written as CSV.

A single table would repeat every option in each epoch and lose the jobs without epochs; a column for each epoch would
depend on the longest job. The column `job` joins them. CSV is in UTF-8, with commas, a line feed after each row, and
numbers with all their digits.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.analysis.sweep import Ended, Sweep
from orchestrator.export.jobs import OnProgress, as_text, counted, plain
from worker.text import csv_cell

#: The epoch of a job's own row: the last one.
LAST = -1


@dataclass(frozen=True)
class Column:
    """A column: its heading, the value of a job after an epoch (from 0), and whether it is an option."""

    heading: str
    value: Callable[[Ended, int], Any]
    is_option: bool = False

    def cell(self, each: Ended, epoch: int) -> Any:
        """Return the cell of a job after an epoch."""
        value = self.value(each, epoch)
        return csv_cell(value, as_text(value) if self.is_option else None)


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> None:
    """Write the jobs and the epochs to two CSV files. The same results give the same bytes.

    Text is untrusted: its control characters are escaped, and what a spreadsheet would take for a formula gets a
    leading apostrophe.
    """
    jobs, epochs = job_columns(sweep), epoch_columns(sweep)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("w", encoding="utf-8", newline="")) for path in paths]
        job_rows, epoch_rows = (csv.writer(file, lineterminator="\n") for file in files)
        job_rows.writerow(csv_cell(column.heading) for column in jobs)
        epoch_rows.writerow(csv_cell(column.heading) for column in epochs)
        for each in counted(sweep, on_progress):
            job_rows.writerow(column.cell(each, LAST) for column in jobs)
            for epoch in range(len(each.row.validation_score)):
                epoch_rows.writerow(column.cell(each, epoch) for column in epochs)


_NAMES = (
    Column("job", lambda each, _: each.key),
    Column("seed", lambda each, _: each.row.seed),
)
_TRAINER = Column("trainer", lambda each, _: each.job.trainer)
_STATUS = (
    Column("status", lambda each, _: each.row.status),
    Column("metric", lambda each, _: each.job.metric.name),
)
_SCORE = Column("score", lambda each, epoch: _at(each.row.validation_score, epoch))
_REST = (
    Column("epochs_trained", lambda each, _: len(each.row.validation_score)),
    Column("seconds", lambda each, _: sum(each.row.epoch_seconds) if each.row.accepted else None),
    Column("attempts", lambda each, _: each.row.attempts),
    Column("worker", lambda each, _: each.row.worker),
    Column("reused_from", lambda each, _: each.row.reused_from),
    Column("weights_sha256", lambda each, _: each.row.weights_sha256),
    Column("mismatches", lambda each, _: len(each.row.mismatches)),
    Column("environment", lambda each, _: each.row.environment),
    Column("code", lambda each, _: each.row.code),
    Column("stopped", lambda each, _: each.row.stopped),
    Column("error", lambda each, _: each.row.error),
)
_OF_JOBS = frozenset(column.heading for column in (*_NAMES, _TRAINER, *_STATUS, _SCORE, *_REST))
_EPOCH = Column("epoch", lambda _, epoch: epoch + 1)
_SECONDS = Column("seconds", lambda each, epoch: each.row.epoch_seconds[epoch])
_OF_EPOCHS = frozenset(column.heading for column in (*_NAMES, _EPOCH, _SCORE, _SECONDS))


def job_columns(sweep: Sweep) -> tuple[Column, ...]:
    """Return the columns of the table with a row for each job: its options, how it ended, and its last metrics.

    An option that is named like another column gets a prefix: `options.status`. So does a further metric that is named
    like a column or an option: `metrics.loss`.
    """
    options = tuple(_option(name) for name in sweep.options)
    others = _others(sweep, _OF_JOBS.union(sweep.options))
    return (*_NAMES, _TRAINER, *options, *_STATUS, _SCORE, *others, *_REST)


def epoch_columns(sweep: Sweep) -> tuple[Column, ...]:
    """Return the columns of the table with a row for each epoch of each job: the metrics after it, its seconds."""
    return (*_NAMES, _EPOCH, _SCORE, *_others(sweep, _OF_EPOCHS), _SECONDS)


def _option(name: str) -> Column:
    def value(each: Ended, _: int) -> Any:
        options = each.job.options
        # The jobs of a sweep may have several models of options.
        return plain(getattr(options, name)) if name in type(options).model_fields else ""

    return Column(f"options.{name}" if name in _OF_JOBS else name, value, is_option=True)


def _others(sweep: Sweep, taken: frozenset[str]) -> list[Column]:
    return [_other(name, f"metrics.{name}" if name in taken else name) for name in sweep.others]


def _other(name: str, heading: str) -> Column:
    return Column(heading, lambda each, epoch: _at(each.row.others.get(name, ()), epoch))


def _at(values: Sequence[float], epoch: int) -> float | None:
    return values[epoch] if values else None
