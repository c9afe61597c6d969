"""`orchestrator logs`: shows what trainers printed, logged and raised."""

from __future__ import annotations

from typing import Annotated

from orchestrator.analysis.selection import pick
from orchestrator.cli.shared.output import complain
from orchestrator.cli.shared.parameters import AnySweep, picking
from worker.text import printable

#: The last lines of each log that are shown if several jobs have one.
LINES = 10


def command(
    folder: AnySweep,
    words: Annotated[list[str] | None, picking()] = None,
) -> int:
    """Show what the trainer of a sweep's jobs printed, logged and raised.

    The whole log of one job, or the last 10 lines of each if several jobs that fit the words have one.

    Example: orchestrator logs night-run seed=3
    """
    manifest = folder.manifest()
    jobs = manifest.jobs_by_key()
    known = [key for key in pick(folder.name, jobs, words or []) if (folder.logs / f"{key}.log").is_file()]
    for key in known:
        lines = printable(folder.log(key) or "").splitlines()
        if len(known) > 1:
            print(printable(f"job {key[:12]}: {jobs[key].words(manifest.axes)}"))
            lines = [f"  {line}" for line in lines[-LINES:]]
        print("\n".join(lines))
    if not known:
        complain("No such job has a log: only what a trainer prints, logs or raises makes one")
    return 0 if known else 1
