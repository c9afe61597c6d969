"""Draws a chart with vl-convert: as an element for a page, or as its own file."""

from __future__ import annotations

import textwrap
from types import ModuleType
from typing import Any

from orchestrator.report import packages
from orchestrator.report.charts import labels, style
from orchestrator.report.charts.chart import Chart
from orchestrator.report.charts.inlining import inlined

#: Pixels of a PNG per pixel of the chart.
SCALE = 2.0
#: Longest line of a caption, in characters.
CAPTION_WIDTH = 85


def svg(chart: Chart) -> str:
    """Return the chart as an `<svg>` for a page: its colours are the CSS variables of `style.variables`.

    Raises:
        MissingPackageError: vl-convert is not installed.
    """
    drawn = _vl_convert().vegalite_to_svg(_whole(chart), allowed_base_urls=[])
    return inlined(drawn, chart.name, _label(chart))


def standalone_svg(chart: Chart) -> bytes:
    """Return the chart as an SVG file, with its title, on white; raises like `svg`."""
    drawn = _vl_convert().vegalite_to_svg(_titled(chart), allowed_base_urls=[])
    return inlined(drawn, chart.name, _label(chart), alone=True).encode()


def png(chart: Chart) -> bytes:
    """Return the chart as a PNG file, with its title, on white; raises like `svg`."""
    found: bytes = _vl_convert().vegalite_to_png(_titled(chart), scale=SCALE, allowed_base_urls=[])
    return found


def pdf(chart: Chart) -> bytes:
    """Return the chart as a PDF file, with its title, on white; raises like `svg`."""
    found: bytes = _vl_convert().vegalite_to_pdf(_titled(chart), allowed_base_urls=[])
    return found


def _label(chart: Chart) -> str:
    return labels.plain(f"{chart.title}. {chart.caption}".strip())


def _vl_convert() -> ModuleType:
    packages.require("A chart")
    import vl_convert

    return vl_convert


def _whole(chart: Chart) -> dict[str, Any]:
    return {**chart.specification, "config": style.config()}


def _titled(chart: Chart) -> dict[str, Any]:
    caption = textwrap.wrap(labels.plain(chart.caption), CAPTION_WIDTH)
    title = {"text": labels.plain(chart.title), "subtitle": caption}
    return {**_whole(chart), "title": title}
