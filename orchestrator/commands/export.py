"""`export`: writes a sweep's results, from its folder alone, in the format of another tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import SweepNotFoundError
from orchestrator.export import destination, mlflow_runs
from orchestrator.export.formats import format_named
from orchestrator.export.jobs import Missing, OnProgress
from orchestrator.folder.sweep_folder import SweepFolder


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes:
        sweep: The sweep.
        format: The format's name.
        places: The files, or the folder, that were written; or the address of the tracking server.
        missing: The weights that the export lacks.
        known: How many of the jobs were on the tracking server already, with the same results.
    """

    sweep: Sweep
    format: str
    places: tuple[str, ...]
    missing: tuple[Missing, ...] = ()
    known: int = 0

    @property
    def finished(self) -> bool:
        """Whether every job of the sweep had ended."""
        return len(self.sweep.ended) == len(self.sweep.jobs)


def export(
    folder: SweepFolder, to: str, *, file: Path | None = None, replace: bool = False, on_progress: OnProgress
) -> Export:
    """Export the ended jobs of a sweep. Takes no lock and changes nothing in the folder.

    Args:
        folder: The sweep's folder.
        to: The format's name.
        file: The file to write, or the folder if the format has one; None for one in the working folder, named after
            the sweep.
        replace: Whether to replace what an earlier export wrote there.
        on_progress: Receives the number of jobs that are done, and of all.

    Raises:
        InvalidInputError: there is no such format.
        MissingPackageError: a package that the format needs is not installed.
        SweepNotFoundError: the folder contains no sweep, or no job of it has ended.
        SweepUnreadableError: the folder cannot be read.
        OutputError: something is there, or a file cannot be written; then nothing is written.
    """
    chosen = format_named(to)
    targets = chosen.targets(folder.name, file)
    destination.refuse_taken(targets, replace=replace)
    chosen.check()
    sweep = _read(folder)
    with destination.staged(targets, replace=replace) as paths:
        missing = chosen.write(sweep, paths, on_progress)
    return Export(sweep, to, tuple(map(str, targets)), tuple(missing))


def track(folder: SweepFolder, uri: str, *, on_progress: OnProgress) -> Export:
    """Add the ended jobs of a sweep to an MLflow tracking server, or to the database of one.

    Args:
        folder: The sweep's folder.
        uri: The server's address, such as `http://localhost:5000`, or the database's.
        on_progress: Receives the number of jobs that are done, and of all.

    Raises:
        InvalidInputError: the address is not that of a server or database.
        MissingPackageError: a package of the format is not installed.
        SweepNotFoundError: the folder contains no sweep, or no job of it has ended.
        SweepUnreadableError: the folder cannot be read.
        OutputError: the server cannot be reached or written.
    """
    mlflow_runs.check(uri)
    format_named("mlflow").check()
    sweep = _read(folder)
    added = mlflow_runs.record(sweep, uri, on_progress)
    return Export(sweep, "mlflow", (mlflow_runs.without_password(uri),), known=len(sweep.ended) - added)


def _read(folder: SweepFolder) -> Sweep:
    # Scores are the trainer's own metric; the others have columns of their own.
    sweep = Sweep.read(folder, "last")
    if not sweep.rows:
        raise SweepNotFoundError(f"No job of the sweep {sweep.name} has ended yet: there is nothing to export")
    return sweep
