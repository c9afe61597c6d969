"""Ranks a sweep's configurations by the trainer's metric after the last epoch. The same results give the same bytes.

A leaderboard has no times, workers or attempts, which differ from one execution to the next. Means and deviations are
computed exactly and rounded once, so that they depend neither on the order in which results arrive nor on the machine.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from nn.options.describe import heading, option, shown, written
from orchestrator.folder.rows import Row
from orchestrator.sweeps.names import JobNames
from worker.job import Configuration, Job
from worker.trainers.protocol import Metric
from worker.trainers.registry import DEFAULT

#: Means that agree to this many decimals are equal: further decimals show only how the metrics were rounded.
DECIMALS = 10


class Entry(BaseModel):
    """One job of a configuration: its seed and its result."""

    model_config = ConfigDict(frozen=True)

    seed: int
    status: Literal["succeeded", "diverged", "failed", "cancelled", "missing"]
    #: The trainer's metric after the last epoch; None without a result.
    score: float | None
    weights_sha256: str | None


class Standing(BaseModel):
    """One configuration's place on the leaderboard.

    Attributes:
        rank: From 1: the better mean first, then the better worst, then the order of the sweep's specification.
        options: The options that vary in the sweep.
        seeds: Number of jobs with a result. Diverged jobs count, with the metric that they reached.
        mean: Mean of the metric after the last epoch over those seeds; None without a result.
        std: Sample standard deviation (divisor n - 1); None for fewer than two seeds.
        best: The best metric after the last epoch: the highest, unless lower is better.
        worst: The worst one.
        best_seed: The first seed that reached `best`.
        best_weights_sha256: SHA-256 of the weights of that job.
        diverged: Jobs whose result is `diverged`.
        failed: Jobs without a result that failed.
        cancelled: Jobs without a result that were cancelled.
    """

    model_config = ConfigDict(frozen=True)

    rank: int
    options: dict[str, Any]
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


class Common(BaseModel):
    """What all configurations of a sweep have in common.

    Attributes:
        trainer: The trainer's name.
        version: The version of its jobs; None if they have several.
        metric: The name of what was measured.
        model: The trainer's name of the models, such as `network 784-128-64-10`; empty if it has none.
        options: The options that do not vary.
        data: The data set, as the trainer names it.
        dataset: The data set's digest.
    """

    model_config = ConfigDict(frozen=True)

    trainer: str
    version: int | None
    metric: str
    model: str
    options: dict[str, Any]
    data: str
    dataset: str


def common_text(common: Common, model: type[BaseModel], told_by_model: Collection[str]) -> str:
    """Return what all configurations have in common, as one line.

    Args:
        common: What they have in common.
        model: The model of the options.
        told_by_model: The options that the name of the models tells.
    """

    def is_worth_telling(name: str) -> bool:
        info = model.model_fields[name]
        return option(info).always or info.is_required() or common.options[name] != info.default

    names = [name for name in common.options if name not in told_by_model]
    told = [name for name in names if is_worth_telling(name)]
    parts = [] if common.trainer == DEFAULT else [f"trainer {common.trainer}"]
    parts += [common.model] if common.model else []
    parts += [f"{heading(model, name)} {shown(model.model_fields[name], common.options[name])}" for name in told]
    parts.append(f"data set {common.data} ({common.dataset[:12]})")
    return ", ".join(parts) + ("; other options at their defaults" if len(told) < len(names) else "")


@dataclass(frozen=True)
class Leaderboard:
    """A sweep's configurations by rank.

    Attributes:
        names: What varies, and how it is shown.
        common: What does not vary, and the line that says so.
        in_common: See `common`.
        metric: What was measured.
        standings: The configurations.
    """

    names: JobNames
    common: Common
    in_common: str
    metric: Metric
    standings: tuple[Standing, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return what `leaderboard.json` has."""
        return {
            "common": self.common.model_dump(),
            "leaderboard": [standing.model_dump() for standing in self.standings],
        }

    def to_json(self) -> str:
        """Return the content of `leaderboard.json`."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Return the content of `leaderboard.csv`: no jobs, and an empty field for a missing number."""
        first, *rest = (name for name in Standing.model_fields if name not in ("options", "jobs"))
        text = io.StringIO()
        writer = csv.DictWriter(text, [first, *self.names.varying, *rest], extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for standing in self.standings:
            options = {name: written(value) for name, value in standing.options.items()}
            writer.writerow(options | standing.model_dump())
        return text.getvalue()


def leaderboard(jobs: Collection[Job], rows: Mapping[str, Row], data: str, axes: Collection[str] = ()) -> Leaderboard:
    """Rank the configurations of a sweep.

    Args:
        jobs: The sweep's jobs, in its order; at least one.
        rows: Their rows, by job key; a job without a row counts as missing.
        data: The source of the data set.
        axes: Options that vary in the sweep, even where these jobs all have one value.
    """
    names = JobNames(jobs, axes)
    metric = next(iter(jobs)).metric
    groups: dict[Configuration, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.configuration, []).append(job)
    standings = sorted(
        (standing(group, rows, names, metric) for group in groups.values()), key=functools.partial(merit, metric)
    )
    ranked = (each.model_copy(update={"rank": rank}) for rank, each in enumerate(standings, 1))
    job = next(iter(jobs))
    versions = {each.version for each in jobs}
    model, told = job.trained_by.model_name(names.common, job.dataset)
    common = Common(
        trainer=job.trainer,
        version=job.version if len(versions) == 1 else None,
        metric=metric.name,
        model=model,
        options=dict(names.common),
        data=job.trained_by.data_name(data, job.dataset),
        dataset=job.dataset,
    )
    return Leaderboard(names, common, common_text(common, names.model, told), metric, tuple(ranked))


def standing(jobs: Collection[Job], rows: Mapping[str, Row], names: JobNames, metric: Metric) -> Standing:
    """Return the standing of one configuration, without its rank (0).

    Args:
        jobs: The configuration's jobs, in the sweep's order.
        rows: The sweep's rows, by job key.
        names: Tells what varies in the sweep.
        metric: What was measured.
    """
    entries = [_entry(job, rows.get(job.key)) for job in jobs]
    counted = [(entry.score, entry) for entry in entries if entry.score is not None]
    scores = [score for score, _ in counted]
    best_of, worst_of = (max, min) if metric.higher_is_better else (min, max)
    # max() and min() return the first of equals: the first in the sweep's order of seeds.
    best = best_of(counted, key=lambda pair: pair[0])[1] if counted else None
    first = next(iter(jobs))
    return Standing(
        rank=0,
        options={name: getattr(first.options, name) for name in names.varying},
        seeds=len(counted),
        mean=statistics.mean(scores) if scores else None,
        std=statistics.stdev(scores) if len(scores) > 1 else None,
        best=best_of(scores, default=None),
        worst=worst_of(scores, default=None),
        best_seed=None if best is None else best.seed,
        best_weights_sha256=None if best is None else best.weights_sha256,
        diverged=sum(entry.status == "diverged" for entry in entries),
        failed=sum(entry.status == "failed" for entry in entries),
        cancelled=sum(entry.status == "cancelled" for entry in entries),
        jobs=entries,
    )


def _entry(job: Job, row: Row | None) -> Entry:
    if row is None:
        return Entry(seed=job.seed, status="missing", score=None, weights_sha256=None)
    score = row.validation_score[-1] if row.accepted else None
    return Entry(seed=job.seed, status=row.status, score=score, weights_sha256=row.weights_sha256)


def merit(metric: Metric, standing: Standing) -> tuple[float, float]:
    """Return a sort key: configurations without a result come last. Sorting keeps the order of equals."""
    if standing.mean is None or standing.worst is None:
        return (math.inf, math.inf)
    sign = -1 if metric.higher_is_better else 1
    return (sign * round(standing.mean, DECIMALS), sign * standing.worst)
