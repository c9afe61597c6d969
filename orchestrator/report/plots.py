"""Charts for a terminal: the data of those charts of the report that text can show. Needs no extra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import catalogue, labels
from orchestrator.report.charts.kinds import by_axis, curves, intervals
from orchestrator.report.charts.marks.scales import Scale
from orchestrator.report.charts.marks.strips import Rows

#: The charts that text can show, and the one that is shown by default.
KINDS = tuple(kind for kind in catalogue.KINDS if kind.name in ("intervals", by_axis.PREFIX, "curves"))
DEFAULT = "intervals"


@dataclass(frozen=True)
class Series:
    """Points that belong together.

    Attributes:
        label: Their name.
        points: Their coordinates, from left to right if they form a line.
    """

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Field:
    """Lines or points.

    Attributes:
        name: The chart's name.
        title: What it shows.
        across: The title of the x axis.
        up: The title of the y axis.
        scales: The scales of the x axis and the y axis.
        ticks: Values with a number on the x axis, the more important ones first.
        series: The lines, or the groups of points.
        are_lines: Whether the points of a series are joined.
        known: The number of series, including those left out.
    """

    name: str
    title: str
    across: str
    up: str
    scales: tuple[Scale, Scale]
    ticks: Sequence[float]
    series: Sequence[Series]
    are_lines: bool
    known: int


Plot = Rows | Field


def as_dict(plot: Plot) -> dict[str, Any]:
    """Return a chart as `--json` prints it."""
    found: dict[str, Any] = {"chart": plot.name, "title": plot.title}
    if isinstance(plot, Field):
        series = [{"label": each.label, "points": [list(point) for point in each.points]} for each in plot.series]
        return {**found, "axes": {"x": plot.across, "y": plot.up}, "series": series, "known": plot.known}
    rows = [
        {
            plot.heading: row.label,
            "mean": row.mean,
            "interval": row.ends,
            "contender": row.is_strong,
            "seeds": [[dot.seed, dot.value] for dot in row.dots],
            "middle_80": row.middle,
        }
        for row in plot.strips
    ]
    return {**found, "axis": plot.axis, "rows": rows, "known": plot.known}


def plot(sweep: Sweep, name: str, field: str) -> Plot:
    """Return a sweep's chart by its name.

    Args:
        sweep: The sweep.
        name: The chart's name.
        field: What gives the name, for messages.

    Raises:
        InvalidInputError: the sweep has no such chart, or text cannot show it.
    """
    kind = catalogue.check(sweep, name, field, KINDS)
    if kind.name == by_axis.PREFIX:
        return _by_axis(by_axis.Axis.of(sweep, name))
    make: dict[str, Callable[[Sweep], Plot]] = {"intervals": intervals.rows, "curves": _curves}
    return make[name](sweep)


def _by_axis(axis: by_axis.Axis) -> Plot:
    if not axis.has_numbers:
        return by_axis.rows(axis)
    metric = axis.metric
    values = [float(each.value) for each in axis.values]
    seeds = [(float(each.value), labels.drawn(metric, score)) for each in axis.values for score in each.scores]
    means = [(float(each.value), labels.drawn(metric, each.mean)) for each in axis.values if each.mean is not None]
    return Field(
        name=axis.name,
        title=axis.title,
        across=axis.heading,
        up=labels.axis_title(metric),
        scales=(axis.across, axis.up),
        ticks=[values[0], values[-1], *values[1:-1]],
        series=(Series("one seed", seeds), Series("mean", means)),
        are_lines=False,
        known=2,
    )


def _curves(sweep: Sweep) -> Field:
    metric = sweep.leaderboard.metric
    found = curves.curves(sweep)
    shown = [curve for curve in found[: curves.LABELLED] if curve.points]
    last = max(epoch for curve in found for line in curve.jobs.values() for epoch, _ in line)
    series = [
        Series(
            curve.configuration.label,
            [(float(point.epoch), labels.drawn(metric, point.mean)) for point in curve.points],
        )
        for curve in shown
    ]
    values = [value for each in series for _, value in each.points]
    return Field(
        name="curves",
        title=f"Learning curves: mean {labels.plain(metric.name)} over the seeds that trained, by rank",
        across="epoch",
        up=labels.axis_title(metric),
        scales=(Scale(1.0, float(max(last, 2))), Scale.of(values or [0.0], is_share=metric.is_share)),
        ticks=[1.0, float(last), float((1 + last) // 2)],
        series=series,
        are_lines=True,
        known=len(found),
    )
