"""Compares a chosen configuration's results with those under fresh seeds, which have no selection bias."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.leaderboard.scores import LAST, Scored, Scoring, ranked
from orchestrator.analysis.statistics.comparison import Difference, compare
from orchestrator.analysis.statistics.intervals import Interval, t_interval
from orchestrator.folder.rows import Row
from orchestrator.sweeps.samplers import Point
from worker.job import Job
from worker.trainers.protocol import Metric


@dataclass(frozen=True)
class Sample:
    """The results of a configuration under some seeds.

    Attributes:
        seeds: The number of jobs that trained to their end. Mean and interval are theirs.
        diverged: The number of jobs that diverged.
        mean: The mean of the metric after the last epoch; None if no job trained.
        interval: Student's t interval of the mean, at 95 %; None for fewer than two seeds.
    """

    seeds: int
    diverged: int
    mean: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Confirmation:
    """A configuration's results when it was chosen, and under fresh seeds.

    Attributes:
        options: The options that vary.
        before: The results by which it was chosen.
        fresh: The results under the fresh seeds.
        shrinkage: The difference of the means, before and fresh, with Welch's interval. Positive if the choice inflated
            the mean, whichever direction is better. None unless jobs trained on each side.
    """

    options: Mapping[str, Any]
    before: Sample
    fresh: Sample
    shrinkage: Difference | None


def confirmation(
    point: Point,
    before: Collection[Job],
    fresh: Collection[Job],
    rows: Mapping[str, Row],
    metric: Metric,
    scoring: Scoring = LAST,
) -> Confirmation:
    """Compare a configuration's results before and under fresh seeds.

    Args:
        point: The configuration, as values of the options that vary.
        before: The jobs of the sweep when it was chosen.
        fresh: The jobs under the fresh seeds.
        rows: The rows of all these jobs, by key.
        metric: What was measured.
        scoring: How a job is scored.
    """
    jobs = ([job for job in each if point.items() <= dict(job.options).items()] for each in (before, fresh))
    (old,), (new,) = (ranked({job.key: job for job in each}, rows, metric, scoring) for each in jobs)
    shrinkage = compare(old.oriented, new.oriented) if old.trained and new.trained else None
    return Confirmation(dict(point), _sample(old, metric), _sample(new, metric), shrinkage)


def _sample(scored: Scored, metric: Metric) -> Sample:
    values = list(scored.trained.values())
    interval = t_interval(values)
    possible = interval and interval.possible(is_share=metric.is_share)
    return Sample(len(values), scored.diverged, scored.mean, possible)
