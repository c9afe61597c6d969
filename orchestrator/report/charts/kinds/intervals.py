"""Dots and whiskers: the mean and the interval of each configuration, as on the leaderboard, and each of its seeds."""

from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import configurations, labels
from orchestrator.report.charts.configurations import Drawn, Group, strip_of
from orchestrator.report.charts.marks import strips
from orchestrator.report.charts.marks.strips import Rows, Strip
from orchestrator.report.contents.parts import Chart
from orchestrator.text import counted
from worker.trainers.protocol import Metric

#: Most configurations that are drawn, the first by rank.
MOST_ROWS = 100


def chart(sweep: Sweep, name: str) -> Chart:
    """Return the chart of a sweep that has results."""
    shown, metric = rows(sweep), sweep.names.metric
    return Chart(
        name=name,
        title=shown.title,
        caption=_caption(sweep, shown),
        specification=strips.specification(shown),
        headings=("configuration", "n", f"mean: {labels.axis_title(metric)}", "low", "high", "contender", "diverged"),
        rows=[_cells(each, metric) for each in configurations.drawn(sweep)],
    )


def rows(sweep: Sweep) -> Rows:
    """Return a row for each of the first `MOST_ROWS` configurations."""
    every = configurations.drawn(sweep)
    metric = sweep.names.metric
    each_job = configurations.draws_jobs(sweep)
    return Rows(
        title=f"{labels.headline(metric)}: mean and interval of each configuration, by rank",
        axis=labels.axis_title(metric),
        heading=configurations.axis_title(sweep),
        strips=[_strip(each, metric, each_job=each_job) for each in every[:MOST_ROWS]],
        known=len(every),
        lower_is_worse=metric.higher_is_better,
        is_share=metric.is_share,
        sequential=sweep.judgement.sequential,
    )


def _strip(each: Drawn, metric: Metric, *, each_job: bool) -> Strip:
    low, high = each.standing.low, each.standing.high
    ends = None if low is None or high is None else (labels.drawn(metric, low), labels.drawn(metric, high))
    return strip_of(Group([each]), metric, each.label, _said(each, metric), each_job, ends)


def _said(each: Drawn, metric: Metric) -> str:
    standing = each.standing
    if standing.mean is None:
        return each.name
    parts = [f"{each.name}: mean {metric.shown(standing.mean)} of {counted(standing.n, 'seed')}"]
    if standing.low is not None and standing.high is not None:
        parts.append(f"interval {metric.number(standing.low)} to {metric.shown(standing.high)}")
    if not standing.scored.is_candidate:
        parts.append("no candidate, as more of its jobs diverged than trained")
    else:
        parts.append("may be the best" if standing.contender else "not the best")
    if standing.diverged:
        parts.append(f"{standing.diverged} diverged")
    return ", ".join(parts)


def _caption(sweep: Sweep, shown: Rows) -> str:
    standings = sweep.leaderboard.standings
    often = " however often one looks" if shown.sequential else ""
    unfit = any(each.n and not each.scored.is_candidate for each in standings)
    hollow = f"ruled out{', or more of its jobs diverged than trained' if unfit else ''}"
    return labels.joined(
        f"Filled: may be the best (a contender); hollow: {hollow}",
        any(each.method for each in standings) and f"whiskers: where the mean over all seeds is, at 95 %{often}",
        any(strip.dots for strip in shown.strips) and "small dot: one seed",
        any(dot.value is None for strip in shown.strips for dot in strip.dots)
        and "cross: a seed that diverged, at the edge, which no mean counts",
        any(strip.middle for strip in shown.strips) and "bar: the middle 80 % of the seeds",
        shown.known > len(shown.strips) and f"the first {len(shown.strips)} of {shown.known} configurations",
    )


def _cells(each: Drawn, metric: Metric) -> tuple[str, ...]:
    standing = each.standing
    figures = [metric.number(value) for value in (standing.mean, standing.low, standing.high)]
    contender = "yes" if standing.contender else "no"
    return each.name, f"{standing.n}/{standing.planned}", *figures, contender, str(standing.diverged)
