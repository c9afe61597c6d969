"""`orchestrator note`: says what a sweep is about."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, AnySweep, Command, Output
from orchestrator.commands.manage import annotate
from orchestrator.folder.sweeps import open_sweep

KIND = Command


def command(
    sweep: AnySweep,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The note: one line; '' removes it.")],
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Say what a sweep is about: in lists, on the live page, and in its report.

    Example: orchestrator note night-run "Does a larger first layer help?"
    """
    annotate(open_sweep(sweep, output), text)
    return 0
