"""Dots and whiskers: the mean and the interval of each configuration, as on the leaderboard, and each of its seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import configurations, labels
from orchestrator.report.charts.chart import Chart, Table
from orchestrator.report.charts.configurations import MOST_JOBS, Drawn
from orchestrator.report.charts.marks import strips
from orchestrator.report.charts.marks.strips import Dot, Strip
from orchestrator.text import counted
from worker.trainers.protocol import Metric

#: Of more configurations, the first ones by rank are drawn.
MOST_ROWS = 100
#: Rows of the table.
MOST_LISTED = 500


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no such chart, as a phrase; None if it has one."""
    return None if configurations.has_results(sweep) else configurations.NO_RESULT


def chart(sweep: Sweep) -> Chart | None:
    """Return the chart; None without a result.

    Raises:
        MissingPackageError: Altair is not installed.
    """
    if absent(sweep) is not None:
        return None
    every = configurations.drawn(sweep)
    metric = sweep.leaderboard.metric
    shown = rows(every[:MOST_ROWS], metric, each_job=len(sweep.jobs) <= MOST_JOBS)
    scale = strips.scale_of(shown, is_share=metric.is_share)
    worse = scale.low if metric.higher_is_better else scale.high
    title, heading = labels.axis_title(metric), configurations.axis_title(sweep)
    return Chart(
        name="intervals",
        title=f"{labels.headline(metric)}: mean and interval of each configuration, by rank",
        caption=_caption(sweep, shown, len(every)),
        specification=strips.specification(shown, scale, title, heading, worse=worse),
        table=_table(every, metric),
    )


def rows(every: Sequence[Drawn], metric: Metric, *, each_job: bool) -> list[Strip]:
    """Return a row for each configuration.

    Args:
        every: The configurations.
        metric: What was measured.
        each_job: Whether each job is a dot; otherwise the middle 80 % of them are a bar.
    """
    return [
        Strip(
            label=each.label,
            said=_said(each, metric),
            mean=None if each.standing.mean is None else labels.drawn(metric, each.standing.mean),
            ends=_ends(each, metric),
            is_strong=each.standing.contender,
            note=_note(each, metric),
            dots=dots(each, metric) if each_job else (),
            middle=None if each_job else middle(list(each.scored.trained.values()), metric),
        )
        for each in every
    ]


def dots(each: Drawn, metric: Metric) -> list[Dot]:
    """Return the jobs of a configuration that have a result; those that diverged without a place."""
    found = []
    for entry in each.standing.jobs:
        if entry.score is not None:
            said = f"{'diverged at ' if entry.status == 'diverged' else ''}{metric.shown(entry.score)}"
            place = labels.drawn(metric, entry.score) if entry.status == "succeeded" else None
            found.append(Dot(entry.seed, place, f"{each.job(entry.seed)}: {said}"))
    return found


def middle(values: Sequence[float], metric: Metric) -> tuple[float, float] | None:
    """Return the ends of the middle 80 % of some values, in the unit of the axis; None for fewer than two."""
    if len(values) < 2:
        return None
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return labels.drawn(metric, tenths[0]), labels.drawn(metric, tenths[-1])


def _ends(each: Drawn, metric: Metric) -> tuple[float, float] | None:
    low, high = each.standing.low, each.standing.high
    return None if low is None or high is None else (labels.drawn(metric, low), labels.drawn(metric, high))


def _said(each: Drawn, metric: Metric) -> str:
    standing = each.standing
    if standing.mean is None:
        return each.name
    parts = [f"{each.name}: mean {metric.shown(standing.mean)} of {counted(standing.n, 'seed')}"]
    if standing.low is not None and standing.high is not None:
        parts.append(f"interval {metric.number(standing.low)} to {metric.shown(standing.high)}")
    if standing.rank_low is None:
        parts.append("no candidate, as most of its jobs diverged")
    else:
        parts.append("may be the best" if standing.contender else "not the best")
    if standing.diverged:
        parts.append(f"{standing.diverged} diverged")
    return ", ".join(parts)


def _note(each: Drawn, metric: Metric) -> str:
    standing = each.standing
    parts = [] if standing.mean is None else [metric.shown(standing.mean)]
    if standing.diverged:
        parts.append(f"{standing.diverged} diverged")
    return ", ".join(parts) or "no result"


def _caption(sweep: Sweep, shown: Sequence[Strip], known: int) -> str:
    standings = sweep.leaderboard.standings
    methods = {each.method for each in standings}
    unfit = any(each.n and each.rank_low is None for each in standings)
    why = ", or most of its jobs diverged" if unfit else ""
    said = [f"Filled: may be the best (a contender); hollow: another one beats it{why}"]
    if "t" in methods:
        said.append("whiskers: where the mean over all seeds is, at 95 %")
    if "confidence sequence" in methods:
        said.append("whiskers: where the mean over all seeds is, at 95 % however often one looks")
    if any(strip.dots for strip in shown):
        said.append("small dot: one seed")
    if any(dot.value is None for strip in shown for dot in strip.dots):
        said.append("cross: a seed that diverged, at the edge, which no mean counts")
    if any(strip.middle for strip in shown):
        said.append("bar: the middle 80 % of the seeds")
    if known > len(shown):
        said.append(f"the first {len(shown)} of {known} configurations")
    return "; ".join(said)


def _table(every: Sequence[Drawn], metric: Metric) -> Table:
    def number(value: float | None) -> str:
        return "-" if value is None else metric.number(value)

    found = [
        (
            each.name,
            f"{each.standing.n}/{each.standing.planned}",
            number(each.standing.mean),
            number(each.standing.low),
            number(each.standing.high),
            "yes" if each.standing.contender else "no",
            str(each.standing.diverged),
        )
        for each in every[:MOST_LISTED]
    ]
    headings = ("configuration", "n", f"mean: {labels.axis_title(metric)}", "low", "high", "contender", "diverged")
    return Table(headings, found, len(every))
