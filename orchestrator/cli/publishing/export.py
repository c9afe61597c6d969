"""`orchestrator export`: reads its arguments, calls the command, says what was written."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from nn.errors import InvalidInputError
from orchestrator.analysis.lookup import open_sweep
from orchestrator.cli.output import complain, say
from orchestrator.cli.publishing.counting import counting
from orchestrator.cli.words.arguments import output_folder
from orchestrator.commands.publishing.export import Export, export
from orchestrator.text import counted

#: How many missing weights are named.
NAMED = 3


def run_export(name: str, to: str, file: str | None, output: str, *, force: bool, as_json: bool) -> int:
    """Export a sweep, and return the exit status: 1 if the export lacks weights.

    Raises:
        SeedsweepError: bad input, or a folder cannot be read or written.
    """
    folder = open_sweep(name, output_folder(output))
    with counting("exported") as on_progress:
        result = export(folder, to, file=_path(file), replace=force, on_progress=on_progress)
    if as_json:
        print(json.dumps(_as_dict(result), allow_nan=False))
    else:
        _say(result)
    if result.missing:
        complain(_lacking(result))
    return 1 if result.missing else 0


def _path(file: str | None) -> Path | None:
    if file is None:
        return None
    if "\0" in file or not Path(file).name:
        raise InvalidInputError("--file", file, "the path of a file or folder to make")
    return Path(file)


def _say(result: Export) -> None:
    console = Console(highlight=False)
    ended, jobs = len(result.sweep.ended), len(result.sweep.jobs)
    if result.finished:
        say(console, f"Exported {counted(ended, 'job')}: {', '.join(map(str, result.paths))}")
    else:
        say(console, f"Exported the {ended} of {counted(jobs, 'job')} that have ended: "
                     f"{', '.join(map(str, result.paths))}")  # fmt: skip


def _as_dict(result: Export) -> dict[str, object]:
    return {
        "name": result.sweep.name,
        "format": result.format,
        "paths": [str(path) for path in result.paths],
        "jobs": len(result.sweep.jobs),
        "exported": len(result.sweep.ended),
        "missing_weights": [{"job": each.ended.key, "fault": each.fault} for each in result.missing],
    }


def _lacking(result: Export) -> str:
    """Say whose weights are missing, and how to get them."""
    sweep, axes = result.sweep, result.sweep.manifest.axes
    named = [f"{each.ended.key[:12]} ({each.ended.job.words(axes)}): {each.fault}" for each in result.missing[:NAMED]]
    more = len(result.missing) - len(named)
    listed = "; ".join([*named, *([f"and {more} more"] if more else [])])
    return (
        f"The export lacks the weights of {counted(len(result.missing), 'job')}: {listed}. To have them, resume the "
        f"sweep: orchestrator sweep --name {sweep.name} --resume"
    )
