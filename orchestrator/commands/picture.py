"""`report --chart`: writes one chart of a sweep as a picture, from its folder alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nn.errors import InvalidInputError
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.report import packages
from orchestrator.report.charts import catalogue, drawing
from orchestrator.report.charts.chart import Chart
from orchestrator.report.target import Target
from orchestrator.text import listed


@dataclass(frozen=True)
class Format:
    """A format of pictures: how a chart is drawn in it, and where it may be written."""

    draw: Callable[[Chart], bytes]
    target: Target


#: The formats by name, which is also the file extension.
FORMATS: Mapping[str, Format] = {
    "png": Format(drawing.png, Target("The chart", "a PNG file", b"\x89PNG\r\n\x1a\n")),
    "svg": Format(drawing.standalone_svg, Target("The chart", "an SVG file", b"<svg ")),
    "pdf": Format(drawing.pdf, Target("The chart", "a PDF file", b"%PDF-")),
}


@dataclass(frozen=True)
class PictureResult:
    """A chart that was written.

    Attributes:
        path: The file.
        chart: The chart's name.
        format: The name of the format.
        bytes: The file's size.
    """

    path: Path
    chart: str
    format: str
    bytes: int


def picture(
    folder: SweepFolder, name: str, form: str | None = None, to: Path | None = None, metric: str = "last"
) -> PictureResult:
    """Write a chart of a sweep. Takes no lock and changes nothing in the folder; the sweep may run meanwhile.

    Args:
        folder: The sweep's folder.
        name: The chart's name.
        form: The name of the format; None for that of the file's extension, or `png`.
        to: The file; None for one in the working folder, named after the sweep and the chart.
        metric: How a job is scored, and by which metric (`Scoring.parse`).

    Raises:
        InvalidInputError: there is no such format, the sweep has no such chart or metric, or the file's extension does
            not fit.
        MissingPackageError: the packages that it needs are not installed.
        SweepNotFoundError: the folder contains no sweep.
        SweepUnreadableError: the folder cannot be read.
        OutputError: the file cannot be written, or it exists and is not such a picture.
    """
    packages.require("A chart")
    chosen = _format(form, to)
    sweep = Sweep.read(folder, metric)
    catalogue.check(sweep, name, "--chart")
    path = Path(f"{folder.name}.{name}.{chosen}") if to is None else to
    made = FORMATS[chosen]
    made.target.check(path)
    size = made.target.write(path, made.draw(catalogue.named(sweep, name)))
    return PictureResult(path, name, chosen, size)


def _format(form: str | None, to: Path | None) -> str:
    if form is not None and form not in FORMATS:
        raise InvalidInputError("--format", form, listed(list(FORMATS), "or"))
    ending = "" if to is None else to.suffix[1:].lower()
    if ending and ending not in ((form,) if form else FORMATS):
        endings = listed([f".{each}" for each in ((form,) if form else FORMATS)], "or")
        raise InvalidInputError("--to", str(to), f"a name that ends in {endings}")
    return form or ending or "png"
