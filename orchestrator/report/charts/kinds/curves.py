"""Learning curves: the metric after each epoch, the mean of each configuration with a band over its seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.statistics.intervals import Interval, confidence_sequence, t_interval
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import configurations, labels, style
from orchestrator.report.charts.chart import Chart, Table
from orchestrator.report.charts.configurations import MOST_JOBS, Drawn
from orchestrator.report.charts.marks.canvas import Canvas
from orchestrator.report.charts.marks.scales import Scale, apart
from orchestrator.text import counted
from worker.trainers.protocol import Metric

#: So many configurations, the first by rank, have a colour, a band and a label; the others are grey.
LABELLED = len(style.SERIES)
#: Of more configurations, the last ones by rank are not drawn.
MOST_CURVES = 100
#: Points of a mean, and of all thin lines together: of more epochs, some are left out.
MOST_POINTS = 200
MOST_POINTS_OF_JOBS = 20_000
#: Rows of the table.
MOST_ROWS = 500
WIDTH, HEIGHT = 350, 270
MOST_TICKS = 10


@dataclass(frozen=True)
class Point:
    """The metric of a configuration after an epoch.

    Attributes:
        epoch: From 1.
        n: The number of jobs that trained so far, without those that diverged.
        mean: Their mean, exact and rounded once.
        interval: Where the mean over all seeds is, at 95 %, as on the leaderboard; None for few seeds.
    """

    epoch: int
    n: int
    mean: float
    interval: Interval | None


@dataclass(frozen=True)
class Curve:
    """The learning curve of a configuration.

    Attributes:
        configuration: The configuration.
        points: After each epoch, or some of them where there are many; empty if no job trained.
        jobs: The metric after each of the same epochs, by seed, of every job with a result.
        diverged: The seeds of those that diverged.
    """

    configuration: Drawn
    points: Sequence[Point]
    jobs: Mapping[int, Sequence[tuple[int, float]]]
    diverged: frozenset[int]


def curves(sweep: Sweep) -> tuple[Curve, ...]:
    """Return the learning curves of a sweep by rank, without configurations that have no result."""
    sequential = bool(sweep.manifest.looks)
    made = (
        _curve(each, sweep, sequential=sequential, banded=place < LABELLED)
        for place, each in enumerate(configurations.drawn(sweep))
    )
    return tuple(each for each in made if each.jobs)


def _curve(drawn: Drawn, sweep: Sweep, *, sequential: bool, banded: bool) -> Curve:
    rows = drawn.rows(sweep.rows)
    trained = [row.validation_score for row in rows if row.status == "succeeded"]
    epochs = _some(max((len(row.validation_score) for row in rows), default=0), MOST_POINTS)
    points = []
    for epoch in epochs:
        values = [scores[epoch - 1] for scores in trained if len(scores) >= epoch]
        if values:
            interval = confidence_sequence if sequential else t_interval
            points.append(Point(epoch, len(values), statistics.mean(values), interval(values) if banded else None))
    jobs = {
        row.seed: [(epoch, row.validation_score[epoch - 1]) for epoch in epochs if epoch <= len(row.validation_score)]
        for row in rows
    }
    return Curve(drawn, points, jobs, frozenset(row.seed for row in rows if row.status == "diverged"))


def _some(count: int, most: int) -> list[int]:
    """Return the numbers from 1 to `count`, or `most` of them at equal distances, the first and last among them."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / (most - 1)) for i in range(most)})


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no such chart, as a phrase; None if it has one."""
    if not configurations.has_results(sweep):
        return configurations.NO_RESULT
    longest = max(len(row.validation_score) for row in sweep.rows.values())
    return None if longest > 1 else "every job has one epoch"


def chart(sweep: Sweep) -> Chart | None:
    """Return the learning curves; None without a result, and where every job has one epoch only.

    Raises:
        MissingPackageError: Altair is not installed.
    """
    if absent(sweep) is not None:
        return None
    found = curves(sweep)
    metric = sweep.leaderboard.metric
    return Chart(
        name="curves",
        title=f"Learning curves: {labels.plain(metric.name)} after each epoch",
        caption=_caption(found, sweep),
        specification=_specification(found, sweep),
        table=_table(found, metric),
    )


def _caption(found: Sequence[Curve], sweep: Sweep) -> str:
    said = ["Thick line: mean over the seeds that trained"]
    if any(point.interval for curve in found for point in curve.points):
        often = " however often one looks" if sweep.manifest.looks else ""
        said.append(f"band: where the mean over all seeds is, at 95 %{often}")
    if _each_job(sweep):
        said.append("thin line: one seed")
    if any(curve.diverged for curve in found):
        said.append("dashed red: a job that diverged, which no mean counts")
    if len(found) > LABELLED:
        grey = counted(min(len(found), MOST_CURVES) - LABELLED, "further configuration")
        said.append(f"grey: {grey} of {len(found)}" if len(found) > MOST_CURVES else f"grey: {grey}")
    return "; ".join(said)


def _each_job(sweep: Sweep) -> bool:
    return len(sweep.jobs) <= MOST_JOBS


def _table(found: Sequence[Curve], metric: Metric) -> Table:
    rows = [
        (
            curve.configuration.name,
            str(point.epoch),
            str(point.n),
            metric.number(point.mean),
            "-" if point.interval is None else metric.number(point.interval.low),
            "-" if point.interval is None else metric.number(point.interval.high),
        )
        for curve in found
        for point in curve.points
    ]
    headings = ("configuration", "epoch", "n", labels.axis_title(metric), "low", "high")
    return Table(headings, rows[:MOST_ROWS], len(rows))


# How it is drawn


def _specification(found: Sequence[Curve], sweep: Sweep) -> dict[str, Any]:
    canvas = Canvas()
    metric = sweep.leaderboard.metric
    shown = found[:MOST_CURVES]
    scale = _scale(shown, metric)
    last = max(epoch for curve in shown for line in curve.jobs.values() for epoch, _ in line)
    x = canvas.alt.X(
        "x:Q",
        title="epoch",
        scale=canvas.alt.Scale(domain=[1, last], nice=False, zero=False),
        axis=_epoch_axis(canvas, last),
    )
    y = canvas.channel("Y", labels.axis_title(metric), scale)
    layers = [
        canvas.chart(values).mark_area(clip=True, opacity=0.18, color=colour, aria=False).encode(x=x, y=y, y2="y2:Q")
        for values, colour in _bands(shown, scale, metric)
    ]
    if _each_job(sweep):
        layers += _thin(canvas, shown, x, y, metric)
    layers += [
        canvas.chart(values)
        .mark_line(clip=True, color=colour, strokeWidth=width, opacity=opacity)
        .encode(x=x, y=y, detail="line:N", description="said:N", order="x:Q")
        for values, colour, width, opacity in _means(shown, metric)
    ]
    layers += _labels(canvas, shown, scale, last, metric, configurations.axis_title(sweep))
    return canvas.layered(layers, width=WIDTH, height=HEIGHT)


def _epoch_axis(canvas: Canvas, last: int) -> Any:
    """Return an axis with ticks at whole epochs."""
    step = max(1, -(-last // MOST_TICKS))
    return canvas.alt.Axis(format="d", grid=False, values=sorted({1, *range(step, last + 1, step)}))


def _scale(shown: Sequence[Curve], metric: Metric) -> Scale:
    """Return the scale of the metric: of what trained, because what diverged may be anywhere."""
    trained = [
        value for curve in shown for seed, line in curve.jobs.items() if seed not in curve.diverged for _, value in line
    ]
    every = [value for curve in shown for line in curve.jobs.values() for _, value in line]
    return Scale.of([labels.drawn(metric, value) for value in trained or every], is_share=metric.is_share)


def _bands(shown: Sequence[Curve], scale: Scale, metric: Metric) -> list[tuple[list[dict[str, Any]], str]]:
    found = []
    for curve, colour in zip(shown, style.SERIES, strict=False):
        ends = [(point.epoch, point.interval) for point in curve.points if point.interval is not None]
        values = [
            {
                "x": epoch,
                "y": scale.inside(labels.drawn(metric, interval.low)),
                "y2": scale.inside(labels.drawn(metric, interval.high)),
            }
            for epoch, interval in ends
        ]
        if values:
            found.append((values, colour))
    return found


def _thin(canvas: Canvas, shown: Sequence[Curve], x: Any, y: Any, metric: Metric) -> list[Any]:
    """Return a layer for each colour of thin lines, one line for each job, and one for jobs that diverged."""
    jobs = sum(len(curve.jobs) for curve in shown)
    most = max(2, MOST_POINTS_OF_JOBS // jobs)
    groups: dict[str, list[dict[str, Any]]] = {}
    for place, curve in enumerate(shown):
        for seed, line in curve.jobs.items():
            lost = seed in curve.diverged
            colour = style.LIGHT["lost"] if lost else style.SERIES[place] if place < LABELLED else style.LIGHT["other"]
            ended = f"{'diverged at' if lost else ''} {metric.shown(line[-1][1])} after {counted(line[-1][0], 'epoch')}"
            said = labels.description(f"{curve.configuration.job(seed)}: {ended.strip()}", seed)
            groups.setdefault(colour, []).extend(
                {
                    "x": line[i - 1][0],
                    "y": labels.drawn(metric, line[i - 1][1]),
                    "line": f"{place}.{seed}",
                    "said": said,
                }
                for i in _some(len(line), most)
            )
    return [
        canvas.chart(values)
        .mark_line(
            clip=True,
            color=colour,
            strokeWidth=1,
            opacity=0.35,
            strokeDash=[4, 3] if colour == style.LIGHT["lost"] else [1, 0],
            point=False,
        )
        .encode(x=x, y=y, detail="line:N", description="said:N", order="x:Q")
        for colour, values in groups.items()
    ]


def _means(shown: Sequence[Curve], metric: Metric) -> list[tuple[list[dict[str, Any]], str, float, float]]:
    """Return the means that have a colour of their own, the first one on top of the others, and the grey ones below."""
    lines = [
        [
            {
                "x": point.epoch,
                "y": labels.drawn(metric, point.mean),
                "line": str(place),
                "said": _said(curve, metric),
            }
            for point in curve.points
        ]
        for place, curve in enumerate(shown)
    ]
    grey = [value for line in lines[LABELLED:] for value in line]
    found = [(grey, style.LIGHT["other"], 1.0, 0.7)] if grey else []
    coloured = [(line, colour, 2.25, 1.0) for line, colour in zip(lines, style.SERIES, strict=False) if line]
    return found + coloured[::-1]


def _said(curve: Curve, metric: Metric) -> str:
    end = curve.points[-1]
    mean = f"mean {metric.shown(end.mean)} of {counted(end.n, 'seed')} after {counted(end.epoch, 'epoch')}"
    return labels.description(f"{curve.configuration.name}: {mean}")


def _labels(canvas: Canvas, shown: Sequence[Curve], scale: Scale, last: int, metric: Metric, heading: str) -> list[Any]:
    """Return the labels beside the ends of the curves, moved apart, each tied to its end by a line."""
    named = [
        (
            curve.configuration.label,
            colour,
            curve.points[-1].epoch,
            scale.inside(labels.drawn(metric, curve.points[-1].mean)),
        )
        for curve, colour in zip(shown, style.SERIES, strict=False)
        if curve.points
    ]
    places = apart([scale.down(value, HEIGHT) for *_, value in named], style.FONT_SIZE + 3, HEIGHT)
    layers = (
        [_text(canvas, heading, style.LIGHT["quiet"], min(places, default=0) - style.FONT_SIZE - 6)] if named else []
    )
    for (text, colour, epoch, value), place in zip(named, places, strict=True):
        start = WIDTH * (epoch - 1) / max(last - 1, 1)
        tie = [{"x": start, "y": scale.down(value, HEIGHT)}, {"x": WIDTH + 14, "y": place}]
        raw = {"scale": None, "axis": None}
        layers.append(
            canvas.chart(tie)
            .mark_line(color=colour, strokeWidth=0.75, strokeDash=[1, 2], aria=False)
            .encode(x=canvas.alt.X("x:Q", **raw), y=canvas.alt.Y("y:Q", **raw))
        )
        layers.append(_text(canvas, text, colour, place, fontWeight="bold"))
    return layers


def _text(canvas: Canvas, text: str, colour: str, y: float, **more: Any) -> Any:
    """Return a text to the right of the curves."""
    return (
        canvas.chart([{"text": text}])
        .mark_text(align="left", baseline="middle", color=colour, aria=False, **more)
        .encode(x=canvas.alt.XValue(WIDTH + 18), y=canvas.alt.YValue(y), text="text:N")
    )
