"""A sweep as two tables: one row for each job that has ended, and one for each of its epochs.

Two, because one would repeat every option in each epoch and lose the jobs without epochs, and a column for each epoch
would depend on the longest job. The column `job` joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.analysis.sweep import Ended, Sweep
from orchestrator.export.jobs import options_of

#: What a column holds, besides None. `option` is any value that `orchestrator.export.jobs.plain` returns.
Kind = Literal["text", "int", "float", "option"]
#: The cell of an option that a job does not have: the jobs of a sweep may have several models of options.
ABSENT = object()


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and what it holds."""

    heading: str
    kind: Kind


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: Its columns.
        rows_of: Returns the rows of a job, each with a cell for each column.
    """

    columns: tuple[Column, ...]
    rows_of: Callable[[Ended], Sequence[Sequence[Any]]]

    @property
    def headings(self) -> tuple[str, ...]:
        """The headings of the columns."""
        return tuple(column.heading for column in self.columns)


_NAMES = (Column("job", "text"), Column("seed", "int"), Column("trainer", "text"))
_RESULT = (Column("status", "text"), Column("metric", "text"), Column("score", "float"))
_REST = (
    Column("epochs_trained", "int"),
    Column("seconds", "float"),
    Column("attempts", "int"),
    Column("worker", "text"),
    Column("reused_from", "text"),
    Column("weights_sha256", "text"),
    Column("mismatches", "int"),
    Column("environment", "text"),
    Column("error", "text"),
)
_FIXED = frozenset(column.heading for column in (*_NAMES, *_RESULT, *_REST))


def jobs_table(sweep: Sweep) -> Table:
    """Return the table with a row for each job: its options, how it ended, and its last metrics.

    An option that is named like another column gets a prefix: `options.status`. So does a further metric that is named
    like a column or an option: `metrics.loss`.
    """
    options = tuple(Column(f"options.{name}" if name in _FIXED else name, "option") for name in sweep.options)
    others = _others(sweep, _FIXED.union(sweep.options))

    def row(each: Ended) -> tuple[Any, ...]:
        values, row = options_of(each.job), each.row
        return (
            *(each.key, row.seed, each.job.trainer),
            *(values.get(name, ABSENT) for name in sweep.options),
            *(row.status, each.job.metric.name, _last(row.validation_score)),
            *(_last(row.others.get(name, ())) for name in sweep.others),
            *(len(row.validation_score), sum(row.epoch_seconds) if row.accepted else None, row.attempts),
            *(row.worker, row.reused_from, row.weights_sha256, len(row.mismatches), row.environment, row.error),
        )

    return Table((*_NAMES, *options, *_RESULT, *others, *_REST), lambda each: (row(each),))


def epochs_table(sweep: Sweep) -> Table:
    """Return the table with a row for each epoch of each job, from 1 on: the metrics after it, and its seconds."""
    fixed = (Column("job", "text"), Column("seed", "int"), Column("epoch", "int"), Column("score", "float"))
    taken = frozenset(column.heading for column in fixed) | {"seconds"}

    def rows(each: Ended) -> list[tuple[Any, ...]]:
        row = each.row
        return [
            (
                *(each.key, row.seed, i + 1, score),
                *(row.others[name][i] if name in row.others else None for name in sweep.others),
                row.epoch_seconds[i],
            )
            for i, score in enumerate(row.validation_score)
        ]

    return Table((*fixed, *_others(sweep, taken), Column("seconds", "float")), rows)


def in_batches(sweep: Sweep, table: Table, size: int) -> Iterator[list[Sequence[Any]]]:
    """Yield the rows of a table in batches of the jobs: those of `size` jobs at a time."""
    for first in range(0, len(sweep.ended), size):
        yield [row for each in sweep.ended[first : first + size] for row in table.rows_of(each)]


def _others(sweep: Sweep, taken: frozenset[str]) -> tuple[Column, ...]:
    return tuple(Column(f"metrics.{name}" if name in taken else name, "float") for name in sweep.others)


def _last(values: Sequence[float]) -> float | None:
    return values[-1] if values else None
