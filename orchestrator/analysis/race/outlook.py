"""How much of a race is still to come: jobs and minutes, and what would decide one that ended without an answer."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.analysis.race.course import Course
from orchestrator.analysis.statistics import race
from orchestrator.analysis.statistics.prospects import forecast_race
from orchestrator.folder.rows import Row
from orchestrator.sweeps.specification import MAX_JOBS

#: The most configurations of a race that is forecast: more take longer than a look at them is worth.
MOST_FORECAST = 300
#: A number of jobs that would decide is told if they would with this probability.
LIKELY = 0.5


@dataclass(frozen=True)
class Outlook:
    """A forecast of further jobs, from simulated continuations of a race.

    Attributes:
        jobs: The median.
        jobs_low: The 10 % quantile.
        jobs_high: The 90 % quantile.
        decided: The probability that the race ends with an answer.
        seconds: How long the median number of jobs takes; None if that is unknown.
    """

    jobs: int
    jobs_low: int
    jobs_high: int
    decided: float
    seconds: float | None


def outlook(course: Course, rows: Mapping[str, Row], pace: float | None) -> Outlook | None:
    """Return the forecast of a race that goes on; None without one.

    There is none while a configuration in the race has fewer than two scores, or there are more than `MOST_FORECAST`.

    Args:
        course: The race so far.
        rows: The sweep's rows, by job key.
        pace: The seconds from the end of a job to the end of the next one; None if that is unknown.
    """
    return None if course.ended is not None else _forecast(course, course.state, rows, pace)


def what_would_decide(course: Course, rows: Mapping[str, Row]) -> int | None:
    """Return how many more jobs the race would take without its budget; None if that cannot be forecast.

    Args:
        course: A race whose budget is gone.
        rows: The sweep's rows, by job key.
    """
    before, field = course.state.rules, course.field
    rules = race.plan(field.present, MAX_JOBS, before.tolerance, before.alpha, seen=before.seen)
    found = _forecast(course, replace(course.state, rules=rules, ended=None), rows, None)
    return None if found is None or found.decided < LIKELY else found.jobs


def seconds_per_job(course: Course, rows: Mapping[str, Row]) -> float | None:
    """Return the mean duration of the jobs of the configurations in the race, in seconds; None without a result."""
    field = course.field
    found = (row for each in course.state.active for row in field.rows(each, field.jobs[each], rows).values())
    seconds = [sum(row.epoch_seconds) for row in found if row.accepted]
    return statistics.fmean(seconds) if seconds else None


def _forecast(course: Course, state: race.Race, rows: Mapping[str, Row], pace: float | None) -> Outlook | None:
    if len(state.active) > MOST_FORECAST:
        return None
    field = course.field
    scores = [field.scores(each, field.jobs[each], rows) for each in range(len(field.configurations))]
    found = forecast_race(state, scores)
    if found is None:
        return None
    seconds = None if pace is None else found.jobs * pace
    return Outlook(found.jobs, found.jobs_low, found.jobs_high, found.separated + found.within, seconds)
