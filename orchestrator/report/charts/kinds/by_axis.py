"""The metric against each option that varies: every seed a dot, or their middle 80 % in a large sweep."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Self

from nn.options.describe import heading
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import configurations, labels, style
from orchestrator.report.charts.configurations import Drawn, Group, dots_of, strip_of
from orchestrator.report.charts.marks import strips
from orchestrator.report.charts.marks.canvas import Canvas, Scale, are_numbers, is_in_ratios
from orchestrator.report.charts.marks.strips import CROSS, Rows
from orchestrator.report.contents.parts import Chart
from orchestrator.text import counted
from worker.trainers.protocol import Metric

#: Prefix of the charts' names; the option follows.
PREFIX = "metric-by-"
#: Most values that have a row each.
MOST_ROWS = 60
#: Most dots in all of these charts together; rows replace more.
MOST_DOTS = 10_000
WIDTH, HEIGHT = 430, 260
#: Pixels over which the seeds at a value are spread, and the largest share of the distance to the next value that they
#: may take.
SPREAD, SHARE = 14.0, 0.5
#: Fractional part of the golden ratio: the fractional parts of its multiples are evenly spread, however many there are.
GOLDEN = 0.6180339887498949
#: Most values that have a tick each; more have ticks at round numbers.
MOST_TICKS = 10


@dataclass(frozen=True)
class Axis:
    """An option that varies.

    Attributes:
        heading: The option's name in text.
        metric: What was measured.
        values: The results at each value: numbers in ascending order, others in the sweep's order.
        shown: Each value as text.
        rows: The label of the row of each value (`configurations.levels`).
        others: How many other options vary.
        each_job: Whether each job has a mark of its own.
    """

    heading: str
    metric: Metric
    values: Mapping[Any, Group]
    shown: Mapping[Any, str]
    rows: Mapping[Any, str]
    others: int
    each_job: bool

    @classmethod
    def of(cls, sweep: Sweep, name: str) -> Self:
        """Return the option in a chart's name."""
        names = sweep.leaderboard.names
        option = name.removeprefix(PREFIX)
        groups: dict[Any, list[Drawn]] = {value: [] for value in names.varying[option]}
        # Contenders come last, so that they are drawn on top of the others.
        for each in sorted(configurations.drawn(sweep), key=lambda each: each.standing.contender):
            groups[each.standing.options[option]].append(each)
        listed = sorted(groups) if are_numbers(list(groups)) else list(groups)
        values = {value: Group(groups[value]) for value in listed}
        shown = {value: labels.plain(names.shown(option, value)) for value in listed}
        # Each job has a dot in the chart of every option that varies.
        each_job = configurations.draws_jobs(sweep) and len(sweep.jobs) * len(names.varying) <= MOST_DOTS
        title = labels.plain(heading(names.model, option))
        rows, others = configurations.levels(sweep, option, MOST_ROWS), len(names.varying) - 1
        return cls(title, sweep.names.metric, values, shown, rows, others, each_job)

    @property
    def title(self) -> str:
        """What the chart shows."""
        return f"{labels.headline(self.metric)} by {self.heading}"

    @property
    def has_numbers(self) -> bool:
        """Whether the values are numbers, which have an axis in a report of few jobs."""
        return are_numbers(list(self.values))

    @functools.cached_property
    def across(self) -> Scale:
        """The scale of the values, if they are numbers."""
        numbers = list(map(float, self.values))
        return Scale.of(numbers, is_log=is_in_ratios(numbers))

    @functools.cached_property
    def up(self) -> Scale:
        """The scale of the metric."""
        scores = [labels.drawn(self.metric, score) for each in self.values.values() for score in each.scores]
        return Scale.around(scores, is_share=self.metric.is_share)


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no such chart, as a phrase; None if it has one."""
    return configurations.absent(sweep) or (None if sweep.leaderboard.names.varying else "no option varies")


def chart(sweep: Sweep, name: str) -> Chart:
    """Return the chart of an option that varies, of a sweep that has results."""
    axis = Axis.of(sweep, name)
    specification = _plot(axis) if axis.has_numbers and axis.each_job else strips.specification(rows(axis))
    cells = []
    for value, each in axis.values.items():
        figures = (each.mean, min(each.scores, default=None), max(each.scores, default=None))
        shown = [axis.metric.number(figure) for figure in figures]
        cells.append((axis.shown[value], str(len(each.scores)), *shown, str(each.diverged)))
    headings = (axis.heading, "n", f"mean: {labels.axis_title(axis.metric)}", "lowest", "highest", "diverged")
    return Chart(name, axis.title, _caption(axis), specification, headings, cells)


def _caption(axis: Axis) -> str:
    diverged = sum(each.diverged for each in axis.values.values())
    is_plot, known = axis.has_numbers and axis.each_job, len(axis.values)
    if is_plot:
        how = (
            "Dot: one seed, beside its value so that none hides another; bar: the mean of a configuration; blue: a "
            "configuration that may be the best (a contender), which has the longer bar"
        )
    else:
        seeds = "Small dot: one seed" if axis.each_job else "Bar: the middle 80 % of the seeds"
        how = f"{seeds}; circle: their mean, filled where a configuration may be the best (a contender)"
    shown = f"{configurations.BINS} bins" if axis.has_numbers else f"the first {MOST_ROWS}"
    return labels.joined(
        how,
        is_plot and not axis.others and "line: from mean to mean",
        diverged > 0 and f"{counted(diverged, 'job')} diverged, which no mean counts",
        diverged > 0 and axis.each_job and "cross: a seed that diverged, at the edge",
        not is_plot and known > MOST_ROWS and f"{shown} of {known} values",
        axis.others > 0 and f"{counted(axis.others, 'other option')} varied, too",
    )


# Rows: in a terminal, and in a report of other values or of many jobs


def rows(axis: Axis) -> Rows:
    """Return a row for each value that is shown, or for each bin of numbers."""
    made = []
    for label, values in groupby(axis.rows, axis.rows.__getitem__):
        each = list(values)
        group = Group([member for value in each for member in axis.values[value].members])
        text = axis.shown[each[0]] if len(each) == 1 else label
        said = f"{axis.heading} {text}: {group.said(axis.metric)}"
        made.append(strip_of(group, axis.metric, label, said, axis.each_job))
    return Rows(
        title=axis.title,
        axis=labels.axis_title(axis.metric),
        heading=axis.heading,
        strips=made,
        known=len(axis.values),
        in_bins=axis.has_numbers and len(made) < len(axis.values),
        lower_is_worse=axis.metric.higher_is_better,
        is_share=axis.metric.is_share,
    )


# Numbers of a sweep that is not large: a plot


def _plot(axis: Axis) -> dict[str, Any]:
    """Return the specification of a plot with a dot for each seed, a cross if it diverged, and a bar for each mean."""
    canvas = Canvas()
    places = [WIDTH * axis.across.share(float(value)) for value in axis.values]
    spread = min([SPREAD, *(SHARE * (high - low) for low, high in pairwise(places))])
    worse = axis.up.low if axis.metric.higher_is_better else axis.up.high
    seeds = []
    for value, each in axis.values.items():
        found = [(dot, _colour(member)) for member in each.members for dot in dots_of(member, axis.metric)]
        # Vega-Lite has no offset on a numeric axis, so the numbers themselves are moved.
        for number, (dot, colour) in enumerate(found):
            beside = spread * (number * GOLDEN % 1 - 0.5) / WIDTH
            x = axis.across.at(axis.across.share(float(value)) + beside)
            y = worse if dot.value is None else axis.up.within(dot.value)
            said = labels.description(dot.said, dot.seed)
            seeds.append({"x": x, "y": y, "diverged": dot.value is None, "colour": colour, "said": said})
    dots, crosses = ([seed for seed in seeds if seed["diverged"] is diverged] for diverged in (False, True))
    bars = [
        _bar(value, member, axis, spread)
        for value, each in axis.values.items()
        for member in each.members
        if member.standing.mean is not None
    ]
    far = [
        {"x": value, "y": axis.up.high if is_high else axis.up.low, "text": text}
        for value, each in axis.values.items()
        for is_high, text in axis.up.beyond((labels.drawn(axis.metric, y) for y in each.scores), "▾▴").items()
    ]
    # If other options vary, too, a line from mean to mean means nothing.
    means = [] if axis.others else [(x, each.mean) for x, each in axis.values.items() if each.mean is not None]
    line = [{"x": x, "y": axis.up.within(labels.drawn(axis.metric, mean))} for x, mean in means]
    size, colour, quiet = canvas.alt.Size("size:Q", scale=None), canvas.own_colour, style.LIGHT["quiet"]
    layers = [
        canvas.chart(line).mark_line(color=quiet, strokeWidth=1.5),
        canvas.chart(dots).mark_circle(size=20, opacity=0.8).encode(color=colour, description="said:N"),
        canvas.chart(crosses).mark_point(**CROSS).encode(description="said:N"),
        canvas.chart(bars)
        .mark_tick(orient="horizontal", thickness=2.5, opacity=1)
        .encode(color=colour, size=size, description="said:N"),
        canvas.chart(far).mark_text(color=quiet, dy=-8).encode(text="text:N"),
    ]
    values = list(axis.values)
    ticks: dict[str, Any] = {"values": values} if len(values) <= MOST_TICKS else {"tickCount": MOST_TICKS}
    labelled = {"format": ".6~g", "labelOverlap": True, "labelSeparation": 4, **ticks}
    x = canvas.channel("X", "x", axis.heading, axis.across, grid=False, **labelled)
    y = canvas.channel("Y", "y", labels.axis_title(axis.metric), axis.up)
    return canvas.layered([layer.encode(x=x, y=y) for layer in layers], width=WIDTH, height=HEIGHT)


def _colour(member: Drawn) -> str:
    return style.LIGHT["1" if member.standing.contender else "other"]


def _bar(at: float, member: Drawn, axis: Axis, spread: float) -> dict[str, Any]:
    standing, metric = member.standing, axis.metric
    mean = standing.mean or 0.0
    return {
        "x": at,
        "y": axis.up.within(labels.drawn(metric, mean)),
        "size": 2 * min(max(spread, 2.0), SPREAD / 2 + (5 if standing.contender else 2)),
        "colour": _colour(member),
        "said": labels.description(f"{member.name}: mean {metric.shown(mean)} of {counted(standing.n, 'seed')}"),
    }
