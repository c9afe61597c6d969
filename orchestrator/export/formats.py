"""Exports a sweep in the format of another tool, atomically, and replaces what is there only on request.

A format's own module is imported when it is written.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from nn.errors import InvalidInputError
from nn.files import anchored, reading, real, remove_stale, sync_folder, temporary_folder
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import MissingPackageError, OutputError, SweepNotFoundError
from orchestrator.export import mlflow_runs
from orchestrator.export.jobs import OnProgress
from orchestrator.text import listed

#: By name in `--to`: the module of a format here, whose `write` writes a sweep to new files or to one new folder; how
#: the names of these end, the first of which `--file` names; and the extra with the packages that it needs.
FORMATS: Mapping[str, tuple[str, tuple[str, ...], str | None]] = {
    "csv": ("tables", (".csv", ".epochs.csv"), None),
    "mlflow": ("mlflow_runs", (".mlflow.db",), "mlflow"),
    "tensorboard": ("tensorboard_events", (".tensorboard",), "tensorboard"),
    "ro-crate": ("ro_crate", (".crate.zip",), "report"),
}
#: How the names of folders end in which an export is written.
_SUFFIX = ".seedsweep.tmp"


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
        replace: As for `refuse_taken`.
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
        raise InvalidInputError("to", to, listed(tuple(FORMATS), "or"))
    module, suffixes, extra = FORMATS[to]
    targets = tuple(Path(f"{sweep.name}{suffix}") for suffix in suffixes)
    if file is not None:
        targets = (file, *(file.parent / f"{file.stem}.epochs{file.suffix}" for _ in suffixes[1:]))
    if uri is None:
        refuse_taken(targets, replace=replace)
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
    with staged(targets, replace=replace) as paths:
        import_module(f"{__package__}.{module}").write(sweep, paths, on_progress)
    return Export(sweep, tuple(map(str, targets)))


def refuse_taken(targets: Sequence[Path], *, replace: bool, output: Path | None = None) -> None:
    """Check that an export may be written.

    Args:
        targets: What it consists of: files, or one folder.
        replace: Whether to replace files that are there, and links to files or to nothing, but not what those lead to.
            Nothing else is replaced, such as a folder or a device, and nothing by a folder.
        output: Their folder, if it is held open.

    Raises:
        OutputError: a target exists and may not be replaced, or is in the folder of a sweep or in a closed one.
    """
    for target in targets:
        there = target if output is None else output / target.name
        with reading(target, OutputError):
            folder = there.parent.resolve()
            is_inside = any((each / "sweep.json").exists() for each in (folder, *folder.parents))
            is_taken = os.path.lexists(there)
            is_file = there.is_file() or not there.exists()
        if is_inside:
            raise OutputError(f"{target} is in the folder of a sweep, where nothing is exported: choose another --file")
        if is_taken and not is_file:
            raise OutputError(f"{target} is not a file, and no export replaces it: choose another --file")
        if is_taken and not replace:
            raise OutputError(f"{target} exists: choose another --file, or replace it by --force")


@contextlib.contextmanager
def staged(targets: Sequence[Path], *, replace: bool) -> Iterator[tuple[Path, ...]]:
    """Yield paths to write to, and rename them to the targets when the block ends without an error.

    Args:
        targets: What the export consists of, in one folder.
        replace: As for `refuse_taken`.

    Raises:
        OutputError: a target exists and may not be replaced, or the folder cannot be written.
    """
    refuse_taken(targets, replace=replace)
    parent, name = targets[0].parent, f".{targets[0].name[:100]}.{secrets.token_hex(8)}{_SUFFIX}"
    try:
        with anchored(parent, real(parent)) as output, temporary_folder(output / name) as folder:
            remove_stale(output, pattern=f".*{_SUFFIX}", remove=shutil.rmtree)
            written = tuple(folder / str(i) for i in range(len(targets)))
            yield written
            for path in filter(Path.is_file, written):
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            refuse_taken(targets, replace=replace, output=output)
            # Whenever this process is killed, no file is beside one of another export.
            for target in targets[1:]:
                (output / target.name).unlink(missing_ok=True)
            for path, target in zip(written, targets, strict=True):
                path.replace(output / target.name)
            sync_folder(output)
    except OSError as error:
        raise OutputError(f"{targets[0]} cannot be written: {error.strerror or error}") from None
