"""The metric against each option that varies: every seed a dot, or bins of them in a large sweep."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from nn.options.describe import heading
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import configurations, labels, style
from orchestrator.report.charts.chart import Chart, Table
from orchestrator.report.charts.configurations import MOST_JOBS, Drawn
from orchestrator.report.charts.kinds import intervals
from orchestrator.report.charts.marks import bins, strips
from orchestrator.report.charts.marks.canvas import Canvas
from orchestrator.report.charts.marks.scales import Scale, is_in_ratios
from orchestrator.report.charts.marks.strips import CROSS, Strip
from orchestrator.text import counted
from worker.trainers.protocol import MAX_SCORE, Metric

#: What the names of the charts begin with.
PREFIX = "metric-by-"
#: Of more values that are no numbers, the first ones in the sweep's order are drawn.
MOST_ROWS = 60
#: Rows of the table.
MOST_LISTED = 500
#: Of more dots in all charts of options together, there are bins instead.
MOST_DOTS = 10_000
#: Bins of each axis in a large sweep.
BINS = 40
WIDTH, HEIGHT = 430, 260
#: Pixels over which the seeds of a configuration are spread, and the share of the distance of two values that they may
#: take at most.
SPREAD, SHARE = 14.0, 0.5
#: The golden ratio without its integer: so many multiples of it as one likes lie evenly between integers.
GOLDEN = 0.6180339887498949
#: More values have ticks at round numbers instead of at each.
MOST_TICKS = 10


@dataclass(frozen=True)
class Value:
    """What was measured at a value of an option.

    Attributes:
        value: The value.
        shown: The value as text.
        members: The configurations that have it, by rank.
        scores: The scores of their jobs that trained.
        diverged: The number of their jobs that diverged.
    """

    value: Any
    shown: str
    members: Sequence[Drawn]
    scores: Sequence[float]
    diverged: int

    @property
    def mean(self) -> float | None:
        """The mean of the scores, exact and rounded once; None without any."""
        return statistics.mean(self.scores) if self.scores else None


def values_of(sweep: Sweep, axis: str) -> tuple[Value, ...]:
    """Return the values of an option that varies: numbers by size, others in the sweep's order."""
    names = sweep.leaderboard.names
    groups: dict[Any, list[Drawn]] = {value: [] for value in names.varying[axis]}
    for each in configurations.drawn(sweep):
        groups[each.standing.options[axis]].append(each)
    listed = sorted(groups) if are_numbers(list(groups)) else list(groups)
    return tuple(
        Value(
            value,
            labels.named(labels.plain(names.shown(axis, value))),
            groups[value],
            [score for each in groups[value] for score in each.scored.trained.values()],
            sum(each.scored.diverged for each in groups[value]),
        )
        for value in listed
    )


def are_numbers(values: Sequence[Any]) -> bool:
    """Return whether all values are numbers, none of them true or false, and none beyond what an axis can show."""
    return all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and -MAX_SCORE <= value <= MAX_SCORE
        for value in values
    )


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no such chart, as a phrase; None if it has one."""
    if not configurations.has_results(sweep):
        return configurations.NO_RESULT
    return None if sweep.leaderboard.names.varying else "no option varies"


def charts(sweep: Sweep) -> tuple[Chart, ...]:
    """Return a chart for each option that varies; none without a result.

    Raises:
        MissingPackageError: Altair is not installed.
    """
    if absent(sweep) is not None:
        return ()
    return tuple(_chart(sweep, axis) for axis in sweep.leaderboard.names.varying)


def shows_jobs(sweep: Sweep) -> bool:
    """Return whether each job has a dot: it has one in the chart of every option that varies."""
    jobs = len(sweep.jobs)
    return jobs <= MOST_JOBS and jobs * len(sweep.leaderboard.names.varying) <= MOST_DOTS


def names(sweep: Sweep) -> list[str]:
    """Return the names of the charts of a sweep."""
    return [f"{PREFIX}{axis}" for axis in sweep.leaderboard.names.varying]


def _chart(sweep: Sweep, axis: str) -> Chart:
    metric = sweep.leaderboard.metric
    found = values_of(sweep, axis)
    title = labels.plain(heading(sweep.leaderboard.names.model, axis))
    numbers = are_numbers([each.value for each in found])
    each_job = shows_jobs(sweep)
    if numbers:
        specification = _plot(sweep, found, title) if each_job else _bins(sweep, found, title)
    else:
        specification = _rows(sweep, found, title, each_job=each_job)
    return Chart(
        name=f"{PREFIX}{axis}",
        title=f"{labels.headline(metric)} by {title}",
        caption=_caption(sweep, found, numbers=numbers, each_job=each_job),
        specification=specification,
        table=_table(found, metric, title),
    )


def _caption(sweep: Sweep, found: Sequence[Value], *, numbers: bool, each_job: bool) -> str:
    alone = len(sweep.leaderboard.names.varying) == 1
    if not each_job:
        said = [
            "Darker: more jobs; line: their mean"
            if numbers
            else "Bar: the middle 80 % of the seeds; circle: their mean"
        ]
    elif numbers:
        said = ["Dot: one seed, beside its value so that none hides another", "bar: the mean of a configuration"]
        said.append("blue: a configuration that may be the best (a contender), which has the longer bar")
        said += ["line: from mean to mean"] if alone else []
    else:
        said = ["Small dot: one seed; circle: their mean, filled where a configuration may be the best (a contender)"]
    if any(each.diverged for each in found):
        where = "; cross: a seed that diverged, at the edge" if each_job else ""
        said.append(f"{counted(sum(each.diverged for each in found), 'job')} diverged, which no mean counts{where}")
    if not numbers and len(found) > MOST_ROWS:
        said.append(f"the first {MOST_ROWS} of {len(found)} values")
    if not alone:
        others = len(sweep.leaderboard.names.varying) - 1
        said.append(f"{counted(others, 'other option')} varied, too")
    return "; ".join(said)


def _table(found: Sequence[Value], metric: Metric, title: str) -> Table:
    def number(value: float | None) -> str:
        return "-" if value is None else metric.number(value)

    rows = [
        (
            each.shown,
            str(len(each.scores)),
            number(each.mean),
            number(min(each.scores, default=None)),
            number(max(each.scores, default=None)),
            str(each.diverged),
        )
        for each in found
    ]
    headings = (title, "n", f"mean: {labels.axis_title(metric)}", "lowest", "highest", "diverged")
    return Table(headings, rows[:MOST_LISTED], len(rows))


# Values that are no numbers: rows


def _rows(sweep: Sweep, found: Sequence[Value], title: str, *, each_job: bool) -> dict[str, Any]:
    metric = sweep.leaderboard.metric
    made = rows(found, metric, title, each_job=each_job)
    scale = strips.scale_of(made, is_share=metric.is_share)
    worse = scale.low if metric.higher_is_better else scale.high
    return strips.specification(made, scale, labels.axis_title(metric), title, worse=worse)


def rows(found: Sequence[Value], metric: Metric, title: str, *, each_job: bool) -> list[Strip]:
    """Return a row for each value, of too many for the first ones.

    Args:
        found: The values.
        metric: What was measured.
        title: The option.
        each_job: Whether each job is a dot; otherwise the middle 80 % of them are a bar.
    """
    shown = found[:MOST_ROWS]
    names = labels.distinct(each.shown for each in shown)
    return [_row(each, name, metric, title, each_job=each_job) for each, name in zip(shown, names, strict=True)]


def _row(each: Value, label: str, metric: Metric, title: str, *, each_job: bool) -> Strip:
    mean = None if each.mean is None else metric.shown(each.mean)
    note = [*([] if mean is None else [mean]), *([f"{each.diverged} diverged"] if each.diverged else [])]
    said = "no result" if mean is None else f"mean {mean} of {counted(len(each.scores), 'job')}"
    return Strip(
        label=label,
        said=f"{title} {each.shown}: {said}",
        mean=None if each.mean is None else labels.drawn(metric, each.mean),
        ends=None,
        is_strong=any(member.standing.contender for member in each.members),
        note=", ".join(note) or "no result",
        dots=[dot for member in each.members for dot in intervals.dots(member, metric)] if each_job else (),
        middle=None if each_job else intervals.middle(each.scores, metric),
    )


# Numbers: a plot


def _plot(sweep: Sweep, found: Sequence[Value], title: str) -> dict[str, Any]:
    """Return the specification of a plot with a dot for each job."""
    canvas = Canvas()
    metric = sweep.leaderboard.metric
    scale, across = scales(found, metric)
    x, y = _axes(canvas, found, across, scale, metric, title)
    spread = _spread([across.across(float(each.value), WIDTH) for each in found])
    layers = (
        _line(canvas, found, x, y, metric) if len(sweep.leaderboard.names.varying) == 1 else [_nothing(canvas, x, y)]
    )
    placed = [
        (across.across(float(each.value), WIDTH), first, member)
        for each in found
        for first, member in _numbered(each.members)
    ]
    for is_contender in (False, True):
        these = [each for each in placed if each[2].standing.contender is is_contender]
        layers += _marks(canvas, these, spread, scale, y, metric, is_contender=is_contender)
    return canvas.layered(layers, width=WIDTH, height=HEIGHT)


def _numbered(members: Sequence[Drawn]) -> list[tuple[int, Drawn]]:
    """Return each configuration at a value with the number of jobs that the ones before it have."""
    counts = accumulate((len(each.standing.jobs) for each in members), initial=0)
    return list(zip(counts, members, strict=False))


def scales(found: Sequence[Value], metric: Metric) -> tuple[Scale, Scale]:
    """Return the scale of the metric and that of the option."""
    scores = [score for each in found for score in each.scores]
    scores = scores or [
        entry.score
        for each in found
        for member in each.members
        for entry in member.standing.jobs
        if entry.score is not None
    ]
    numbers = [float(each.value) for each in found]
    scale = Scale.of([labels.drawn(metric, score) for score in scores], is_share=metric.is_share)
    return scale, Scale.of(numbers, is_log=is_in_ratios(numbers))


def _axes(
    canvas: Canvas, found: Sequence[Value], across: Scale, scale: Scale, metric: Metric, title: str
) -> tuple[Any, Any]:
    ticks = {"values": [each.value for each in found]} if len(found) <= MOST_TICKS else {"tickCount": MOST_TICKS}
    return (
        canvas.channel("X", title, across, grid=False, format=".6~g", labelOverlap=True, labelSeparation=4, **ticks),
        canvas.channel("Y", labels.axis_title(metric), scale),
    )


def _spread(places: Sequence[float]) -> float:
    """Return over how many pixels the seeds at a value may be spread, so that two values do not mix."""
    return min((SHARE * (high - low) for low, high in pairwise(places)), default=SPREAD) if len(places) > 1 else SPREAD


def _nothing(canvas: Canvas, x: Any, y: Any) -> Any:
    """Return a layer that shows only the axes: those of dots are given in pixels."""
    return canvas.chart([]).mark_point(aria=False).encode(x=x, y=y)


def _line(canvas: Canvas, found: Sequence[Value], x: Any, y: Any, metric: Metric) -> list[Any]:
    values = [{"x": each.value, "y": labels.drawn(metric, each.mean)} for each in found if each.mean is not None]
    mark = canvas.chart(values).mark_line(color=style.LIGHT["quiet"], strokeWidth=1.5, aria=False)
    return [mark.encode(x=x, y=y)]


def _marks(
    canvas: Canvas,
    placed: Sequence[tuple[float, int, Drawn]],
    spread: float,
    scale: Scale,
    y: Any,
    metric: Metric,
    *,
    is_contender: bool,
) -> list[Any]:
    """Return the layers of some configurations: a dot for each seed, a cross if it diverged, a bar for the mean.

    Each is placed at a value, beside so many jobs there before its own.
    """
    colour = style.LIGHT["1" if is_contender else "other"]
    half = min(max(spread, 2.0), SPREAD / 2 + (5 if is_contender else 2))
    dots: list[dict[str, Any]] = []
    crosses: list[dict[str, Any]] = []
    bars: list[dict[str, Any]] = []
    worse = scale.low if metric.higher_is_better else scale.high
    for x, first, member in placed:
        for place, dot in enumerate(intervals.dots(member, metric), first):
            group, value = (crosses, worse) if dot.value is None else (dots, dot.value)
            beside = min(spread, SPREAD) * (place * GOLDEN % 1 - 0.5)
            group.append({"x": x + beside, "y": value, "said": labels.description(dot.said, dot.seed)})
        if member.standing.mean is not None:
            mean = labels.drawn(metric, member.standing.mean)
            said = f"{member.name}: mean {metric.shown(member.standing.mean)} of {counted(member.standing.n, 'seed')}"
            bars.append({"x": x - half, "x2": x + half, "y": mean, "said": labels.description(said)})
    across = canvas.alt.X("x:Q", scale=None, axis=None)
    layers = []
    if dots:
        mark = canvas.chart(dots).mark_circle(color=colour, size=20, opacity=0.8)
        layers.append(mark.encode(x=across, y=y, description="said:N"))
    if crosses:
        mark = canvas.chart(crosses).mark_point(**CROSS)
        layers.append(mark.encode(x=across, y=y, description="said:N"))
    if bars:
        mark = canvas.chart(bars).mark_rule(color=colour, strokeWidth=2.5)
        layers.append(mark.encode(x=across, x2="x2:Q", y=y, description="said:N"))
    return layers


def _bins(sweep: Sweep, found: Sequence[Value], title: str) -> dict[str, Any]:
    """Return the specification of a plot with a rectangle for each bin of jobs."""
    canvas = Canvas()
    metric = sweep.leaderboard.metric
    scale, across = scales(found, metric)
    x, y = _axes(canvas, found, across, scale, metric, title)
    columns = bins.around([float(each.value) for each in found], across, BINS)
    levels = bins.parts(scale, BINS)
    counts: Counter[tuple[int, int]] = Counter()
    for each in found:
        column = bins.index(columns, float(each.value))
        counts.update((column, bins.index(levels, labels.drawn(metric, score))) for score in each.scores)
    layers = []
    for step, (colour, _) in enumerate(style.HEAT):
        values = [
            _bin(place, count, columns, levels, title, metric)
            for place, count in sorted(counts.items())
            if (len(style.HEAT) * count - 1) // max(counts.values()) == step
        ]
        if values:
            mark = canvas.chart(values).mark_rect(color=colour, opacity=1)
            layers.append(mark.encode(x=x, y=y, x2="x2:Q", y2="y2:Q", description="said:N"))
    layers += _line(canvas, _merged(found, columns), x, y, metric)
    return canvas.layered(layers, width=WIDTH, height=HEIGHT)


def _bin(
    place: tuple[int, int], count: int, columns: Sequence[float], levels: Sequence[float], title: str, metric: Metric
) -> dict[str, Any]:
    (low, high), (bottom, top) = ((ends[i], ends[i + 1]) for ends, i in zip((columns, levels), place, strict=True))
    unit = " %" if metric.is_share else ""
    said = f"{title} {low:.4g} to {high:.4g}, {metric.name} {bottom:.5g} to {top:.5g}{unit}: {counted(count, 'job')}"
    return {"x": low, "x2": high, "y": bottom, "y2": top, "said": labels.description(said)}


def _merged(found: Sequence[Value], columns: Sequence[float]) -> list[Value]:
    """Return one value for all those in one bin, in its middle."""
    groups: dict[int, list[Value]] = {}
    for each in found:
        groups.setdefault(bins.index(columns, float(each.value)), []).append(each)
    return [
        group[0]
        if len(group) == 1
        else Value(group[len(group) // 2].value, "", (), [score for each in group for score in each.scores], 0)
        for group in groups.values()
    ]
