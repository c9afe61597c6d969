"""Draws a chart as lines of text: in block characters, or in ASCII.

Our own, and not plotext's or another library's: those keep one figure for the whole process, and draw no intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from rich.cells import cell_len, set_cell_size

from orchestrator.report.charts.marks.scales import Scale, apart
from orchestrator.report.charts.marks.strips import Strip
from orchestrator.report.plots import Field, Plot, Rows

#: The most columns of a label, the most rows of a field, and the least columns between labels.
LABEL, HEIGHT, LEAST = 32, 18, 16


@dataclass(frozen=True)
class Symbols:
    """The characters of a chart."""

    seed: str
    strong: str
    weak: str
    line: str
    left: str
    right: str
    middle: str
    side: str
    corner: str
    base: str
    tick: str
    #: Stands for what is left out of a label.
    cut: str


BLOCKS = Symbols("·", "●", "○", "─", "├", "┤", "░", "│", "└", "─", "┬", "…")
ASCII = Symbols(".", "@", "o", "-", "[", "]", "=", "|", "+", "-", "+", "~")


def drawn(plot: Plot, width: int, symbols: Symbols) -> list[str]:
    """Return a chart as lines, none of them wider than the width.

    Args:
        plot: The chart.
        width: In columns.
        symbols: The characters that the output can show.
    """
    lines = _rows(plot, width, symbols) if isinstance(plot, Rows) else _field(plot, width, symbols)
    return [plot.title.replace("·", symbols.seed), "", *(line.rstrip() for line in lines)]


def _fitted(text: str, width: int, symbols: Symbols, *, right: bool = False) -> str:
    """Return a text in exactly so many columns."""
    text = text.replace("…", symbols.cut).replace("·", symbols.seed)
    if cell_len(text) > width:
        return set_cell_size(text, max(width - 1, 0)) + symbols.cut
    room = " " * (width - cell_len(text))
    return room + text if right else text + room


# Rows


def _rows(plot: Rows, width: int, symbols: Symbols) -> list[str]:
    notes = min(max(cell_len(row.note) for row in plot.rows), max(width // 3, 8))
    names = min(max(cell_len(row.label) for row in plot.rows), LABEL, max(width // 3, 8))
    names = max(names, min(cell_len(plot.heading), LABEL, max(width // 3, 8)))
    inner = max(width - names - notes - 4, LEAST)
    at = partial(_column, plot.scale, inner)
    ticks = (plot.scale.low, plot.scale.high, plot.scale.at(0.5))
    lines = [_fitted(plot.heading, names, symbols, right=True)]
    for row in plot.rows:
        name = _fitted(row.label, names, symbols, right=True)
        lines.append(f"{name}  {_track(row, plot.scale, inner, at, symbols)}  {_fitted(row.note, notes, symbols)}")
    lines += [f"{' ' * names}  {line}" for line in _axis(plot.scale, inner, plot.axis, symbols, ticks)]
    return [*lines, "", *_legend(plot, symbols)]


def _track(row: Strip, scale: Scale, width: int, at: Callable[[float], int], symbols: Symbols) -> str:
    cells = [" "] * width
    if row.middle is not None:
        for column in range(at(row.middle[0]), at(row.middle[1]) + 1):
            cells[column] = symbols.middle
    if row.ends is not None:
        low, high = at(row.ends[0]), at(row.ends[1])
        for column in range(low, high + 1):
            cells[column] = symbols.line
        cells[low] = symbols.left if row.ends[0] >= scale.low else symbols.line
        cells[high] = symbols.right if row.ends[1] <= scale.high else symbols.line
    for dot in row.dots:
        if dot.value is not None and cells[at(dot.value)] == " ":
            cells[at(dot.value)] = symbols.seed
    if row.mean is not None:
        cells[at(row.mean)] = symbols.strong if row.is_strong else symbols.weak
    return "".join(cells)


def _legend(plot: Rows, symbols: Symbols) -> list[str]:
    parts = [f"{symbols.strong} mean of a contender, which may be the best", f"{symbols.weak} of another one"]
    if any(row.ends for row in plot.rows):
        often = " however often one looks" if plot.sequential else ""
        parts.append(f"{symbols.left}{symbols.line}{symbols.right} interval at 95 %{often}")
    if any(row.dots for row in plot.rows):
        parts.append(f"{symbols.seed} one seed")
    if any(row.middle for row in plot.rows):
        parts.append(f"{symbols.middle} the middle 80 % of the seeds")
    if plot.known > len(plot.rows):
        parts.append(f"the first {len(plot.rows)} of {plot.known}")
    return ["; ".join(parts)]


# Fields


def _field(plot: Field, width: int, symbols: Symbols) -> list[str]:
    across, up = plot.scales
    marks = [str(place + 1) for place in range(len(plot.series))] if plot.are_lines else [symbols.seed, symbols.strong]
    ticks = {HEIGHT - 1: up.low, HEIGHT // 2: up.at(1 - (HEIGHT // 2) / (HEIGHT - 1)), 0: up.high}
    margin = max(len(_number(value)) for value in ticks.values())
    names = [f"{mark} {each.label}" for mark, each in zip(marks, plot.series, strict=True)] if plot.are_lines else []
    right = min(max((cell_len(name) for name in names), default=0), LABEL, max(width // 3, 8))
    inner = max(width - margin - 4 - right, LEAST)
    cells = [[" "] * inner for _ in range(HEIGHT)]
    ends: list[float] = []
    # The first one is drawn last, on top of the others; the mean of a value on top of its seeds.
    order = list(zip(marks, plot.series, strict=True))
    for mark, each in reversed(order) if plot.are_lines else order:
        places = [(_column(across, inner, x), HEIGHT - 1 - _column(up, HEIGHT, y)) for x, y in each.points]
        _put(cells, mark, places, joined=plot.are_lines)
        ends.insert(0, places[-1][1] if places else HEIGHT - 1)
    beside = {}
    if names:
        beside = {round(at): name for at, name in zip(apart(ends, 1, HEIGHT - 1), names, strict=True)}
    lines = [plot.up]
    for number, row in enumerate(cells):
        tick = _number(ticks[number]) if number in ticks else ""
        name = _fitted(beside[number], right, symbols) if number in beside else ""
        lines.append(f"{tick:>{margin}} {symbols.side}{''.join(row)} {name}")
    lines += [f"{' ' * margin} {symbols.corner}{line}" if number == 0 else f"{' ' * (margin + 2)}{line}"
              for number, line in enumerate(_axis(across, inner, plot.across, symbols, plot.ticks))]  # fmt: skip
    if not plot.are_lines:
        lines += ["", f"{symbols.strong} mean of all jobs at a value; {symbols.seed} one seed"]
    elif plot.known > len(plot.series):
        lines += ["", f"the first {len(plot.series)} of {plot.known} configurations"]
    return lines


def _put(cells: list[list[str]], mark: str, places: Sequence[tuple[int, int]], *, joined: bool) -> None:
    """Put a mark at each place, and on the way from one to the next."""
    for column, row in places:
        cells[row][column] = mark
    if not joined:
        return
    for (start, top), (stop, bottom) in pairwise(places):
        for column in range(start, stop):
            share = (column - start) / (stop - start)
            cells[round(top + share * (bottom - top))][column] = mark


# Axes


def _column(scale: Scale, width: int, value: float) -> int:
    """Return in which of so many columns a value lies, from 0."""
    return round(scale.share(value) * (width - 1))


def _axis(scale: Scale, width: int, title: str, symbols: Symbols, ticks: Sequence[float]) -> list[str]:
    """Return an axis across: its line, the numbers of the ticks that have room, its title."""
    line, numbers = [symbols.base] * width, [" "] * width
    for value in ticks:
        column, text = _column(scale, width, value), _number(value)
        begin = min(max(column - len(text) // 2, 0), max(width - len(text), 0))
        around = numbers[max(begin - 1, 0) : begin + len(text) + 1]
        if all(each == " " for each in around):
            numbers[begin : begin + len(text)] = text
            line[column] = symbols.tick
    return ["".join(line), "".join(numbers)[:width], _fitted(title, width, symbols).rstrip().center(width)]


def _number(value: float) -> str:
    return f"{value:.4g}"
