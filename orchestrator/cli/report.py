"""`orchestrator report`: writes the page of a sweep, or one of its charts as a picture."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from nn.errors import Described, InvalidInputError, SeedsweepError
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import answer, complain
from orchestrator.cli.shared.parameters import AnySweep, AsJson, Metric, Open, file, of_sweep, one_of
from orchestrator.commands.report import FORMATS, picture, report
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.report.charts.catalogue import KINDS, names
from orchestrator.text import counted, listed, sized
from worker.settings import Settings, load_settings

#: The charts; the name of an option completes a name that ends in `-`.
_CHARTS = [kind.name + "OPTION" * kind.name.endswith("-") for kind in KINDS]


def command(
    folder: AnySweep,
    to: Annotated[
        Path | None,
        file(
            "FILE",
            "The file to write.  [default: report.html in the sweep's folder; NAME.CHART.FORMAT in the working folder "
            "for a chart]",
        ),
    ] = None,
    chart: Annotated[
        str | None,
        typer.Option(
            metavar="CHART",
            autocompletion=of_sweep(names, rows=True),
            help=f"Write one chart as a picture instead: {listed(_CHARTS, 'or')}.",
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        str | None, one_of(*FORMATS, help="Format of the chart.  [default: as FILE ends, or png]")
    ] = None,
    metric: Metric = None,
    opens: Open = False,
    as_json: AsJson = False,
) -> int:
    """Write a sweep's report: one HTML file with its verdict, charts, faults and how to repeat it.

    The file loads nothing from anywhere, so that it can be mailed. Reads the sweep's folder, of a finished sweep or one
    that runs. An earlier report is overwritten, any other file is not. Needs the extra report.

    With --chart, it writes one of the charts as a picture, to another file.

    Example: orchestrator report night-run --open
    """
    if chart is None and (format is not None or (to is not None and to.suffix[1:].lower() in FORMATS)):
        allowed = "the name of a chart, because --format or --to asks for a picture"
        raise InvalidInputError("chart", Described("missing"), allowed)
    sweep = Sweep.read(folder, metric)
    if chart is not None:
        written, kind = picture(sweep, chart, format, to)
        what, said = "chart", f"Chart: {written.path} ({sized(written.bytes)})"
        fields: dict[str, object] = {"chart": chart, "format": kind, "bytes": written.bytes}
    else:
        written = report(sweep, to, cache_dir=load_settings().cache_dir)
        size, what = sized(written.bytes), "report"
        if len(sweep.rows) < len(sweep.jobs):
            size = f"{size}, of a sweep with {len(sweep.rows)} of {counted(len(sweep.jobs), 'job')} ended"
        said = f"Report: {written.path} ({size})"
        fields = {"bytes": written.bytes, "jobs": len(sweep.jobs), "ended": len(sweep.rows)}
    answer(said, as_json=as_json, path=str(written.path), **fields)
    if opens and not webbrowser.open(written.path.absolute().as_uri()):
        complain(f"There is no browser to open; the {what} is {written.path.absolute()}")
    return 0


def rewritten(folder: SweepFolder, settings: Settings) -> Path | None:
    """Write the report of a sweep, and return its path; None if it could not be written.

    An error is printed and not raised, because the report is not what the command was for.
    """
    try:
        return report(Sweep.read(folder), cache_dir=settings.cache_dir).path
    except SeedsweepError as error:
        complain(f"The report was not written: {error}")
    except Exception as error:
        complain(f"The report was not written: {type(error).__name__}: {error}")
    return None
