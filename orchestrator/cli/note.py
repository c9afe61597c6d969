"""`orchestrator note`: says what a sweep is about."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.shared.parameters import NamedSweep
from orchestrator.commands.manage import annotate


def command(
    folder: NamedSweep,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The note: one line; '' removes it.")],
) -> int:
    """Say what a sweep is about: in lists, on the live page, and in its report.

    Example: orchestrator note night-run "Does a larger first layer help?"
    """
    annotate(folder, text)
    return 0
