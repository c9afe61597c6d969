"""The scores of a configuration: one number for each seed that trained, and how its other jobs ended."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from orchestrator.analysis.leaderboard.scoring import LAST, Scoring
from orchestrator.folder.rows import Row
from worker.job import Configuration, Job
from worker.trainers.protocol import Metric


class Entry(BaseModel):
    """One job of a configuration: its seed and its result."""

    model_config = ConfigDict(frozen=True)

    seed: int
    status: Literal["succeeded", "diverged", "failed", "cancelled", "missing"]
    #: By the leaderboard's scoring; None without a result.
    score: float | None
    weights_sha256: str | None


@dataclass(frozen=True)
class Scored:
    """One configuration's jobs.

    Attributes:
        options: The values of all options.
        entries: The jobs, in the sweep's order.
        keys: Their keys, in the same order.
        higher_is_better: Whether the metric is better when it is higher.
    """

    options: BaseModel
    entries: tuple[Entry, ...]
    keys: tuple[str, ...]
    higher_is_better: bool = True

    @functools.cached_property
    def trained(self) -> Mapping[int, float]:
        """The score of each seed whose job trained to its end, in the sweep's order. Diverged jobs are not among them.

        A job that diverged has some number, too, but it is one of another kind: the mean of both would describe
        neither, and an interval around it covers 41 % where it promises 95.
        """
        return {each.seed: each.score for each in self.entries if each.status == "succeeded" and each.score is not None}

    @functools.cached_property
    def diverged(self) -> int:
        """The number of jobs that diverged."""
        return self.count("diverged")

    def count(self, status: str) -> int:
        """Return the number of jobs with a status."""
        return sum(each.status == status for each in self.entries)

    @functools.cached_property
    def mean(self) -> float | None:
        """The mean of the jobs that trained, computed exactly and rounded once; None if none did."""
        return statistics.mean(self.trained.values()) if self.trained else None

    @functools.cached_property
    def best(self) -> Entry | None:
        """The job with the best score of those that trained; of equals, the first."""
        scored = [each for each in self.entries if each.status == "succeeded" and each.score is not None]
        choose = max if self.higher_is_better else min
        return choose(scored, key=lambda each: each.score or 0.0) if scored else None

    @functools.cached_property
    def worst(self) -> float | None:
        """The worst score of the jobs that trained."""
        return self._worst(self.trained.values())

    @functools.cached_property
    def worst_result(self) -> float | None:
        """The worst score of all jobs with a result, also of those that diverged."""
        return self._worst(each.score for each in self.entries if each.score is not None)

    def _worst(self, scores: Iterable[float]) -> float | None:
        return (min if self.higher_is_better else max)(scores, default=None)


def scores_of(
    jobs: Mapping[str, Job], rows: Mapping[str, Row], metric: Metric, scoring: Scoring = LAST
) -> list[Scored]:
    """Return the scores of one or more configurations, in the sweep's order.

    Args:
        jobs: Jobs by key, in the sweep's order.
        rows: Their rows, by key; a job without a row counts as missing.
        metric: What was measured.
        scoring: Which number of a job counts.
    """
    groups: dict[Configuration, list[tuple[str, Job]]] = {}
    for key, job in jobs.items():
        groups.setdefault(job.configuration, []).append((key, job))
    return [configuration_scores(group, rows, metric, scoring) for group in groups.values()]


def configuration_scores(
    jobs: Sequence[tuple[str, Job]], rows: Mapping[str, Row], metric: Metric, scoring: Scoring = LAST
) -> Scored:
    """Return the scores of one configuration.

    Args:
        jobs: Its jobs, each with its key, in the sweep's order.
        rows: Rows by key.
        metric: What was measured.
        scoring: Which number of a job counts.
    """
    return Scored(
        options=jobs[0][1].options,
        entries=tuple(_entry(job, rows.get(key), metric, scoring) for key, job in jobs),
        keys=tuple(key for key, _ in jobs),
        higher_is_better=metric.higher_is_better,
    )


def _entry(job: Job, row: Row | None, metric: Metric, scoring: Scoring) -> Entry:
    # Not validated again: of 100,000 jobs, that would take as long as everything else.
    if row is None:
        return Entry.model_construct(seed=job.seed, status="missing", score=None, weights_sha256=None)
    score = scoring.score(row.validation_score, metric) if row.accepted else None
    return Entry.model_construct(seed=job.seed, status=row.status, score=score, weights_sha256=row.weights_sha256)
