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
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from nn.datasets.idx import N_CLASSES
from nn.datasets.mnist import MNIST_DIGEST, MNIST_FEATURES
from nn.options.describe import heading, option, shown, written
from nn.options.network import SHAPE, NetworkOptions
from orchestrator.folder.rows import Row
from orchestrator.sweeps.names import JobNames
from worker.job import Configuration, Job

_FIELDS = NetworkOptions.model_fields
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


class Standing(BaseModel):
    """One configuration's place on the leaderboard.

    Attributes:
        rank: From 1: the higher mean first, then the higher worst, then the order of the sweep's specification.
        options: The options that vary in the sweep.
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
        network: The widths of the layers; None if they vary, or if the data set is not MNIST.
        options: The training options that do not vary.
        data: The data set: MNIST, or the source, as in `SweepSpecification`.
        dataset: The data set's digest.
    """

    model_config = ConfigDict(frozen=True)

    network: tuple[int, ...] | None
    options: dict[str, Any]
    data: str
    dataset: str

    def __str__(self) -> str:
        in_network = frozenset() if self.network is None else SHAPE
        told = [name for name in self.options if name not in in_network and self._is_worth_telling(name)]
        rest = self.options.keys() - in_network - set(told)
        parts = [] if self.network is None else [f"network {'-'.join(map(str, self.network))}"]
        parts += [f"{heading(NetworkOptions, name)} {shown(_FIELDS[name], self.options[name])}" for name in told]
        parts.append(f"data set {self.data} ({self.dataset[:12]})")
        return ", ".join(parts) + ("; other options at their defaults" if rest else "")

    def _is_worth_telling(self, name: str) -> bool:
        info = _FIELDS[name]
        return option(info).always or info.is_required() or self.options[name] != info.default


@dataclass(frozen=True)
class Leaderboard:
    """A sweep's configurations by rank.

    Attributes:
        names: What varies, and how it is shown.
        common: What does not vary.
        standings: The configurations.
    """

    names: JobNames
    common: Common
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
    groups: dict[Configuration, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.configuration, []).append(job)
    standings = sorted((standing(group, rows, names) for group in groups.values()), key=merit)
    ranked = (each.model_copy(update={"rank": rank}) for rank, each in enumerate(standings, 1))
    return Leaderboard(names, _common(jobs, names, data), tuple(ranked))


def _common(jobs: Iterable[Job], names: JobNames, data: str) -> Common:
    job = next(iter(jobs))
    is_known = job.dataset == MNIST_DIGEST and not SHAPE & names.varying.keys()
    network = job.layers(MNIST_FEATURES, N_CLASSES) if is_known else None
    named = "MNIST" if job.dataset == MNIST_DIGEST else data
    return Common(network=network, options=dict(names.common), data=named, dataset=job.dataset)


def standing(jobs: Collection[Job], rows: Mapping[str, Row], names: JobNames) -> Standing:
    """Return the standing of one configuration, without its rank (0).

    Args:
        jobs: The configuration's jobs, in the sweep's order.
        rows: The sweep's rows, by job key.
        names: Tells what varies in the sweep.
    """
    entries = [_entry(job, rows.get(job.key)) for job in jobs]
    counted = [(entry.accuracy, entry) for entry in entries if entry.accuracy is not None]
    accuracies = [accuracy for accuracy, _ in counted]
    # max() returns the first of equals: the first in the sweep's order of seeds.
    best = max(counted, key=lambda pair: pair[0])[1] if counted else None
    first = next(iter(jobs))
    return Standing(
        rank=0,
        options={name: getattr(first, name) for name in names.varying},
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


def _entry(job: Job, row: Row | None) -> Entry:
    if row is None:
        return Entry(seed=job.seed, status="missing", accuracy=None, weights_sha256=None)
    accuracy = row.validation_accuracy[-1] if row.accepted else None
    return Entry(seed=job.seed, status=row.status, accuracy=accuracy, weights_sha256=row.weights_sha256)


def merit(standing: Standing) -> tuple[float, float]:
    """Return a sort key: configurations without a result come last. Sorting keeps the order of equals."""
    if standing.mean is None or standing.worst is None:
        return (math.inf, math.inf)
    return (-round(standing.mean, DECIMALS), -standing.worst)
