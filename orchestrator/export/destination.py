"""Puts an export in its place, atomically, and replaces what is there only on request."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from nn.files import anchored, reading, real, remove_stale, sync_folder, temporary_folder
from orchestrator.errors import OutputError

#: How the names of folders end in which an export is written.
_SUFFIX = ".seedsweep.tmp"


def refuse_taken(targets: Sequence[Path], *, replace: bool, output: Path | None = None) -> None:
    """Check that an export may be written.

    Args:
        targets: What it consists of: files, or one folder.
        replace: Whether files may be replaced. A folder never is: it would have to be removed.
        output: Their folder, if it is held open.

    Raises:
        OutputError: a target exists and may not be replaced, or is in the folder of a sweep or in a closed one.
    """
    for target in targets:
        there = target if output is None else output / target.name
        with reading(target, OutputError):
            folder = there.parent.resolve()
            is_inside = any((each / "sweep.json").exists() for each in (folder, *folder.parents))
            is_folder = there.is_dir() and not there.is_symlink()
        if is_inside:
            raise OutputError(f"{target} is in the folder of a sweep, where nothing is exported: choose another --file")
        if is_folder:
            raise OutputError(f"{target} is a folder, which no export replaces: choose another --file")
        if not replace and os.path.lexists(there):
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
