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
        typer.Option(metavar="FILE", help="The file to write.  [default: report.html in the sweep's folder]"),
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    json: Json = False,
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Write a sweep's report: one HTML file with its verdict, charts, faults and how to repeat it.

    The file loads nothing from anywhere, so that it can be mailed. Reads the sweep's folder, of a finished sweep or one
    that runs. An earlier report is overwritten, any other file is not. Needs the extra report.

    Example: orchestrator report night-run --open
    """
    from orchestrator.cli.publishing.report import run_report

    return run_report(sweep_folder, to, output, opens=opens, as_json=json)
