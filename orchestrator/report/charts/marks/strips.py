"""Rows of dots: each row has a mean, its interval, and a small dot for each seed."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.report.charts import labels, style
from orchestrator.report.charts.marks.canvas import Canvas, Scale

#: Width of the whole in pixels, so that its text is legible on a phone; and the least and the most between the labels.
WHOLE, LEAST_WIDTH, MOST_WIDTH = 540, 260, 400
#: Pixels around labels and notes, and per character.
AROUND, CHARACTER_WIDTH = 80, 6.3
#: Pixels from row to row, the same from many rows on, and how many are many.
STEP, NARROW_STEP, MANY = 28, 20, 40
#: Pixels from a row's middle down to its seeds, so that they do not hide its interval.
BELOW = 7
#: Pixels between crosses, and how many are side by side: more would be among the dots, as if they had a value.
CROSS_STEP, CROSSES = 9, 4
#: How a job that diverged is drawn.
CROSS = {
    "shape": "M-1,-1L1,1M-1,1L1,-1",
    "color": style.LIGHT["lost"],
    "size": 40,
    "strokeWidth": 1.5,
    "filled": False,
    "opacity": 0.9,
}


@dataclass(frozen=True)
class Dot:
    """One seed.

    Attributes:
        seed: The seed.
        value: In the unit of the axis; None for a job that diverged, which is drawn at the edge.
        said: Its description.
    """

    seed: int
    value: float | None
    said: str


@dataclass(frozen=True)
class Strip:
    """A row.

    Attributes:
        label: Its unique name beside the axis.
        said: The description of its mean.
        mean: In the unit of the axis; None if there is none.
        ends: The ends of its interval; None without one.
        is_strong: Whether its mean is filled, and not hollow.
        note: The text on its right.
        dots: Its seeds; empty if they are too many.
        middle: Instead of them, the ends of their middle 80 %.
    """

    label: str
    said: str
    mean: float | None
    ends: tuple[float, float] | None
    is_strong: bool
    note: str
    dots: Sequence[Dot] = ()
    middle: tuple[float, float] | None = None

    @property
    def values(self) -> list[float]:
        """The values of its seeds that trained; its mean if no seed is drawn."""
        return [value for value in [dot.value for dot in self.dots] or [self.mean] if value is not None]


@dataclass(frozen=True)
class Rows:
    """Rows along one axis, for a page or a terminal.

    Attributes:
        title: What it shows.
        axis: The title of the x axis.
        heading: What the rows are.
        strips: The rows, from top to bottom, at least one.
        known: The number of rows, including those left out; of values, if the rows are bins.
        in_bins: Whether each row is a bin of values.
        lower_is_worse: Whether jobs that diverged are drawn at the lower end of the axis, not at the upper one.
        is_share: Whether the values are shares in percent.
        zero: Whether the axis includes zero, with a line.
        sequential: Whether the intervals stay valid however often one looks.
    """

    title: str
    axis: str
    heading: str
    strips: Sequence[Strip]
    known: int
    in_bins: bool = False
    lower_is_worse: bool = True
    is_share: bool = False
    zero: bool = False
    sequential: bool = False

    @functools.cached_property
    def scale(self) -> Scale:
        """The scale of the axis, cut off far beyond the seeds, where an interval of two may end."""
        inner = [value for strip in self.strips for value in strip.values]
        inner += [end for strip in self.strips for end in strip.middle or ()]
        inner += [0.0] if self.zero else []
        found = Scale.around(inner, is_share=self.is_share)
        low, high = (found.within(end) for end in (min(inner, default=found.low), max(inner, default=found.high)))
        room = (high - low) / 2 or abs(high) / 20
        ends = [min(max(end, low - room), high + room) for strip in self.strips for end in strip.ends or ()]
        return Scale.of([low, high, *ends], is_share=self.is_share)


def specification(rows: Rows) -> dict[str, Any]:
    """Return the specification of rows, from top to bottom."""
    canvas = Canvas()
    alt = canvas.alt
    strips, scale, width = rows.strips, rows.scale, _width(rows)
    y = alt.Y(
        "row:N",
        title=rows.heading,
        scale=alt.Scale(domain=[strip.label for strip in strips]),
        axis=alt.Axis(
            ticks=False, domain=False, labelColor=style.LIGHT["ink"], titleColor=style.LIGHT["quiet"], titleAngle=0,
            titleAlign="right", titleAnchor="start", titleX=12, titleY=-8,
        ),
    )  # fmt: skip
    x = functools.partial(canvas.channel, "X", title=rows.axis, scale=scale)
    means = canvas.chart([_mean(strip, scale) for strip in strips])
    shown = [(strip, dot, dot.value) for strip in strips for dot in strip.dots if dot.value is not None]
    seeds = canvas.chart([_seed(strip, dot, scale.within(value)) for strip, dot, value in shown])
    far = [
        {"row": strip.label, "x": scale.high if is_high else scale.low, "text": text, "high": is_high}
        for strip in strips
        for is_high, text in scale.beyond(strip.values).items()
    ]
    crosses = canvas.chart(_crosses(rows, width))
    blue, grey, quiet = (style.LIGHT[name] for name in ("1", "other", "quiet"))
    # Vega-Lite draws no mark without a number.
    layers = [
        canvas.chart([{"x": 0.0}] if rows.zero else [])
        .mark_rule(color=style.LIGHT["axis"], strokeDash=[4, 3], clip=True)
        .encode(x=x("x")),
        means.mark_bar(color=grey, opacity=0.35, height=8, yOffset=BELOW).encode(x=x("from"), x2="to:Q", y=y),
        seeds.mark_circle(color=grey, size=16, opacity=0.8, yOffset=BELOW).encode(x=x("x"), y=y, description="said:N"),
        crosses.mark_point(**CROSS, yOffset=BELOW).encode(x=x("x"), y=y, description="said:N"),
        means.mark_errorbar(color=blue, opacity=1, thickness=2, size=8, ticks=True, clip=True)
        .encode(x=x("low"), x2="high:Q", y=y),
        means.mark_point(filled=True, stroke=blue, strokeWidth=2, size=50, opacity=1)
        .encode(x=x("mean"), y=y, fill=alt.Fill("fill:N", scale=None), description="said:N"),
        *(
            canvas.chart([each for each in far if each["high"] is is_high])
            .mark_text(align="right" if is_high else "left", color=quiet, yOffset=-BELOW)
            .encode(x=x("x"), y=y, text="text:N")
            for is_high in (False, True)
        ),
        means.mark_text(align="left", color=quiet).encode(x=alt.XValue(width + 12), y=y, text="note:N"),
    ]  # fmt: skip
    return canvas.layered(layers, width=width, height=alt.Step(STEP if len(strips) < MANY else NARROW_STEP))


def _width(rows: Rows) -> float:
    """Return the width between labels and notes, in pixels.

    Vega-Lite can fit a whole chart into a width, but not keep the plot between a least and a most width.
    """
    names = max(len(rows.heading), *(len(strip.label) for strip in rows.strips))
    characters = names + max(len(strip.note) for strip in rows.strips)
    return min(max(WHOLE - AROUND - CHARACTER_WIDTH * characters, LEAST_WIDTH), MOST_WIDTH)


def _mean(strip: Strip, scale: Scale) -> dict[str, Any]:
    # An end beyond the scale has no cap: it is clipped.
    low, high = strip.ends or (None, None)
    begin, end = strip.middle or (None, None)
    return {
        "row": strip.label,
        "mean": None if strip.mean is None else scale.within(strip.mean),
        "low": low,
        "high": high,
        "from": begin,
        "to": end,
        "fill": style.LIGHT["1" if strip.is_strong else "ground"],
        "note": labels.plain(strip.note),
        "said": labels.description(strip.said),
    }


def _seed(strip: Strip, dot: Dot, x: float | None) -> dict[str, Any]:
    return {"row": strip.label, "x": x, "said": labels.description(dot.said, dot.seed)}


def _crosses(rows: Rows, width: float) -> list[dict[str, Any]]:
    """Return the jobs that diverged, from the worse edge inwards: the first ones side by side, the others stacked."""
    found = []
    for strip in rows.strips:
        for place, dot in enumerate(dot for dot in strip.dots if dot.value is None):
            share = CROSS_STEP * (min(place, CROSSES - 1) + 0.7) / width
            found.append(_seed(strip, dot, rows.scale.at(share if rows.lower_is_worse else 1 - share)))
    return found
