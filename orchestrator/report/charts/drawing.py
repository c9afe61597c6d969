"""Draws charts."""

from __future__ import annotations

from orchestrator.report.charts.chart import Chart


def svg(chart: Chart) -> str:
    """Return a chart as an `svg` element."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(chart.specification))
