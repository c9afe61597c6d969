"""Rows of dots: one row for each of several things, with its mean, its interval, and a small dot for each seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from orchestrator.report.charts import labels, style
from orchestrator.report.charts.marks.canvas import Canvas
from orchestrator.report.charts.marks.scales import Scale

#: Pixels of the whole: on a phone, its text can then still be read; and of the least and the most between the labels.
WHOLE, LEAST_WIDTH, MOST_WIDTH = 540, 260, 400
#: Pixels around labels and notes, and of a character.
AROUND, CHARACTER_WIDTH = 80, 6.3
#: Pixels from row to row, and where there are many rows.
STEP, NARROW_STEP, MANY = 28, 20, 40
#: Pixels below a row's middle at which its seeds are, so that they do not hide its interval.
BELOW = 7


@dataclass(frozen=True)
class Dot:
    """One seed.

    Attributes:
        seed: The seed.
        value: In the unit of the axis; None for a job that diverged, which has its place at the edge.
        said: Its description.
    """

    seed: int
    value: float | None
    said: str


@dataclass(frozen=True)
class Strip:
    """A row.

    Attributes:
        label: Its name beside the axis, unlike every other one.
        said: What its mean says.
        mean: In the unit of the axis; None if there is none.
        ends: Those of its interval; None without one.
        is_strong: Whether its mean is filled, and not hollow.
        note: The text on its right.
        dots: Its seeds; empty where they are too many.
        middle: Instead of them, the ends of their middle 80 %.
    """

    label: str
    said: str
    mean: float | None
    ends: tuple[float, float] | None
    is_strong: bool
    note: str
    dots: Sequence[Dot] = field(default=())
    middle: tuple[float, float] | None = None


def scale_of(strips: Iterable[Strip], *, zero: bool = False, is_share: bool = False) -> Scale:
    """Return a scale for rows: of everything but what reaches far beyond the seeds, as an interval of two of them does.

    Args:
        strips: The rows.
        zero: Whether the scale has zero.
        is_share: Whether values are shares in percent.
    """
    listed = list(strips)
    inner = [dot.value for strip in listed for dot in strip.dots if dot.value is not None]
    inner += [strip.mean for strip in listed if strip.mean is not None]
    inner += [end for strip in listed for end in strip.middle or ()]
    inner += [0.0] if zero or not inner else []
    low, high = min(inner), max(inner)
    room = (high - low) / 2 or abs(high) / 20
    ends = [min(max(end, low - room), high + room) for strip in listed for end in strip.ends or ()]
    return Scale.of([*inner, *ends], is_share=is_share)


def specification(
    strips: Sequence[Strip], scale: Scale, title: str, rows: str, *, worse: float, rule: float | None = None
) -> dict[str, Any]:
    """Return the specification of rows, from top to bottom.

    Args:
        strips: The rows, at least one.
        scale: Of the horizontal axis.
        title: Of the horizontal axis.
        rows: What the rows are.
        worse: The end of the scale at which jobs are that diverged.
        rule: Where to draw a vertical line; None for none.
    """
    canvas = Canvas()
    width = _width(strips, rows)
    y = canvas.alt.Y(
        "row:N",
        title=rows,
        scale=canvas.alt.Scale(domain=[strip.label for strip in strips]),
        axis=canvas.alt.Axis(
            ticks=False, domain=False, labelColor=style.LIGHT["ink"], titleColor=style.LIGHT["quiet"], titleAngle=0,
            titleAlign="right", titleAnchor="start", titleX=12, titleY=-8,
        ),
    )  # fmt: skip
    x = canvas.channel("X", title, scale)
    layers = [
        *_rule(canvas, rule, scale),
        *_seeds(canvas, strips, x, y, scale.across(worse, width), inwards=1 if worse == scale.low else -1),
        *_whiskers(canvas, strips, scale, x, y),
    ]
    layers += [*_means(canvas, strips, x, y), *_notes(canvas, strips, y, width)]
    step = STEP if len(strips) < MANY else NARROW_STEP
    return canvas.layered(layers, width=width, height=canvas.alt.Step(step))


def _width(strips: Sequence[Strip], rows: str) -> float:
    """Return the pixels between labels and notes."""
    characters = max(len(rows), *(len(strip.label) for strip in strips)) + max(len(strip.note) for strip in strips)
    return min(max(WHOLE - AROUND - CHARACTER_WIDTH * characters, LEAST_WIDTH), MOST_WIDTH)


def _rule(canvas: Canvas, at: float | None, scale: Scale) -> list[Any]:
    if at is None or not scale.low <= at <= scale.high:
        return []
    mark = canvas.chart([{"x": at}]).mark_rule(color=style.LIGHT["axis"], strokeDash=[4, 3], aria=False)
    return [mark.encode(x=canvas.alt.X("x:Q"))]


def _seeds(canvas: Canvas, strips: Sequence[Strip], x: Any, y: Any, at: float, *, inwards: int) -> list[Any]:
    """Return the layers of the dots, of the crosses of jobs that diverged, and of bars instead of dots."""
    layers = []
    bars = [
        {"row": strip.label, "x": strip.middle[0], "x2": strip.middle[1]}
        for strip in strips
        if strip.middle is not None
    ]
    if bars:
        layers.append(
            canvas.chart(bars)
            .mark_bar(color=style.LIGHT["other"], opacity=0.35, height=8, yOffset=BELOW, aria=False)
            .encode(x=x, x2="x2:Q", y=y)
        )
    dots = [
        {"row": strip.label, "x": dot.value, "said": labels.description(dot.said, dot.seed)}
        for strip in strips
        for dot in strip.dots
        if dot.value is not None
    ]
    if dots:
        mark = canvas.chart(dots).mark_circle(color=style.LIGHT["other"], size=16, opacity=0.8, yOffset=BELOW)
        layers.append(mark.encode(x=x, y=y, description="said:N"))
    crosses = [
        {"row": strip.label, "x": place, "said": labels.description(dot.said, dot.seed)}
        for strip in strips
        for dot, place in zip((dot for dot in strip.dots if dot.value is None), _beside(at, inwards), strict=False)
    ]
    if crosses:
        mark = canvas.chart(crosses).mark_point(**CROSS, yOffset=BELOW)
        layers.append(mark.encode(x=canvas.alt.X("x:Q", scale=None, axis=None), y=y, description="said:N"))
    return layers


def _beside(at: float, inwards: int) -> Iterator[float]:
    """Yield the pixels of crosses from an end of the scale inwards: four side by side, then on each other.

    More would lie among the dots, as if they had a value.
    """
    yield from (at + inwards * 9 * (min(place, 3) + 0.7) for place in count())


#: How a job that diverged is drawn.
CROSS = {
    "shape": "M-1,-1L1,1M-1,1L1,-1",
    "color": style.LIGHT["lost"],
    "size": 40,
    "strokeWidth": 1.5,
    "filled": False,
    "opacity": 0.9,
}


def _whiskers(canvas: Canvas, strips: Sequence[Strip], scale: Scale, x: Any, y: Any) -> list[Any]:
    """Return the intervals, with a stop at each end that is on the scale."""
    lines, stops = [], []
    for strip in strips:
        if strip.ends is not None:
            low, high = map(scale.inside, strip.ends)
            lines.append({"row": strip.label, "x": low, "x2": high})
            stops += [{"row": strip.label, "x": end} for end in strip.ends if scale.low <= end <= scale.high]
    colour = style.LIGHT["1"]
    return [
        canvas.chart(lines).mark_rule(color=colour, strokeWidth=2, aria=False).encode(x=x, x2="x2:Q", y=y),
        canvas.chart(stops).mark_tick(color=colour, thickness=2, height=8, opacity=1, aria=False).encode(x=x, y=y),
    ] if lines else []  # fmt: skip


def _means(canvas: Canvas, strips: Sequence[Strip], x: Any, y: Any) -> list[Any]:
    layers = []
    for is_strong in (False, True):
        values = [
            {"row": strip.label, "x": strip.mean, "said": labels.description(strip.said)}
            for strip in strips
            if strip.mean is not None and strip.is_strong is is_strong
        ]
        if values:
            fill = style.LIGHT["1" if is_strong else "ground"]
            mark = canvas.chart(values).mark_point(
                filled=True, fill=fill, stroke=style.LIGHT["1"], strokeWidth=2, size=50, opacity=1
            )
            layers.append(mark.encode(x=x, y=y, description="said:N"))
    return layers


def _notes(canvas: Canvas, strips: Sequence[Strip], y: Any, width: float) -> list[Any]:
    values = [{"row": strip.label, "note": labels.plain(strip.note)} for strip in strips if strip.note]
    mark = canvas.chart(values).mark_text(align="left", color=style.LIGHT["quiet"], aria=False)
    return [mark.encode(x=canvas.alt.XValue(width + 12), y=y, text="note:N")] if values else []
