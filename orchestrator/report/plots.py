"""The charts of a sweep for a terminal: the numbers of those of the page that text can show. Needs no extra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nn.options.describe import heading
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import catalogue, configurations, labels
from orchestrator.report.charts.kinds import by_axis, curves, intervals
from orchestrator.report.charts.marks import strips
from orchestrator.report.charts.marks.scales import Scale
from orchestrator.report.charts.marks.strips import Strip

#: The charts that text can show, and the one that is shown by default.
KINDS = tuple(kind for kind in catalogue.KINDS if kind.name in ("intervals", by_axis.PREFIX, "curves"))
DEFAULT = "intervals"


@dataclass(frozen=True)
class Rows:
    """A row for each of several things, with its mean, its interval and its seeds.

    Attributes:
        name: The chart's name.
        title: What it shows.
        axis: The title of the axis across.
        heading: What the rows are.
        scale: The scale across.
        rows: The rows, from top to bottom.
        known: How many rows there would be, were none left out.
        sequential: Whether the intervals stay valid however often one looks.
    """

    name: str
    title: str
    axis: str
    heading: str
    scale: Scale
    rows: Sequence[Strip]
    known: int
    sequential: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        rows = [
            {
                self.heading: row.label,
                "mean": row.mean,
                "interval": row.ends,
                "contender": row.is_strong,
                "seeds": [[dot.seed, dot.value] for dot in row.dots],
                "middle_80": row.middle,
            }
            for row in self.rows
        ]
        return {"chart": self.name, "title": self.title, "axis": self.axis, "rows": rows, "known": self.known}


@dataclass(frozen=True)
class Series:
    """Points that belong together.

    Attributes:
        label: What they are.
        points: Their places, from left to right where they are a line.
    """

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Field:
    """Lines or points.

    Attributes:
        name: The chart's name.
        title: What it shows.
        across: The title of the axis across.
        up: The title of the axis upwards.
        scales: The scale across, and the one upwards.
        ticks: Values across that have a number beside the axis, the more important ones first.
        series: What is shown.
        are_lines: Whether the points of a series are joined.
        known: How many series there would be, were none left out.
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

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        series = [{"label": each.label, "points": [list(point) for point in each.points]} for each in self.series]
        axes = {"x": self.across, "y": self.up}
        return {"chart": self.name, "title": self.title, "axes": axes, "series": series, "known": self.known}


Plot = Rows | Field


def plot(sweep: Sweep, name: str, field: str) -> Plot:
    """Return the chart of a sweep with a name.

    Args:
        sweep: The sweep.
        name: The chart's name.
        field: What gives the name, for messages.

    Raises:
        InvalidInputError: the sweep has no such chart, or text cannot show it.
    """
    kind = catalogue.check(sweep, name, field, KINDS)
    if kind.name == by_axis.PREFIX:
        return _by_axis(sweep, name)
    make: dict[str, Callable[[Sweep], Plot]] = {"intervals": _intervals, "curves": _curves}
    return make[name](sweep)


def _intervals(sweep: Sweep) -> Rows:
    metric = sweep.leaderboard.metric
    every = configurations.drawn(sweep)
    each_job = len(sweep.jobs) <= configurations.MOST_JOBS
    rows = intervals.rows(every[: intervals.MOST_ROWS], metric, each_job=each_job)
    return Rows(
        name="intervals",
        title=f"{labels.headline(metric)}: mean and interval of each configuration, by rank",
        axis=labels.axis_title(metric),
        heading=configurations.axis_title(sweep),
        scale=strips.scale_of(rows, is_share=metric.is_share),
        rows=rows,
        known=len(every),
        sequential=any(each.method == "confidence sequence" for each in sweep.leaderboard.standings),
    )


def _by_axis(sweep: Sweep, name: str) -> Plot:
    axis = name.removeprefix(by_axis.PREFIX)
    metric = sweep.leaderboard.metric
    found = by_axis.values_of(sweep, axis)
    across = labels.plain(heading(sweep.leaderboard.names.model, axis))
    title, up = f"{labels.headline(metric)} by {across}", labels.axis_title(metric)
    if not by_axis.are_numbers([each.value for each in found]):
        each_job = by_axis.shows_jobs(sweep)
        rows = by_axis.rows(found, metric, across, each_job=each_job)
        scale = strips.scale_of(rows, is_share=metric.is_share)
        return Rows(name, title, up, across, scale, rows, len(found))
    scale, of_option = by_axis.scales(found, metric)
    seeds = [(float(each.value), labels.drawn(metric, score)) for each in found for score in each.scores]
    means = [(float(each.value), labels.drawn(metric, each.mean)) for each in found if each.mean is not None]
    series = (Series("one seed", seeds), Series("mean", means))
    values = [float(each.value) for each in found]
    ticks = [values[0], values[-1], *values[1:-1]]
    return Field(name, title, across, up, (of_option, scale), ticks, series, are_lines=False, known=len(series))


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
