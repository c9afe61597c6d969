"""`orchestrator rm`: removes sweeps."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nn.errors import Described, InvalidInputError
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, Output, sweeps
from orchestrator.commands.manage import remove
from orchestrator.folder.sweeps import open_sweep, size
from orchestrator.text import listed, sized
from worker.text import printable


def command(
    names: Annotated[
        list[str], typer.Argument(metavar="SWEEP", autocompletion=sweeps, help="The sweeps, as for other commands.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Remove sweeps with their folders: results, weights and reports.

    Asks before. A sweep that runs is not removed; other sweeps keep the results that they reused.

    Example: orchestrator rm night-run --yes
    """
    folders = list({each.path.resolve(): each for each in (open_sweep(name, output) for name in names)}.values())
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidInputError("yes", Described("missing"), "--yes, because there is no terminal to ask")
        what = listed([f"{each.path} ({sized(size(each.path))})" for each in folders], "and")
        typer.confirm(printable(f"Remove {what}?"), abort=True, err=True)
    for folder in folders:
        remove(folder)
        print(printable(f"Removed {folder.path}"))
    return 0
