"""The charts of a sweep, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nn.errors import InvalidInputError
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts.chart import Chart
from orchestrator.report.charts.kinds import by_axis, curves, differences, heatmap, intervals, timeline


@dataclass(frozen=True)
class Kind:
    """A kind of charts.

    Attributes:
        name: The name of its chart, or what the names of its charts begin with.
        section: The section of the page in which they stand (`orchestrator.report.page.render.SECTIONS`).
        charts: Draws what a sweep has of it.
        absent: Says why a sweep has none, as a phrase; returns None if it has one.
    """

    name: str
    section: str
    charts: Callable[[Sweep], Sequence[Chart]]
    absent: Callable[[Sweep], str | None]


def _one(kind: Callable[[Sweep], Chart | None]) -> Callable[[Sweep], Sequence[Chart]]:
    def charts(sweep: Sweep) -> Sequence[Chart]:
        found = kind(sweep)
        return () if found is None else (found,)

    return charts


#: In the order of the page.
KINDS: Sequence[Kind] = (
    Kind("intervals", "table", _one(intervals.chart), intervals.absent),
    Kind(by_axis.PREFIX, "metric", by_axis.charts, by_axis.absent),
    Kind("heatmap", "metric", _one(heatmap.chart), heatmap.absent),
    Kind("curves", "curves", _one(curves.chart), curves.absent),
    Kind("differences", "differences", _one(differences.chart), differences.absent),
    Kind("timeline", "accounting", _one(timeline.chart), timeline.absent),
)


def charts(sweep: Sweep) -> tuple[Chart, ...]:
    """Return the charts that make sense for a sweep.

    Raises:
        MissingPackageError: Altair is not installed.
    """
    return tuple(chart for kind in KINDS for chart in kind.charts(sweep))


def names(sweep: Sweep, kinds: Sequence[Kind] = KINDS) -> tuple[str, ...]:
    """Return the names of a sweep's charts, without drawing them.

    Args:
        sweep: The sweep.
        kinds: Only charts of these kinds.
    """
    found: list[str] = []
    for kind in kinds:
        if kind.absent(sweep) is None:
            found += by_axis.names(sweep) if kind.name == by_axis.PREFIX else [kind.name]
    return tuple(found)


def check(sweep: Sweep, name: str, field: str, kinds: Sequence[Kind] = KINDS) -> Kind:
    """Return the kind of the chart with a name.

    Args:
        sweep: The sweep.
        name: The chart's name.
        field: What gives the name, for the message.
        kinds: Only charts of these kinds.

    Raises:
        InvalidInputError: the sweep has no such chart; says which ones it has, and why it lacks this one.
    """
    has = names(sweep, kinds)
    wanted = by_axis.PREFIX if name.startswith(by_axis.PREFIX) else name
    kind = next((each for each in kinds if each.name == wanted), None)
    if kind is not None and name in has:
        return kind
    why = None if kind is None else kind.absent(sweep)
    listed = ", ".join(has) or "nothing yet"
    raise InvalidInputError(
        field, name, listed if why is None else f"{listed}; the sweep has no such chart, because {why}"
    )


def named(sweep: Sweep, name: str, field: str = "--chart") -> Chart:
    """Return the chart with a name.

    Args:
        sweep: The sweep.
        name: The chart's name.
        field: What gives the name, for the message.

    Raises:
        InvalidInputError: the sweep has no such chart.
        MissingPackageError: Altair is not installed.
    """
    kind = check(sweep, name, field)
    return next(chart for chart in kind.charts(sweep) if chart.name == name)
