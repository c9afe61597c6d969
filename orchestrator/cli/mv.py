"""`orchestrator mv`: gives a sweep another name."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.report import rewritten
from orchestrator.cli.shared.parameters import NamedSweep
from orchestrator.commands.manage import rename
from worker.settings import load_settings
from worker.text import printable


def command(
    folder: NamedSweep,
    name: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
) -> int:
    """Give a sweep another name.

    Its report is written again, if it has one. sweep.json keeps the name under which the sweep began.

    Example: orchestrator mv last night-run
    """
    folder = rename(folder, name)
    if (folder.path / "report.html").exists():
        rewritten(folder, load_settings())
    print(printable(f"The sweep is now {folder.path}"))
    return 0
