"""A heat map: the mean for every pair of values, if two options vary."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Self

from nn.options.describe import heading
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import configurations, labels, style
from orchestrator.report.charts.configurations import Drawn, Group
from orchestrator.report.charts.marks.canvas import Canvas, Scale
from orchestrator.report.contents.parts import Chart
from worker.trainers.protocol import Metric

#: Most values of an option that are drawn one by one.
MOST_LEVELS = 20
#: Longest label of a level, in characters.
MOST_LABEL = 20
#: Pixels: a cell's height, the width of all cells, and the least and most width of one.
HEIGHT, WIDTH, LEAST_WIDTH, MOST_WIDTH = 34, 420, 26, 70
#: Pixels of a character of the number in a cell, with some to spare for a wider font.
CHARACTER_WIDTH = 7.5


@dataclass(frozen=True)
class Side:
    """An option of a heat map.

    Attributes:
        name: The option.
        title: Its name in text.
        levels: The unique labels along it.
        level: The level of each value that is drawn.
        known: How many values it has.
    """

    name: str
    title: str
    levels: Sequence[str]
    level: Mapping[Any, str]
    known: int

    @classmethod
    def of(cls, sweep: Sweep, name: str) -> Self:
        """Return the side of an option that varies."""
        names = sweep.leaderboard.names
        level = configurations.levels(sweep, name, MOST_LEVELS, MOST_LABEL)
        title = labels.plain(heading(names.model, name))
        return cls(name, title, list(dict.fromkeys(level.values())), level, len(names.varying[name]))

    @property
    def width(self) -> float:
        """The pixels of a column, if it is drawn across."""
        return min(max(WIDTH / len(self.levels), LEAST_WIDTH), MOST_WIDTH)

    @property
    def fits(self) -> bool:
        """Whether no label is wider than its column would be."""
        return max(map(len, self.levels)) * CHARACTER_WIDTH <= self.width


def sides(sweep: Sweep) -> tuple[Side, Side]:
    """Return the options on the x axis and the y axis, which takes labels that do not fit on the x axis."""
    first, second = (Side.of(sweep, name) for name in sweep.leaderboard.names.varying)
    return (second, first) if second.fits and not first.fits else (first, second)


def cells(sweep: Sweep, across: Side, up: Side) -> dict[tuple[str, str], Group]:
    """Return the configurations at each pair of levels on the x axis and the y axis, column by column."""
    groups: dict[tuple[str, str], list[Drawn]] = {place: [] for place in product(across.levels, up.levels)}
    for each in configurations.drawn(sweep):
        column, row = (side.level.get(each.standing.options[side.name]) for side in (across, up))
        if column is not None and row is not None:
            groups[column, row].append(each)
    return {place: Group(members) for place, members in groups.items() if members}


def absent(sweep: Sweep) -> str | None:
    """Return why a sweep has no heat map, as a phrase; None if it has one."""
    varying = len(sweep.leaderboard.names.varying)
    # Over further options, a cell would be a mean of unlike configurations.
    why = None if varying == 2 else f"it needs exactly two options that vary, not {varying}"
    return configurations.absent(sweep) or why


def chart(sweep: Sweep, name: str) -> Chart:
    """Return the heat map of a sweep in which exactly two options vary."""
    metric = sweep.names.metric
    across, up = sides(sweep)
    found = cells(sweep, across, up)
    fits = max(len(_number(cell, metric)) for cell in found.values()) * CHARACTER_WIDTH <= across.width
    means = [labels.drawn(metric, cell.mean) for cell in found.values() if cell.mean is not None]
    scale = Scale.around(means, is_share=metric.is_share)
    marks = [_mark(place, cell, (across, up), metric, scale, fits=fits) for place, cell in found.items()]
    return Chart(
        name=name,
        title=f"{labels.headline(metric)} by {across.title} and {up.title}",
        caption=_caption(found.values(), (across, up), metric, fits=fits),
        specification=_specification(marks, across, up),
        headings=(across.title, up.title, f"mean: {labels.axis_title(metric)}", "n", "diverged", "contender"),
        rows=[(*place, *_cells(cell, metric)) for place, cell in found.items()],
    )


def _caption(found: Collection[Group], of: tuple[Side, Side], metric: Metric, *, fits: bool) -> str:
    unit = ", %" if metric.is_share else ""
    return labels.joined(
        f"{'Number' if fits else 'Cell'}: the mean over the seeds that trained{unit if fits else ''}",
        f"stronger colour: better, that is {'higher' if metric.higher_is_better else 'lower'}",
        any(cell.is_contender for cell in found) and "framed: a configuration that may be the best (a contender)",
        any(cell.diverged for cell in found) and "cross: some seeds diverged, which no mean counts",
        *(
            f"the {side.known} values of {side.title} in {configurations.BINS} bins"
            if len(side.level) == side.known
            else f"the first {len(side.levels)} of {side.known} values of {side.title}"
            for side in of
            if len(side.levels) < side.known
        ),
    )


def _cells(cell: Group, metric: Metric) -> tuple[str, ...]:
    return metric.number(cell.mean), str(len(cell.scores)), str(cell.diverged), "yes" if cell.is_contender else "no"


# How it is drawn


def _specification(marks: Sequence[dict[str, Any]], across: Side, up: Side) -> dict[str, Any]:
    canvas = Canvas()
    alt = canvas.alt
    x = alt.X(
        "x:N",
        title=across.title,
        scale=alt.Scale(domain=list(across.levels), padding=0),
        axis=alt.Axis(labelAngle=0 if across.fits else -45, domain=False, ticks=False),
    )
    y = alt.Y(
        "y:N",
        title=up.title,
        # Numbers grow upwards.
        scale=alt.Scale(domain=list(up.levels)[::-1], padding=0),
        axis=alt.Axis(domain=False, ticks=False),
    )
    data = canvas.chart(marks)
    ground, ink, quiet = (style.LIGHT[name] for name in ("ground", "ink", "quiet"))
    grounds, inks = ([pair[place] for pair in style.HEAT] for place in (0, 1))

    def colour(steps: Sequence[str], without: str) -> Any:
        # The colours divide 0 to 1 into equal parts.
        share = alt.Color("share:Q", scale=alt.Scale(type="quantize", domain=[0, 1], range=list(steps)), legend=None)
        return alt.condition("isValid(datum.share)", share, alt.value(without))

    layers = [
        data.mark_rect(stroke=ground, strokeWidth=1, opacity=1, invalid=None)
        .encode(color=colour(grounds, ground), description="said:N"),
        data.mark_text(invalid=None).encode(color=colour(inks, quiet), text="text:N"),
        data.mark_rect(filled=False, stroke=ink, strokeWidth=2, opacity=1)
        .transform_filter("datum.framed"),
    ]  # fmt: skip
    width, height = alt.Step(across.width), alt.Step(HEIGHT)
    return canvas.layered([layer.encode(x=x, y=y) for layer in layers], width=width, height=height)


def _number(cell: Group, metric: Metric) -> str:
    return f"{metric.number(cell.mean)}{'×' if cell.diverged else ''}"


def _mark(
    place: tuple[str, str], cell: Group, of: tuple[Side, Side], metric: Metric, scale: Scale, *, fits: bool
) -> dict[str, Any]:
    mean = None if cell.mean is None else labels.drawn(metric, cell.mean)
    share = None if mean is None else scale.share(mean)
    # A mean far off has its number even where the others have none: its colour is that of the edge.
    is_far = mean is not None and mean != scale.within(mean)
    where = ", ".join(f"{side.title} {level}" for side, level in zip(of, place, strict=True))
    diverged = f", {cell.diverged} diverged" if cell.diverged else ""
    return {
        "x": place[0],
        "y": place[1],
        # From the worst to the best.
        "share": share if share is None or metric.higher_is_better else 1 - share,
        "framed": cell.is_contender,
        "text": _number(cell, metric) if fits or is_far else "×" if cell.diverged else "",
        "said": labels.description(f"{where}: {cell.said(metric)}{diverged}"),
    }
