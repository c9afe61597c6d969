"""`orchestrator logs`: shows what trainers printed, logged and raised."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.analysis.lookup import open_sweep
from orchestrator.analysis.selection import pick
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import complain
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, JOB, AnySweep, Command, Output
from worker.text import printable

KIND = Command
#: The last lines of each log that are shown if several jobs have one.
LINES = 10


def command(
    sweep: AnySweep,
    words: Annotated[list[str] | None, typer.Argument(metavar="[JOB]", help=JOB)] = None,
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Show what the trainer of a sweep's jobs printed, logged and raised.

    The whole log of one job, or the last 10 lines of each if several jobs that fit the words have one.

    Example: orchestrator logs night-run seed=3
    """
    found = Sweep.read(open_sweep(sweep, output))
    keys = pick(found.name, found.jobs, words or [])
    known = [key for key in keys if found.folder.log(key)]
    for key in known:
        lines = printable(found.folder.log(key) or "").splitlines()
        if len(known) > 1:
            print(printable(f"job {key[:12]}: {found.jobs[key].words(found.axes)}"))
            lines = [f"  {line}" for line in lines[-LINES:]]
        print("\n".join(lines))
    if not known:
        complain("No such job has a log: only what a trainer prints, logs or raises makes one")
    return 0 if known else 1
