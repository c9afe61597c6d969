"""Learning curves: the metric after each epoch, the mean of each configuration with a band over its seeds."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.analysis.statistics.intervals import Interval
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import configurations, labels, style
from orchestrator.report.charts.configurations import Drawn
from orchestrator.report.charts.marks.canvas import Canvas, Scale, apart
from orchestrator.report.contents.parts import Chart
from orchestrator.text import counted
from worker.trainers.protocol import Metric

#: How many configurations, the first by rank, have a colour, a band and a label; the others are grey.
LABELLED = len(style.SERIES)
#: Most configurations that are drawn, the first by rank.
MOST_CURVES = 100
#: Most points of a mean, and of all thin lines together: of more epochs, some are left out.
MOST_POINTS = 200
MOST_POINTS_OF_JOBS = 20_000
WIDTH, HEIGHT = 350, 270
#: One more than a power of two: where labels overlap, every other one is hidden, and the last one must stay.
MOST_TICKS = 9
#: Pixels from the plot to its labels.
BESIDE = 14


@dataclass(frozen=True)
class Point:
    """The metric of a configuration after an epoch.

    Attributes:
        epoch: From 1.
        n: The number of jobs that trained this far, without those that diverged.
        mean: Their mean, exact and rounded once.
        interval: 95 % interval of the mean over all seeds, as on the leaderboard; None for few seeds.
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
        points: After each epoch, or some of them if there are many; empty if no job trained.
        jobs: Epoch and metric at each of these epochs, by seed, for every job with a result.
        diverged: The seeds of those that diverged.
    """

    configuration: Drawn
    points: Sequence[Point]
    jobs: Mapping[int, Sequence[tuple[int, float]]]
    diverged: frozenset[int]


def curves(sweep: Sweep) -> tuple[Curve, ...]:
    """Return the learning curves of a sweep by rank, without configurations that have no result."""
    made = (_curve(each, sweep, banded=place < LABELLED) for place, each in enumerate(configurations.drawn(sweep)))
    return tuple(each for each in made if each.jobs)


def _curve(drawn: Drawn, sweep: Sweep, *, banded: bool) -> Curve:
    rows = [row for key in drawn.standing.scored.keys if (row := sweep.rows.get(key)) is not None and row.accepted]
    curve_of = sweep.scoring.values
    trained = [curve_of(row) for row in rows if row.status == "succeeded"]
    epochs = _some(max((len(row.epoch_seconds) for row in rows), default=0), MOST_POINTS)
    points = []
    for epoch in epochs:
        values = [scores[epoch - 1] for scores in trained if len(scores) >= epoch]
        if values:
            interval = sweep.judgement.interval(drawn.standing.scored, values) if banded else None
            points.append(Point(epoch, len(values), statistics.mean(values), interval))
    jobs = {
        row.seed: [(epoch, curve_of(row)[epoch - 1]) for epoch in epochs if epoch <= len(row.epoch_seconds)]
        for row in rows
    }
    return Curve(drawn, points, jobs, frozenset(row.seed for row in rows if row.status == "diverged"))


def _some(count: int, most: int) -> list[int]:
    """Return the numbers from 1 to `count`, or `most` of them at equal distances, with the first and the last."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / (most - 1)) for i in range(most)})


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no such chart, as a phrase; None if it has one."""
    longest = max((len(row.validation_score) for row in sweep.rows.values()), default=0)
    return configurations.absent(sweep) or (None if longest > 1 else "every job has one epoch")


def chart(sweep: Sweep, name: str) -> Chart:
    """Return the learning curves of a sweep with results and several epochs."""
    return _chart(curves(sweep), sweep, name)


def _chart(found: Sequence[Curve], sweep: Sweep, name: str) -> Chart:
    metric = sweep.names.metric
    return Chart(
        name=name,
        title=f"Learning curves: {labels.plain(metric.name)} after each epoch",
        caption=_caption(found, sweep),
        specification=_specification(found, sweep),
        headings=("configuration", "epoch", "n", labels.axis_title(metric), "low", "high"),
        rows=[_cells(curve, point, metric) for curve in found for point in curve.points],
    )


def of_both(a: Sweep, b: Sweep) -> Chart | None:
    """Return the curves of the first configurations of two sweeps; None without any, or if their metrics differ."""
    if absent(a) or absent(b) or a.names.metric != b.names.metric:
        return None
    found = []
    for sweep in (a, b):
        for each in curves(sweep)[: LABELLED // 2]:
            name, label = (f"{sweep.name}: {text}" for text in (each.configuration.name, each.configuration.label))
            found.append(replace(each, configuration=replace(each.configuration, name=name, label=labels.short(label))))
    return _chart(found, a, "curves-of-both")


def _caption(found: Sequence[Curve], sweep: Sweep) -> str:
    further = min(len(found), MOST_CURVES) - LABELLED
    of_all = f" of {len(found)}" if len(found) > MOST_CURVES else ""
    often = " however often one looks" if sweep.judgement.sequential else ""
    return labels.joined(
        "Thick line: mean over the seeds that trained",
        any(point.interval for curve in found for point in curve.points)
        and f"band: where the mean over all seeds is, at 95 %{often}",
        configurations.draws_jobs(sweep) and "thin line: one seed",
        any(curve.diverged for curve in found) and "dashed red: a job that diverged, which no mean counts",
        further > 0 and f"grey: {counted(further, 'further configuration')}{of_all}",
    )


def _cells(curve: Curve, point: Point, metric: Metric) -> tuple[str, ...]:
    ends = (None, None) if point.interval is None else (point.interval.low, point.interval.high)
    figures = [metric.number(value) for value in (point.mean, *ends)]
    return (curve.configuration.name, str(point.epoch), str(point.n), *figures)


# How it is drawn


def _scales(shown: Sequence[Curve], metric: Metric) -> tuple[Scale, Scale]:
    """Return the scales of the epochs and of the metric, which ignores diverged jobs: they may be anywhere."""
    every = [(epoch, value, seed in curve.diverged)
             for curve in shown for seed, line in curve.jobs.items() for epoch, value in line]  # fmt: skip
    trained = [value for _, value, diverged in every if not diverged] or [value for _, value, _ in every]
    last = max(epoch for epoch, *_ in every)
    scale = Scale.around([labels.drawn(metric, value) for value in trained], is_share=metric.is_share)
    return Scale(1.0, float(max(last, 2))), scale


def _specification(found: Sequence[Curve], sweep: Sweep) -> dict[str, Any]:
    canvas = Canvas()
    alt = canvas.alt
    metric = sweep.names.metric
    shown = found[:MOST_CURVES]
    across, scale = _scales(shown, metric)
    # Vega's own ticks would be round numbers, and so neither the first epoch nor, most often, the last.
    x = canvas.channel("X", "x", "epoch", across, format="d", grid=False, values=_some(int(across.high), MOST_TICKS))
    y = canvas.channel("Y", "y", labels.axis_title(metric), scale, clamp=True)
    jobs = _jobs(shown, metric) if configurations.draws_jobs(sweep) else []
    means = canvas.chart(_means(shown, metric))
    named, ties = _named(shown, across, scale, metric)
    title = configurations.axis_title(sweep)
    highest = max(named, key=lambda label: label["y"], default=None)
    dashed = alt.condition("datum.diverged", alt.value([4, 3]), alt.value([1, 0]))
    own = {"strokeWidth": alt.StrokeWidth("width:Q", scale=None), "opacity": alt.Opacity("opacity:Q", scale=None)}
    text = {"align": "left", "baseline": "middle", "dx": 4}
    lines = [
        means.transform_filter("isValid(datum.low)").transform_calculate(y="datum.low")
        .mark_area(opacity=0.18).encode(y2="high:Q"),
        canvas.chart(jobs).mark_line(strokeWidth=1, opacity=0.35).encode(strokeDash=dashed, description="said:N"),
        means.mark_line().encode(**own, description="said:N"),
        canvas.chart(ties).mark_line(strokeWidth=0.75, strokeDash=[1, 2]),
    ]  # fmt: skip
    layers = [
        *(line.encode(detail="line:N", color=canvas.own_colour) for line in lines),
        canvas.chart(named).mark_text(**text, fontWeight="bold").encode(text="text:N", color=canvas.own_colour),
        canvas.chart([highest] if highest else [])
        .mark_text(**text, dy=-style.FONT_SIZE - 6, color=style.LIGHT["quiet"])
        .encode(text=alt.value(title)),
    ]
    return canvas.layered([layer.encode(x=x, y=y) for layer in layers], width=WIDTH, height=HEIGHT)


def _colour(place: int) -> str:
    return style.SERIES[place] if place < LABELLED else style.LIGHT["other"]


def _jobs(shown: Sequence[Curve], metric: Metric) -> list[dict[str, Any]]:
    most = max(2, MOST_POINTS_OF_JOBS // sum(len(curve.jobs) for curve in shown))
    found = []
    for place, curve in enumerate(shown):
        for seed, line in curve.jobs.items():
            lost = seed in curve.diverged
            ended = f"{metric.shown(line[-1][1])} after {counted(line[-1][0], 'epoch')}"
            said = f"{curve.configuration.job(seed)}: {'diverged at ' if lost else ''}{ended}"
            found += [
                {
                    "x": line[i - 1][0],
                    "y": labels.drawn(metric, line[i - 1][1]),
                    "line": f"{place}.{seed}",
                    "colour": style.LIGHT["lost"] if lost else _colour(place),
                    "diverged": lost,
                    "said": labels.description(said, seed),
                }
                for i in _some(len(line), most)
            ]
    return found


def _means(shown: Sequence[Curve], metric: Metric) -> list[dict[str, Any]]:
    """Return the points of the means and bands, the first configuration last: on top of the others."""
    found = []
    for place, curve in reversed([(place, curve) for place, curve in enumerate(shown) if curve.points]):
        end = curve.points[-1]
        mean = f"mean {metric.shown(end.mean)} of {counted(end.n, 'seed')} after {counted(end.epoch, 'epoch')}"
        colour, width, opacity = (_colour(place), 2.25, 1.0) if place < LABELLED else (_colour(place), 1.0, 0.7)
        found += [
            {
                "x": point.epoch,
                "y": labels.drawn(metric, point.mean),
                "low": None if point.interval is None else labels.drawn(metric, point.interval.low),
                "high": None if point.interval is None else labels.drawn(metric, point.interval.high),
                "line": str(place),
                "colour": colour,
                "width": width,
                "opacity": opacity,
                "said": labels.description(f"{curve.configuration.name}: {mean}"),
            }
            for point in curve.points
        ]
    return found


def _named(
    shown: Sequence[Curve], across: Scale, scale: Scale, metric: Metric
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the labels of the curves, moved apart, and the end points of the lines from curve to label.

    All are in the units of the axes, which extend beyond the plot.
    """
    curves = [(curve, colour) for curve, colour in zip(shown, style.SERIES, strict=False) if curve.points]
    ends = [labels.drawn(metric, curve.points[-1].mean) for curve, _ in curves]
    places = apart([1 - scale.share(end) for end in ends], (style.FONT_SIZE + 3) / HEIGHT, 1.0)
    texts, ties = [], []
    for (curve, colour), end, place in zip(curves, ends, places, strict=True):
        own = {"line": colour, "colour": colour}
        label = {"x": across.at(1 + BESIDE / WIDTH), "y": scale.at(1 - place), **own}
        ties += [{"x": curve.points[-1].epoch, "y": end, **own}, label]
        texts.append({**label, "text": " ".join([curve.configuration.label, *scale.beyond([end], "▾▴").values()])})
    return texts, ties
