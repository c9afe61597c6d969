"""Exports a sweep in the format of another tool.

A format's own module is imported when it is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from nn.errors import InvalidInputError
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import MissingPackageError, SweepNotFoundError
from orchestrator.export import destination, mlflow_runs
from orchestrator.export.jobs import OnProgress

#: By name in `--to`: the module of a format here, whose `write` writes a sweep to new files or to one new folder; how
#: the names of these end, the first of which `--file` names; and the extra with the packages that it needs.
FORMATS: Mapping[str, tuple[str, tuple[str, ...], str | None]] = {
    "csv": ("tables", (".csv", ".epochs.csv"), None),
    "mlflow": ("mlflow_runs", (".mlflow.db",), "mlflow"),
    "tensorboard": ("tensorboard_events", (".tensorboard",), "tensorboard"),
    "ro-crate": ("ro_crate", (".crate.zip",), "report"),
}


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes:
        sweep: The sweep.
        places: The files, or the folder, that were written; or the address of the tracking server.
        known: How many of the jobs were on the tracking server already, with the same results.
    """

    sweep: Sweep
    places: tuple[str, ...]
    known: int = 0


def export(
    sweep: Sweep,
    to: str,
    *,
    file: Path | None = None,
    replace: bool = False,
    uri: str | None = None,
    on_progress: OnProgress = lambda _done, _all: None,
) -> Export:
    """Export the ended jobs of a sweep. Changes nothing in its folder.

    Args:
        sweep: The sweep.
        to: The format's name.
        file: The file to write, or the folder if the format has one; None for one in the working folder, named after
            the sweep.
        replace: Whether to replace files that are there; a folder is never replaced.
        uri: With `mlflow`: the address of a tracking server, such as `http://localhost:5000`, or of the database of
            one, to add the jobs to; None to write a file.
        on_progress: Receives the number of jobs that are done, and of all.

    Raises:
        InvalidInputError: there is no such format, or the address is not that of a server or database.
        MissingPackageError: a package that the format needs is not installed.
        SweepNotFoundError: no job has ended; or, for a crate, the folder is gone.
        OutputError: something is there, or a file cannot be written; then nothing is written. Or the server cannot be
            reached or written.
    """
    if to not in FORMATS:
        raise InvalidInputError("to", to, f"one of {', '.join(FORMATS)}")
    module, suffixes, extra = FORMATS[to]
    targets = tuple(Path(f"{sweep.name}{suffix}") for suffix in suffixes)
    if file is not None:
        targets = (file, *(file.parent / f"{file.stem}.epochs{file.suffix}" for _ in suffixes[1:]))
    if uri is None:
        destination.refuse_taken(targets, replace=replace)
    else:
        mlflow_runs.check(uri)
    if extra is not None:
        MissingPackageError.check(f"--to {to}", extra)
    # A crate has the files of the folder, which may have changed. Elsewhere, scores are the trainer's own metric; the
    # others have columns of their own.
    sweep = Sweep.read(sweep.folder) if to == "ro-crate" else sweep.select(metric="last")
    if not sweep.rows:
        raise SweepNotFoundError(f"No job of the sweep {sweep.name} has ended yet: there is nothing to export")
    if uri is not None:
        added = mlflow_runs.record(sweep, uri, on_progress)
        return Export(sweep, (mlflow_runs.without_password(uri),), known=len(sweep.ended) - added)
    with destination.staged(targets, replace=replace) as paths:
        import_module(f"{__package__}.{module}").write(sweep, paths, on_progress)
    return Export(sweep, tuple(map(str, targets)))
