"""`orchestrator export`: writes the results of a sweep in the format of another tool."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from nn.errors import Beside, Described, InvalidInputError
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import answer, complain
from orchestrator.cli.shared.parameters import AnySweep, AsJson, one_of
from orchestrator.cli.shared.parameters import file as a_file
from orchestrator.export.formats import FORMATS, export
from orchestrator.text import counted

#: Seconds between two lines of progress.
SILENCE = 10.0


def command(
    to: Annotated[str, one_of(*FORMATS, help="The format.")],
    folder: AnySweep,
    file: Annotated[
        Path | None,
        a_file(
            "PATH",
            "The file to write, or the folder for tensorboard.  [default: NAME.csv, NAME.mlflow.db, NAME.tensorboard "
            "or NAME.crate.zip, in the working folder]",
        ),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(metavar="URI", help="With mlflow: add to this server or database instead of writing a file."),
    ] = None,
    replace: Annotated[bool, typer.Option("--force", help="Replace the files that are there.")] = False,
    as_json: AsJson = False,
) -> int:
    """Write the results of a sweep in the format of another tool.

    Reads the sweep's folder, of a finished sweep or one that runs, and exports the jobs that have ended. csv is
    two tables, of jobs and, in NAME.epochs.csv, of epochs; mlflow is a database in one file; tensorboard is a folder of
    event files; ro-crate has the sweep's folder with its weights, its claim and its report.

    Example: orchestrator export night-run --to csv --file night-run.csv
    """
    if file is not None and not file.name:
        raise InvalidInputError("file", str(file), "the path of a file or folder to make")
    if tracking_uri is not None:
        if to != "mlflow":
            raise InvalidInputError("tracking_uri", Described("given"), Beside(f"--to {to}"))
        for field, given in (("file", file is not None), ("replace", replace)):
            if given:
                raise InvalidInputError(field, Described("given"), Beside("--tracking-uri"))
    result = export(Sweep.read(folder), to, file=file, replace=replace, uri=tracking_uri, on_progress=_counting())
    ended, jobs = len(result.sweep.ended), counted(len(result.sweep.jobs), "job")
    what = jobs if ended == len(result.sweep.jobs) else f"the {ended} of {jobs} that have ended"
    known = f" ({result.known} were there already)" if result.known else ""
    return answer(
        f"Exported {what}: {', '.join(result.places)}{known}",
        as_json=as_json,
        name=result.sweep.name,
        format=to,
        places=list(result.places),
        jobs=len(result.sweep.jobs),
        exported=ended,
        known=result.known,
    )


def _counting() -> Callable[[int, int], None]:
    """Return what shows progress on standard error, given the number of jobs that are done, and of all."""
    last = time.monotonic()

    def on_progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > SILENCE:
            last = time.monotonic()
            complain(f"{done} of {total} jobs exported")

    return on_progress
