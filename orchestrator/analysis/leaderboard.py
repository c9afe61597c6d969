"""Ranks a sweep's configurations by their final validation accuracy. The same results give the same bytes.

A leaderboard has no times, workers or attempts, which differ from one execution to the next. Means and deviations are
computed exactly and rounded once, so that they depend neither on the order in which results arrive nor on the machine.
"""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from nn.options.describe import columns, with_columns
from nn.options.network import NetworkOptions
from orchestrator.folder.rows import Row
from worker.job import Configuration, Job

#: Means that agree to this many decimals are equal: further decimals show only how the accuracies were rounded.
DECIMALS = 10


class Entry(BaseModel):
    """One job of a configuration: its seed and its result."""

    model_config = ConfigDict(frozen=True)

    seed: int
    status: Literal["succeeded", "diverged", "failed", "cancelled", "missing"]
    #: Validation accuracy after the last epoch; None without a result.
    accuracy: float | None
    weights_sha256: str | None


class _Place(BaseModel):
    rank: int

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return a column of the training options: a field, too."""


if TYPE_CHECKING:
    _Columns = _Place
else:
    _Columns = with_columns(_Place, NetworkOptions)


class Standing(_Columns):
    """One configuration's place on the leaderboard.

    Between `rank` and `seeds` it has the columns of the training options (`nn.options.network`).

    Attributes:
        rank: From 1: the higher mean first, then the higher worst, then the order of the sweep's specification.
        seeds: Number of jobs with a result. Diverged jobs count, with the accuracy that they reached.
        mean: Mean of the final validation accuracy over those seeds; None without a result.
        std: Sample standard deviation (divisor n - 1); None for fewer than two seeds.
        best: Highest final validation accuracy.
        worst: Lowest final validation accuracy.
        best_seed: The first seed that reached `best`.
        best_weights_sha256: SHA-256 of the weights of that job.
        diverged: Jobs whose result is `diverged`.
        failed: Jobs without a result that failed.
        cancelled: Jobs without a result that were cancelled.
    """

    model_config = ConfigDict(frozen=True)

    seeds: int
    mean: float | None
    std: float | None
    best: float | None
    worst: float | None
    best_seed: int | None
    best_weights_sha256: str | None
    diverged: int
    failed: int
    cancelled: int
    jobs: list[Entry]


def leaderboard(jobs: Iterable[Job], rows: Mapping[str, Row]) -> list[Standing]:
    """Rank the configurations of a sweep.

    Args:
        jobs: The sweep's jobs, in its order.
        rows: Their rows, by job key; a job without a row counts as missing.
    """
    groups: dict[Configuration, list[Entry]] = {}
    for job in jobs:
        groups.setdefault(job.configuration, []).append(_entry(job, rows.get(job.key)))
    standings = [_standing(configuration, entries) for configuration, entries in groups.items()]
    standings.sort(key=merit)
    return [standing.model_copy(update={"rank": rank}) for rank, standing in enumerate(standings, 1)]


def _entry(job: Job, row: Row | None) -> Entry:
    if row is None:
        return Entry(seed=job.seed, status="missing", accuracy=None, weights_sha256=None)
    accuracy = row.validation_accuracy[-1] if row.accepted else None
    return Entry(seed=job.seed, status=row.status, accuracy=accuracy, weights_sha256=row.weights_sha256)


def _standing(configuration: Configuration, entries: list[Entry]) -> Standing:
    counted = [(entry.accuracy, entry) for entry in entries if entry.accuracy is not None]
    accuracies = [accuracy for accuracy, _ in counted]
    # max() returns the first of equals: the first in the sweep's order of seeds.
    best = max(counted, key=lambda pair: pair[0])[1] if counted else None
    return Standing(
        rank=0,
        **{name: getattr(configuration, name) for name in columns(NetworkOptions)},
        seeds=len(counted),
        mean=statistics.mean(accuracies) if accuracies else None,
        std=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        best=max(accuracies, default=None),
        worst=min(accuracies, default=None),
        best_seed=None if best is None else best.seed,
        best_weights_sha256=None if best is None else best.weights_sha256,
        diverged=sum(entry.status == "diverged" for entry in entries),
        failed=sum(entry.status == "failed" for entry in entries),
        cancelled=sum(entry.status == "cancelled" for entry in entries),
        jobs=entries,
    )


def merit(standing: Standing) -> tuple[float, float]:
    """Return a sort key: configurations without a result come last. Sorting keeps the order of equals."""
    if standing.mean is None or standing.worst is None:
        return (math.inf, math.inf)
    return (-round(standing.mean, DECIMALS), -standing.worst)


def to_json(standings: Sequence[Standing]) -> str:
    """Return the standings as indented JSON."""
    return json.dumps([standing.model_dump() for standing in standings], indent=2, allow_nan=False) + "\n"


def to_csv(standings: Sequence[Standing]) -> str:
    """Return the standings as CSV, without their jobs; a missing number is an empty field."""
    columns = [name for name in Standing.model_fields if name != "jobs"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(standing.model_dump() for standing in standings)
    return text.getvalue()
