"""The scores of a sweep: how a job is scored, the scores of each configuration, and the ranking.

Configurations in which at least as many jobs trained as diverged rank first, then the others, then those without a
result. Within a group, the better mean ranks first; in this mean, a diverged job counts as the worst score of the whole
sweep. Ties go to the better worst score, then to the order of the sweep's specification. Nothing here imports SciPy, so
progress can afford it.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from nn.options.network import MAX_EPOCHS
from orchestrator.folder.rows import Row
from worker.job import Configuration, Job
from worker.records.answers import unpack
from worker.trainers.protocol import MAX_SCORE, Metric

ALLOWED = f"last, best, or mean-K with K from 1 to {MAX_EPOCHS} epochs"
_MEAN = re.compile(r"mean-([1-9]\d{0,5})", re.ASCII)
#: Means that agree to this many significant digits are equal: further digits show only how the metrics were rounded.
DIGITS = 12


@dataclass(frozen=True)
class Scoring:
    """How the metrics of a job become its score.

    Attributes:
        kind: `last` takes the metric after the last epoch, `best` the best of all epochs, `mean` a mean.
        epochs: The number of last epochs that `mean` averages.
        metric: The name of the metric, if it is another one than the trainer's own.
    """

    kind: Literal["last", "best", "mean"] = "last"
    epochs: int = 1
    metric: str | None = None

    @classmethod
    def parse(cls, text: str) -> Scoring:
        """Read `last`, `best` or `mean-K`, the name of any metric, or both: `loss:best`."""
        named, _, kind = text.rpartition(":")
        metric, match = named or None, _MEAN.fullmatch(kind)
        if match and int(match[1]) <= MAX_EPOCHS:
            return cls("mean", int(match[1]), metric)
        if kind == "last":
            return cls("last", metric=metric)
        if kind == "best":
            return cls("best", metric=metric)
        return cls(metric=text)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        kind = f"mean-{self.epochs}" if self.kind == "mean" else self.kind
        return kind if self.metric is None else f"{self.metric}:{kind}"

    @property
    def phrase(self) -> str:
        """Which epochs count, as tables and sentences say it."""
        if self.kind == "mean" and self.epochs > 1:
            return f"averaged over the last {self.epochs} epochs"
        return "after its best epoch" if self.kind == "best" else "after the last epoch"

    def values(self, row: Row) -> Sequence[float]:
        """Return the metric of a job after each epoch."""
        return row.validation_score if self.metric is None else row.others[self.metric]

    def score(self, values: Sequence[float], metric: Metric) -> float:
        """Return the score of a job.

        Args:
            values: The metric after each epoch, at least one. If they are fewer than `epochs`, all are averaged.
            metric: Says whether higher is better.
        """
        if self.kind == "best":
            return max(values) if metric.higher_is_better else min(values)
        return values[-1] if self.epochs == 1 else statistics.fmean(values[-self.epochs :])


LAST = Scoring()
#: What to say in the place of an interval on new samples.
OWN_SPLITS = (
    "each seed draws its own split into training and validation samples: the interval is over both, and there is no "
    "separate one on new samples"
)


class Entry(BaseModel, frozen=True):
    """One job of a configuration: its key, its seed and its result."""

    key: str = Field(default="", exclude=True)
    seed: int
    status: Literal["succeeded", "diverged", "failed", "cancelled", "missing"]
    #: By the leaderboard's scoring; None without a result.
    score: float | None
    weights_sha256: str | None
    #: Its epochs, if it succeeded with fewer than its options say; else 0.
    stopped: int = Field(default=0, exclude=True)
    #: Its place among the jobs of the sweep.
    place: int = Field(default=0, exclude=True)

    @classmethod
    def of(cls, place: int, key: str, job: Job, row: Row | None, metric: Metric, scoring: Scoring) -> Entry:
        """Return the entry of a job, which has this place and key; a job without a row is missing."""
        # Not validated again: for 100,000 jobs, that would take as long as everything else.
        score = scoring.score(scoring.values(row), metric) if row is not None and row.accepted else None
        # Its square would be 0.
        score = 0.0 if score is not None and abs(score) < 1 / MAX_SCORE else score
        return cls.model_construct(
            key=key, seed=job.seed, status="missing" if row is None else row.status, score=score,
            weights_sha256=None if row is None else row.weights_sha256, place=place,
            stopped=0 if row is None or row.stopped is None else len(row.validation_score),
        )  # fmt: skip


@dataclass(frozen=True)
class Scored:
    """One configuration's jobs.

    Attributes:
        options: The values of all options.
        entries: The jobs, in the sweep's order.
        higher_is_better: Whether the metric is better when it is higher.
        draws_split: Whether each seed has a split of its own into training and validation samples.
    """

    options: BaseModel
    entries: tuple[Entry, ...]
    higher_is_better: bool = True
    draws_split: bool = False

    @functools.cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys of the jobs, in the sweep's order."""
        return tuple(each.key for each in self.entries)

    @functools.cached_property
    def trained(self) -> Mapping[int, float]:
        """The score of each seed whose job trained to its end, in the sweep's order. Diverged jobs are not among them.

        A diverged job has a score of another kind: the mean of both kinds would describe neither, and an interval
        around it covers 41 % instead of 95 %.
        """
        return {each.seed: each.score for each in self.entries if each.status == "succeeded" and each.score is not None}

    @functools.cached_property
    def oriented(self) -> Mapping[int, float]:
        """`trained`, signed so that higher is better."""
        return self.trained if self.higher_is_better else {seed: -score for seed, score in self.trained.items()}

    @functools.cached_property
    def in_order(self) -> Mapping[int, float]:
        """`oriented`, up to the first job that is missing or cancelled, in the sweep's order."""
        ended = itertools.takewhile(lambda each: each.status not in ("missing", "cancelled"), self.entries)
        return {each.seed: self.oriented[each.seed] for each in ended if each.seed in self.oriented}

    @functools.cached_property
    def places(self) -> Mapping[int, int]:
        """The places among the sweep's jobs, by seed, of the jobs that have a score, are missing or cancelled."""
        scored = self.oriented
        return {e.seed: e.place for e in self.entries if e.seed in scored or e.status in ("missing", "cancelled")}

    @functools.cached_property
    def mean(self) -> float | None:
        """The mean of the jobs that trained, computed exactly and rounded once; None if none did."""
        return statistics.mean(self.trained.values()) if self.trained else None

    @functools.cached_property
    def worst(self) -> float | None:
        """The worst score of the jobs that trained; None if none did."""
        return (min if self.higher_is_better else max)(self.trained.values(), default=None)

    @functools.cached_property
    def diverged(self) -> int:
        """The number of jobs that diverged."""
        return self.count("diverged")

    @property
    def is_candidate(self) -> bool:
        """Whether it can be recommended: a job trained, and not fewer trained than diverged."""
        return len(self.trained) >= max(self.diverged, 1)

    def merit(self, worst: float | None) -> tuple[int, float, float]:
        """Return a sort key: the lowest ranks first. Sorting keeps the order of equals.

        Args:
            worst: The worst score of the sweep; a diverged job gets it.
        """
        mean, n, diverged = self.mean, len(self.trained), self.diverged
        if mean is None or self.worst is None or worst is None:
            return (2, float(diverged == 0), math.inf)
        sign = -1.0 if self.higher_is_better else 1.0
        value = mean if not diverged else (mean * n + worst * diverged) / (n + diverged)
        return (0 if self.is_candidate else 1, float(f"{sign * value:.{DIGITS}g}"), sign * self.worst)

    def count(self, status: str) -> int:
        """Return the number of jobs with a status."""
        return sum(each.status == status for each in self.entries)

    @functools.cached_property
    def best(self) -> Entry | None:
        """The job with the best score of those that trained; the first of a tie."""
        trained = (each for each in self.entries if each.seed in self.oriented)
        return max(trained, key=lambda each: self.oriented[each.seed], default=None)

    def answers(self, rows: Mapping[str, Row]) -> Mapping[int, NDArray[np.bool_]] | None:
        """Return which validation samples each seed that trained answered correctly, shape (n_validation,).

        A foreign folder may contain any answers: those that contradict the job's metric count as missing.

        Args:
            rows: Rows by key.

        Returns:
            The answers by seed; None if a job has none, or another number of them, or if each seed was validated on
            other samples.
        """
        if self.draws_split:
            return None
        trained = {each.seed: rows[each.key] for each in self.entries if each.status == "succeeded"}
        counts = {None if bits is None else len(bits) for bits in map(answers_of, trained.values())}
        return _Answers(trained) if None not in counts and len(counts) <= 1 else None


@dataclass(frozen=True, eq=False)
class _Answers(Mapping[int, NDArray[np.bool_]]):
    """The answers of each seed, unpacked when they are asked for: all at once may have gigabytes."""

    rows: Mapping[int, Row]

    def __getitem__(self, seed: int) -> NDArray[np.bool_]:
        return unpack(str(self.rows[seed].correct))

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def answers_of(row: Row) -> NDArray[np.bool_] | None:
    """Return which validation samples a job answered correctly, shape (n_validation,); None if it is not known."""
    if row.correct is None:
        return None
    try:
        bits = unpack(row.correct)
    except ValueError:
        return None
    return bits if abs(bits.mean() - row.validation_score[-1]) < 1e-6 else None


def worst_of(several: Sequence[Scored]) -> float | None:
    """Return the worst score of any job of these configurations, also of one that diverged; None without any."""
    found = [entry.score for each in several for entry in each.entries if entry.score is not None]
    return (min if several[0].higher_is_better else max)(found, default=None)


def ranked(jobs: Mapping[str, Job], rows: Mapping[str, Row], metric: Metric, scoring: Scoring = LAST) -> list[Scored]:
    """Return the scores of configurations, the first rank first.

    Args:
        jobs: Jobs by key, in the sweep's order.
        rows: Their rows, by key; a job without a row counts as missing.
        metric: What was measured.
        scoring: How a job is scored.
    """
    groups: dict[Configuration, list[Entry]] = {}
    for place, (key, job) in enumerate(jobs.items()):
        groups.setdefault(job.configuration, []).append(Entry.of(place, key, job, rows.get(key), metric, scoring))
    found = [
        Scored(each.options, tuple(entries), metric.higher_is_better, each.trained_by.draws_split(each.options))
        for each, entries in groups.items()
    ]
    worst = worst_of(found)
    return sorted(found, key=lambda each: each.merit(worst))
