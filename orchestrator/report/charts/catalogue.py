"""The charts of a sweep, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nn.errors import InvalidInputError
from orchestrator.report.charts.chart import Chart
from orchestrator.report.charts.kinds import by_axis, curves, differences, heatmap, intervals, timeline
from orchestrator.report.snapshot import Snapshot


def _one(kind: Callable[[Snapshot], Chart | None]) -> Callable[[Snapshot], Sequence[Chart]]:
    def charts(snapshot: Snapshot) -> Sequence[Chart]:
        found = kind(snapshot)
        return () if found is None else (found,)

    return charts


#: What makes the charts of each kind, in the order of the page.
_KINDS: Sequence[Callable[[Snapshot], Sequence[Chart]]] = (
    _one(intervals.chart),
    by_axis.charts,
    _one(heatmap.chart),
    _one(curves.chart),
    _one(differences.chart),
    _one(timeline.chart),
)


def charts(snapshot: Snapshot) -> tuple[Chart, ...]:
    """Return the charts that make sense for a sweep.

    Raises:
        MissingPackageError: Altair is not installed.
    """
    return tuple(chart for kind in _KINDS for chart in kind(snapshot))


def named(snapshot: Snapshot, name: str) -> Chart:
    """Return the chart with a name.

    Raises:
        InvalidInputError: the sweep has no such chart.
        MissingPackageError: Altair is not installed.
    """
    found = {chart.name: chart for chart in charts(snapshot)}
    if name not in found:
        raise InvalidInputError("--chart", name, ", ".join(found) or "none: the sweep has no result yet")
    return found[name]
