"""A heat map: the mean of every pair of values, where two options vary."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

from nn.options.describe import heading
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import configurations, labels, style
from orchestrator.report.charts.chart import Chart, Table
from orchestrator.report.charts.configurations import Drawn
from orchestrator.report.charts.kinds.by_axis import are_numbers
from orchestrator.report.charts.marks import bins
from orchestrator.report.charts.marks.canvas import Canvas
from orchestrator.report.charts.marks.scales import Scale, is_in_ratios
from orchestrator.text import counted
from worker.trainers.protocol import Metric

#: Of more numbers, neighbours share a bin; of more values that are no numbers, the first ones in the sweep's order are
#: drawn.
MOST_LEVELS = 20
BINS = 10
#: Characters of a level's label.
MOST_LABEL = 20
#: Rows of the table.
MOST_LISTED = 500
#: Pixels of a cell: its height, and its width by the number of columns.
HEIGHT, WIDTH, LEAST_WIDTH, MOST_WIDTH = 34, 420, 26, 70
#: Pixels of a character of the number in a cell, with some to spare for a wider font.
CHARACTER_WIDTH = 7.5


@dataclass(frozen=True)
class Cell:
    """A pair of values.

    Attributes:
        across: The place of the first option's value among those that are drawn, from 0.
        up: That of the second one's, from 0.
        mean: The mean of the jobs that trained, exact and rounded once; None if none did.
        n: Their number.
        diverged: The number of those that diverged.
        is_contender: Whether a configuration in it can be the best.
        said: What it shows.
    """

    across: int
    up: int
    mean: float | None
    n: int
    diverged: int
    is_contender: bool
    said: str


@dataclass(frozen=True)
class Side:
    """An option of a heat map.

    Attributes:
        name: The option.
        title: Its name in text.
        levels: What is drawn along it, each unlike the others.
        known: How many values it has.
        ends: Those of bins, where it has more numbers than are drawn one by one.
        places: The place of each value that is drawn.
    """

    name: str
    title: str
    levels: Sequence[str]
    known: int
    ends: Sequence[float] = ()
    places: Mapping[Any, int] = field(default_factory=dict)

    @classmethod
    def of(cls, sweep: Sweep, name: str) -> Self:
        """Return the side of an option that varies."""
        names = sweep.leaderboard.names
        title = labels.plain(heading(names.model, name))
        values = list(names.varying[name])
        numbers = are_numbers(values)
        if numbers:
            values.sort()
        if numbers and len(values) > MOST_LEVELS:
            ends = bins.parts(Scale(float(values[0]), float(values[-1]), is_in_ratios(values)), BINS)
            return cls(name, title, [f"{low:.3g} to {high:.3g}" for low, high in pairwise(ends)], len(values), ends)
        shown = values[:MOST_LEVELS]
        levels = labels.distinct((labels.named(names.shown(name, value)) for value in shown), MOST_LABEL)
        return cls(name, title, levels, len(values), places={value: place for place, value in enumerate(shown)})

    def place(self, value: Any) -> int | None:
        """Return the place of a value; None if it is not drawn."""
        return bins.index(self.ends, value) if self.ends else self.places.get(value)


def sides(sweep: Sweep) -> tuple[Side, Side]:
    """Return the two options that vary: the one across, and the one up, which is that with the longer labels."""
    first, second = (Side.of(sweep, name) for name in sweep.leaderboard.names.varying)
    is_long = [max(map(len, side.levels)) * CHARACTER_WIDTH > _width(side) for side in (first, second)]
    return (second, first) if is_long == [True, False] else (first, second)


def cells(sweep: Sweep) -> tuple[Cell, ...]:
    """Return the pairs of values that the sweep has, column by column."""
    metric = sweep.leaderboard.metric
    across, up = sides(sweep)
    groups: dict[tuple[int, int], list[Drawn]] = {}
    for each in configurations.drawn(sweep):
        column, row = (side.place(each.standing.options[side.name]) for side in (across, up))
        if column is not None and row is not None:
            groups.setdefault((column, row), []).append(each)
    return tuple(_cell(place, members, (across, up), metric) for place, members in sorted(groups.items()))


def _cell(place: tuple[int, int], members: Sequence[Drawn], of: tuple[Side, Side], metric: Metric) -> Cell:
    scores = [score for each in members for score in each.scored.trained.values()]
    diverged = sum(each.scored.diverged for each in members)
    mean = statistics.mean(scores) if scores else None
    parts = [f"{side.title} {side.levels[i]}" for side, i in zip(of, place, strict=True)]
    said = "no result" if mean is None else f"mean {metric.shown(mean)} of {counted(len(scores), 'job')}"
    return Cell(
        across=place[0],
        up=place[1],
        mean=mean,
        n=len(scores),
        diverged=diverged,
        is_contender=any(each.standing.contender for each in members),
        said=f"{', '.join(parts)}: {said}{f', {diverged} diverged' if diverged else ''}",
    )


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no heat map, as a phrase; None if it has one."""
    if not configurations.has_results(sweep):
        return configurations.NO_RESULT
    varying = len(sweep.leaderboard.names.varying)
    # Over further options, a cell would be a mean of unlike configurations.
    return None if varying == 2 else f"it needs exactly two options that vary, not {varying}"


def chart(sweep: Sweep) -> Chart | None:
    """Return the heat map; None unless exactly two options vary and there is a result.

    Raises:
        MissingPackageError: Altair is not installed.
    """
    if absent(sweep) is not None:
        return None
    metric = sweep.leaderboard.metric
    across, up = sides(sweep)
    found = cells(sweep)
    return Chart(
        name="heatmap",
        title=f"{labels.headline(metric)} by {across.title} and {up.title}",
        caption=_caption(found, (across, up), metric),
        specification=_specification(found, across, up, metric),
        table=_table(found, across, up, metric),
    )


def _caption(found: Sequence[Cell], of: tuple[Side, Side], metric: Metric) -> str:
    better = "higher" if metric.higher_is_better else "lower"
    number = f"Number: the mean over the seeds that trained{', %' if metric.is_share else ''}"
    said = [number if _fits(found, of[0], metric) else "Cell: the mean over the seeds that trained"]
    said.append(f"stronger colour: better, that is {better}")
    if any(cell.is_contender for cell in found):
        said.append("framed: a configuration that may be the best (a contender)")
    if any(cell.diverged for cell in found):
        said.append("cross: some seeds diverged, which no mean counts")
    for side in of:
        if side.ends:
            said.append(f"the {side.known} values of {side.title} in {BINS} bins")
        elif side.known > len(side.levels):
            said.append(f"the first {len(side.levels)} of {side.known} values of {side.title}")
    return "; ".join(said)


def _table(found: Sequence[Cell], across: Side, up: Side, metric: Metric) -> Table:
    rows = [
        (
            across.levels[cell.across],
            up.levels[cell.up],
            "-" if cell.mean is None else metric.number(cell.mean),
            str(cell.n),
            str(cell.diverged),
            "yes" if cell.is_contender else "no",
        )
        for cell in found
    ]
    headings = (across.title, up.title, f"mean: {labels.axis_title(metric)}", "n", "diverged", "contender")
    return Table(headings, rows[:MOST_LISTED], len(rows))


# How it is drawn


def _width(across: Side) -> float:
    return min(max(WIDTH / len(across.levels), LEAST_WIDTH), MOST_WIDTH)


def _fits(found: Sequence[Cell], across: Side, metric: Metric) -> bool:
    """Return whether every cell is as wide as its number."""
    return max(len(_number(cell, metric)) for cell in found) * CHARACTER_WIDTH <= _width(across)


def _specification(found: Sequence[Cell], across: Side, up: Side, metric: Metric) -> dict[str, Any]:
    canvas = Canvas()
    longest = max(map(len, across.levels))
    angle = 0 if longest * CHARACTER_WIDTH <= _width(across) else -45
    x = canvas.alt.X(
        "x:N",
        title=across.title,
        scale=canvas.alt.Scale(domain=list(across.levels), padding=0),
        axis=canvas.alt.Axis(labelAngle=angle, domain=False, ticks=False),
    )
    y = canvas.alt.Y(
        "y:N",
        title=up.title,
        # Numbers grow upwards.
        scale=canvas.alt.Scale(domain=list(up.levels)[::-1], padding=0),
        axis=canvas.alt.Axis(domain=False, ticks=False),
    )
    layers = _grounds(canvas, found, across, up, metric, x, y)
    frames = [_at(cell, across, up) for cell in found if cell.is_contender]
    if frames:
        mark = canvas.chart(frames).mark_rect(
            filled=False, stroke=style.LIGHT["ink"], strokeWidth=2, opacity=1, aria=False
        )
        layers.append(mark.encode(x=x, y=y))
    height = canvas.alt.Step(HEIGHT)
    return canvas.layered(layers, width=canvas.alt.Step(_width(across)), height=height)


def _at(cell: Cell, across: Side, up: Side) -> dict[str, Any]:
    return {"x": across.levels[cell.across], "y": up.levels[cell.up]}


def _grounds(
    canvas: Canvas, found: Sequence[Cell], across: Side, up: Side, metric: Metric, x: Any, y: Any
) -> list[Any]:
    """Return the layers of cells: a rectangle and a number for each step of colour, and those without a mean."""
    steps = _steps(found, metric)
    text = _number if _fits(found, across, metric) else _cross
    layers = []
    for step, (ground, ink) in [(None, (style.LIGHT["ground"], style.LIGHT["quiet"])), *enumerate(style.HEAT)]:
        values = [
            {**_at(cell, across, up), "said": labels.description(cell.said), "text": text(cell, metric)}
            for cell, own in zip(found, steps, strict=True)
            if own == step
        ]
        if values:
            data = canvas.chart(values)
            rectangle = data.mark_rect(color=ground, stroke=style.LIGHT["ground"], strokeWidth=1, opacity=1)
            layers.append(rectangle.encode(x=x, y=y, description="said:N"))
            layers.append(data.mark_text(color=ink, aria=False).encode(x=x, y=y, text="text:N"))
    return layers


def _steps(found: Sequence[Cell], metric: Metric) -> list[int | None]:
    """Return the step of each cell's colour: from the worst to the best mean, in equal parts."""
    means = [cell.mean for cell in found if cell.mean is not None]
    if not means:
        return [None for _ in found]
    scale = Scale.of([labels.drawn(metric, mean) for mean in means], is_share=metric.is_share)
    shares = [None if cell.mean is None else scale.share(labels.drawn(metric, cell.mean)) for cell in found]
    last = len(style.HEAT) - 1
    steps = [None if share is None else min(int(share * len(style.HEAT)), last) for share in shares]
    return steps if metric.higher_is_better else [None if step is None else last - step for step in steps]


def _number(cell: Cell, metric: Metric) -> str:
    return f"{'-' if cell.mean is None else metric.number(cell.mean)}{_cross(cell, metric)}"


def _cross(cell: Cell, _: Metric) -> str:
    return "×" if cell.diverged else ""
