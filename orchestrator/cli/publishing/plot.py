"""`orchestrator plot`: reads its arguments and draws a chart in the terminal."""

from __future__ import annotations

import json

from rich.console import Console

from orchestrator.analysis.lookup import open_sweep
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.output import knows_blocks, say
from orchestrator.cli.publishing.text_plot import ASCII, BLOCKS, drawn
from orchestrator.cli.words.arguments import output_folder
from orchestrator.report import plots

#: The width outside a terminal, and the least one.
WIDTH, LEAST_WIDTH = 100, 40


def run_plot(name: str, chart: str | None, output: str, *, as_json: bool) -> int:
    """Print a chart, and return the exit status.

    Raises:
        SeedsweepError: bad input, or the folder cannot be read.
    """
    sweep = Sweep.read(open_sweep(name, output_folder(output)))
    found = plots.plot(sweep, chart or plots.DEFAULT, "CHART")
    if as_json:
        print(json.dumps(found.as_dict(), allow_nan=False))
        return 0
    console = Console(highlight=False)
    width = max(console.width if console.is_terminal else WIDTH, LEAST_WIDTH)
    say(console, "\n".join(drawn(found, width, BLOCKS if knows_blocks(console) else ASCII)))
    return 0
