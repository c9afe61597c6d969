"""Ranks a sweep's configurations by their final validation accuracy, to the same bytes for the same results.

Nothing that differs between two runs of one sweep gets in here: no time, no worker, no attempts. Accuracies stand as
they do in `results.jsonl`; means and deviations are computed exactly, then rounded once, so that neither the order in
which results arrive nor the machine can show.
"""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from orchestrator.folder.rows import Row
from worker.job import Configuration, Job

#: Means that are equal to so many decimals are equal: beyond, they differ by how accuracies are rounded.
DECIMALS = 10


class Entry(BaseModel):
    """One job of a configuration: its seed and what came of it."""

    model_config = ConfigDict(frozen=True)

    seed: int
    status: Literal["succeeded", "diverged", "failed", "cancelled", "missing"]
    #: The validation accuracy after the last epoch; None without a result.
    accuracy: float | None
    weights_sha256: str | None


class Standing(BaseModel):
    """One configuration's place on the leaderboard.

    Attributes:
        rank: From 1. Higher mean first; then the higher worst; then the order of the sweep's specification.
        seeds: Jobs with a result, diverged ones among them: they count with the accuracy they really have.
        mean: Of the final validation accuracy over those seeds; None if there is none.
        std: The sample standard deviation (divisor n - 1); None below two seeds.
        best: The highest final validation accuracy.
        worst: The lowest.
        diverged: Jobs whose result is `diverged`.
        failed: Jobs without a result that failed.
        cancelled: Jobs without a result that were cancelled.
    """

    model_config = ConfigDict(frozen=True)

    rank: int
    learning_rate: float
    epochs: int
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
        rows: What came of them, by job key; a job without a row counts as missing.
    """
    groups: dict[Configuration, list[Entry]] = {}
    for job in jobs:
        configuration = Configuration.model_validate(job.model_dump(exclude={"seed"}))
        groups.setdefault(configuration, []).append(_entry(job, rows.get(job.key)))
    standings = [_standing(configuration, entries) for configuration, entries in groups.items()]
    standings.sort(key=_merit)
    return [standing.model_copy(update={"rank": rank}) for rank, standing in enumerate(standings, 1)]


def _entry(job: Job, row: Row | None) -> Entry:
    if row is None:
        return Entry(seed=job.seed, status="missing", accuracy=None, weights_sha256=None)
    accuracy = row.validation_accuracy[-1] if row.accepted else None
    return Entry(seed=job.seed, status=row.status, accuracy=accuracy, weights_sha256=row.weights_sha256)


def _standing(configuration: Configuration, entries: list[Entry]) -> Standing:
    counted = [(entry.accuracy, entry) for entry in entries if entry.accuracy is not None]
    accuracies = [accuracy for accuracy, _ in counted]
    # max() keeps the first of equals: the lowest place in the sweep's order of seeds.
    best = max(counted, key=lambda pair: pair[0])[1] if counted else None
    return Standing(
        rank=0,
        learning_rate=configuration.learning_rate,
        epochs=configuration.epochs,
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


def _merit(standing: Standing) -> tuple[float, float]:
    """Sort key; configurations without a result come last, and sorting keeps the order of equals."""
    if standing.mean is None or standing.worst is None:
        return (math.inf, math.inf)
    return (-round(standing.mean, DECIMALS), -standing.worst)


def to_json(standings: Sequence[Standing]) -> str:
    """Return the rows by rank as indented JSON."""
    return json.dumps([standing.model_dump() for standing in standings], indent=2, allow_nan=False) + "\n"


def to_csv(standings: Sequence[Standing]) -> str:
    """Return the rows by rank as CSV, without their single jobs; an absent number is an empty field."""
    columns = [name for name in Standing.model_fields if name != "jobs"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(standing.model_dump() for standing in standings)
    return text.getvalue()
