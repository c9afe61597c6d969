"""The charts of a report."""

from __future__ import annotations

from orchestrator.report.charts.chart import Chart
from orchestrator.report.snapshot import Snapshot


def charts(snapshot: Snapshot) -> tuple[Chart, ...]:  # noqa: ARG001
    """Return the charts of a sweep, in the order of the page."""
    return ()
