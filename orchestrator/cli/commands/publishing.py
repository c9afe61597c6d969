"""Commands that publish a sweep: as a page, or to other tools."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.commands.parameters import Json, Output, SweepOrFolder
from orchestrator.cli.words.options import DEFAULT_OUTPUT


def report(
    sweep_folder: SweepOrFolder,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The file to write.  [default: report.html in the sweep's folder; NAME.CHART.FORMAT in the working "
            "folder for a chart]",
        ),
    ] = None,
    chart: Annotated[
        str | None,
        typer.Option(
            metavar="CHART",
            help="Write one chart as a picture instead: intervals, metric-by-OPTION, heatmap, curves, differences or "
            "timeline.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="Of the chart: png, svg or pdf.  [default: as FILE ends, or png]"
        ),
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    json: Json = False,
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Write a sweep's report: one HTML file with its verdict, charts, faults and how to repeat it.

    The file loads nothing from anywhere, so that it can be mailed. Reads the sweep's folder, of a finished sweep or one
    that runs. An earlier report is overwritten, any other file is not. Needs the extra report.

    With --chart, it writes one of the charts as a picture, to another file.

    Example: orchestrator report night-run --open
    """
    if chart is not None or form is not None:
        from orchestrator.cli.publishing.report import run_picture

        return run_picture(sweep_folder, chart, form, to, output, opens=opens, as_json=json)
    from orchestrator.cli.publishing.report import run_report

    return run_report(sweep_folder, to, output, opens=opens, as_json=json)


def serve(
    sweep_folder: Annotated[
        str | None,
        typer.Argument(metavar="SWEEP", help="The only sweep to show: its folder, or its name in the folder runs."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[str, typer.Option(help="The port to listen at; 0 for any that is free.")] = "5556",
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Ask for the token in this file.  [default: none on loopback, and else a random one, printed once]",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host", metavar="NAME", help="Another name of this server, such as a proxy's; may be repeated."
        ),
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object with the address at the start.")] = False,
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Show the reports of sweeps in a browser, and keep them fresh while the sweeps run.

    Without SWEEP: all sweeps of the folder, with their state and verdict. Reads the folders, needs no Redis, and
    changes nothing. Ends at Ctrl-C. Needs the extra report.

    Example: orchestrator serve --open
    """
    from orchestrator.cli.publishing.serve import Options, run_serve

    return run_serve(sweep_folder, Options(host, port, token_file, names or (), opens, json, output))


def plot(
    sweep_folder: SweepOrFolder,
    chart: Annotated[
        str | None,
        typer.Argument(metavar="CHART", help="intervals, metric-by-OPTION or curves.  [default: intervals]"),
    ] = None,
    output: Output = DEFAULT_OUTPUT,
    json: Json = False,
) -> int:
    """Draw a chart of a sweep in the terminal.

    Reads the sweep's folder, of a finished sweep or one that runs, and changes nothing. The chart has the numbers of
    the report's chart of the same name. Needs no extra.

    Example: orchestrator plot night-run curves
    """
    from orchestrator.cli.publishing.plot import run_plot

    return run_plot(sweep_folder, chart, output, as_json=json)


def export(
    sweep_folder: SweepOrFolder,
    to: Annotated[str, typer.Option(metavar="FORMAT", help="csv, parquet, mlflow, tensorboard or safetensors-zip.")],
    file: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The file to write, or the folder for tensorboard.  [default: NAME.csv, NAME.parquet, NAME.mlflow.db, "
            "NAME.tensorboard or NAME.weights.zip, in the working folder]",
        ),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(metavar="URI", help="With mlflow: add to this server or database instead of writing a file."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the files that are there.")] = False,
    output: Output = DEFAULT_OUTPUT,
    json: Json = False,
) -> int:
    """Write the results of a sweep in the format of another tool.

    Reads the sweep's folder, of a finished sweep or one that runs, and exports the jobs that have ended. csv and
    parquet are two tables, of jobs and, in NAME.epochs.csv, of epochs; mlflow is a database in one file; tensorboard is
    a folder of event files; safetensors-zip has all weights and a list of their jobs.

    Exit status: 0, or 1 if the export lacks weights that are not in the sweep's folder.

    Example: orchestrator export night-run --to parquet --file night-run.parquet
    """
    from orchestrator.cli.publishing.export import Options, run_export

    return run_export(sweep_folder, Options(to, file, tracking_uri, force, json, output))
