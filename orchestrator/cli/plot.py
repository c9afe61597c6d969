"""`orchestrator plot`: draws a chart in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared import text_plot
from orchestrator.cli.shared.output import knows_blocks, print_json, say
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, AnySweep, AsJson, Command, Metric, Output
from orchestrator.folder.sweeps import LAST, open_sweep

KIND = Command
#: The width outside a terminal, and the smallest width, in columns.
WIDTH, LEAST_WIDTH = 100, 40


def command(
    sweep: AnySweep = LAST,
    kind: Annotated[
        str | None,
        typer.Argument(metavar="CHART", help="intervals, metric-by-OPTION or curves.  [default: intervals]"),
    ] = None,
    metric: Metric = "last",
    output: Output = DEFAULT_OUTPUT,
    as_json: AsJson = False,
) -> int:
    """Draw a chart of a sweep in the terminal.

    Reads the sweep's folder, of a finished sweep or one that runs, and changes nothing. The chart has the numbers of
    the report's chart of the same name. Needs no extra.

    Example: orchestrator plot night-run curves
    """
    found = text_plot.plot(Sweep.read(open_sweep(sweep, output), metric), kind or text_plot.DEFAULT, "kind")
    if as_json:
        print_json(text_plot.as_dict(found))
        return 0
    console = Console(highlight=False)
    width = max(console.width if console.is_terminal else WIDTH, LEAST_WIDTH)
    say(console, "\n".join(text_plot.drawn(found, width, in_ascii=not knows_blocks(console))))
    return 0
