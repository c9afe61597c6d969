"""`orchestrator plot`: draws those charts of the report that text can show.

Needs no extra. plotext is not used: it has one figure per process, draws no rows with intervals, and would be one
more package in every installation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import print_json, say
from orchestrator.cli.shared.parameters import AnySweep, AsJson, Metric, of_sweep
from orchestrator.report.charts import catalogue, labels
from orchestrator.report.charts.kinds import by_axis, curves, intervals
from orchestrator.report.charts.marks.canvas import Scale, apart
from orchestrator.report.charts.marks.strips import Rows, Strip

#: The width outside a terminal, and the smallest width, in columns.
WIDTH, LEAST_WIDTH = 100, 40
#: The charts that text can show.
KINDS = tuple(kind for kind in catalogue.KINDS if kind.name in ("intervals", by_axis.PREFIX, "curves"))
#: Most columns of a label, rows of a field, and fewest columns between labels.
LABEL, HEIGHT, LEAST = 32, 18, 16
#: The characters for a seed, the mean of a contender, any other mean, and the middle 80 % of the seeds.
SEED, STRONG, WEAK, MIDDLE = "·●○░"


def command(
    folder: AnySweep,
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="CHART",
            autocompletion=of_sweep(lambda sweep: catalogue.names(sweep, KINDS), rows=True),
            help="intervals, metric-by-OPTION or curves.  [default: intervals]",
        ),
    ] = None,
    metric: Metric = None,
    as_json: AsJson = False,
) -> int:
    """Draw a chart of a sweep in the terminal.

    Reads the sweep's folder, of a finished sweep or one that runs, and changes nothing. The chart has the numbers of
    the report's chart of the same name. Needs no extra.

    Example: orchestrator plot night-run curves
    """
    name = kind or "intervals"
    found = plot(Sweep.read(folder, metric), name)
    if as_json:
        return print_json({"chart": name, **as_dict(found)})
    console = Console(highlight=False)
    width = max(console.width if console.is_terminal else WIDTH, LEAST_WIDTH)
    say(console, "\n".join(drawn(found, width)))
    return 0


@dataclass(frozen=True)
class Field:
    """Lines over the epochs.

    Attributes:
        title: What it shows.
        up: The title of the y axis.
        scale: The scale of the y axis.
        last: The last epoch.
        series: The lines by name: their coordinates from left to right.
        known: The number of lines, including those left out.
    """

    title: str
    up: str
    scale: Scale
    last: int
    series: Mapping[str, Sequence[tuple[float, float]]]
    known: int


Plot = Rows | Field


def as_dict(plot: Plot) -> dict[str, Any]:
    """Return a chart as `--json` prints it, without its name."""
    if isinstance(plot, Field):
        series = [{"label": label, "points": points} for label, points in plot.series.items()]
        return {"title": plot.title, "axes": {"x": "epoch", "y": plot.up}, "series": series, "known": plot.known}
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
    return {"title": plot.title, "axis": plot.axis, "rows": rows, "known": plot.known}


def plot(sweep: Sweep, name: str) -> Plot:
    """Return a sweep's chart by its name. Raises `InvalidInputError` if it has none such that text can show."""
    if catalogue.check(sweep, name, "kind", KINDS).name == by_axis.PREFIX:
        return by_axis.rows(by_axis.Axis.of(sweep, name))
    return _curves(sweep) if name == "curves" else intervals.rows(sweep)


def _curves(sweep: Sweep) -> Field:
    metric = sweep.names.metric
    found = curves.curves(sweep)
    series = {
        curve.configuration.label: [(float(point.epoch), labels.drawn(metric, point.mean)) for point in curve.points]
        for curve in found[: curves.LABELLED]
        if curve.points
    }
    values = [value for points in series.values() for _, value in points]
    return Field(
        title=f"Learning curves: mean {labels.plain(metric.name)} over the seeds that trained, by rank",
        up=labels.axis_title(metric),
        scale=Scale.around(values, is_share=metric.is_share),
        last=max(epoch for curve in found for line in curve.jobs.values() for epoch, _ in line),
        series=series,
        known=len(found),
    )


# As text


def drawn(plot: Plot, width: int) -> list[str]:
    """Return a chart as lines of at most `width` columns, except for the title and the legend, which may wrap."""
    lines = [plot.title, "", *(_rows(plot, width) if isinstance(plot, Rows) else _field(plot, width))]
    return [line.rstrip() for line in lines]


def _fitted(text: str, width: int, *, right: bool = False) -> str:
    fitted = Text(text)
    fitted.truncate(width, overflow="ellipsis")
    fitted.align("right" if right else "left", width)
    return fitted.plain


def _columns(texts: Sequence[str], width: int) -> int:
    return min(max(map(cell_len, texts), default=0), LABEL, max(width // 3, 8))


# Rows


def _rows(plot: Rows, width: int) -> Iterator[str]:
    names = _columns([plot.heading, *(row.label for row in plot.strips)], width)
    notes = _columns([row.note for row in plot.strips], width)
    inner = max(width - names - notes - 4, LEAST)
    yield _fitted(plot.heading, names, right=True)
    for row in plot.strips:
        yield f"{_fitted(row.label, names, right=True)}  {_track(row, plot.scale, inner)}  {_fitted(row.note, notes)}"
    ticks = (plot.scale.low, plot.scale.high, plot.scale.at(0.5))
    yield from (f"{' ' * names}  {line}" for line in _axis(plot.scale, inner, plot.axis, ticks))
    yield ""
    yield _legend(plot)


def _track(row: Strip, scale: Scale, width: int) -> str:
    cells = [" "] * width
    for ends, mark in ((row.middle, MIDDLE), (row.ends, "─")):
        if ends is not None:
            low, high = (_column(scale, width, end) for end in ends)
            cells[low : high + 1] = mark * (high + 1 - low)
    if row.ends is not None:
        # An end outside the scale gets no stop.
        for end, stop in zip(row.ends, "├┤", strict=True):
            if scale.low <= end <= scale.high:
                cells[_column(scale, width, end)] = stop
    for dot in row.dots:
        if dot.value is not None and cells[_column(scale, width, dot.value)] == " ":
            cells[_column(scale, width, dot.value)] = SEED
    for is_high, text in scale.beyond(row.values).items():
        cells[slice(-len(text), None) if is_high else slice(len(text))] = text
    if row.mean is not None and row.mean == scale.within(row.mean):
        cells[_column(scale, width, row.mean)] = STRONG if row.is_strong else WEAK
    return "".join(cells)[:width]


def _legend(plot: Rows) -> str:
    parts = [f"{STRONG} mean where a configuration may be the best (a contender)", f"{WEAK} any other mean"]
    if any(row.ends for row in plot.strips):
        parts.append(f"├─┤ interval at 95 %{' however often one looks' if plot.sequential else ''}")
    if any(row.dots for row in plot.strips):
        parts.append(f"{SEED} one seed")
    if any(row.middle for row in plot.strips):
        parts.append(f"{MIDDLE} the middle 80 % of the seeds")
    if plot.known > len(plot.strips):
        shown = len(plot.strips)
        parts.append(f"{shown} bins of {plot.known} values" if plot.in_bins else f"the first {shown} of {plot.known}")
    return "; ".join(parts)


# Fields


def _field(plot: Field, width: int) -> Iterator[str]:
    across, up = Scale(1.0, float(max(plot.last, 2))), plot.scale
    marks = [str(place + 1) for place in range(len(plot.series))]
    names = [f"{mark} {label}" for mark, label in zip(marks, plot.series, strict=True)]
    numbers = {row: f"{up.at(1 - row / (HEIGHT - 1)):.4g}" for row in (0, HEIGHT // 2, HEIGHT - 1)}
    margin, right = max(map(len, numbers.values())), _columns(names, width)
    inner = max(width - margin - 4 - right, LEAST)
    places = [
        [(_column(across, inner, x), HEIGHT - 1 - _column(up, HEIGHT, y)) for x, y in points]
        for points in plot.series.values()
    ]
    ends = apart([line[-1][1] for line in places], 1, HEIGHT - 1)
    beside = {round(at): name for at, name in zip(ends, names, strict=True)}
    yield plot.up
    cells = _cells(marks, places, inner)
    far: dict[float, list[float]] = {}
    for x, y in (line[-1] for line in plot.series.values()):
        far.setdefault(x, []).append(y)
    for x, values in far.items():
        for is_high, text in up.beyond(values, "▾▴").items():
            at = min(_column(across, inner, x), inner - len(text))
            cells[0 if is_high else HEIGHT - 1][at : at + len(text)] = text
    for number, row in enumerate(cells):
        name = _fitted(beside[number], right) if number in beside else ""
        yield f"{numbers.get(number, ''):>{margin}} │{''.join(row)} {name}"
    line, *below = _axis(across, inner, "epoch", (1, plot.last, (1 + plot.last) // 2))
    yield f"{' ' * margin} └{line}"
    yield from (f"{' ' * (margin + 2)}{each}" for each in below)
    if plot.known > len(plot.series):
        yield from ("", f"the first {len(plot.series)} of {plot.known} configurations")


def _cells(marks: Sequence[str], places: Sequence[Sequence[tuple[int, int]]], width: int) -> list[list[str]]:
    """Return the characters of a field: a mark at each place, and between the places of a line."""
    cells = [[" "] * width for _ in range(HEIGHT)]
    # The first line is drawn last, on top of the others.
    for mark, line in reversed(list(zip(marks, places, strict=True))):
        for column, row in line:
            cells[row][column] = mark
        for (start, top), (stop, bottom) in pairwise(line):
            for column in range(start, stop):
                share = (column - start) / (stop - start)
                cells[round(top + share * (bottom - top))][column] = mark
    return cells


# Axes


def _column(scale: Scale, width: int, value: float) -> int:
    return round(scale.share(value) * (width - 1))


def _axis(scale: Scale, width: int, title: str, ticks: Sequence[float]) -> list[str]:
    """Return a horizontal axis: its line, the numbers of the ticks that fit, and its title."""
    line, numbers = ["─"] * width, [" "] * width
    for value in ticks:
        column, text = _column(scale, width, value), f"{value:.4g}"
        begin = min(max(column - len(text) // 2, 0), max(width - len(text), 0))
        around = numbers[max(begin - 1, 0) : begin + len(text) + 1]
        if all(each == " " for each in around):
            numbers[begin : begin + len(text)] = text
            line[column] = "┬"
    return ["".join(line), "".join(numbers)[:width], _fitted(title, width).rstrip().center(width)]
