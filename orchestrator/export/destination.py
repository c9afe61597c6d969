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


def refuse_taken(targets: Sequence[Path], *, replace: bool) -> None:
    """Check that an export may be written.

    Args:
        targets: What it consists of: files, or one folder.
        replace: Whether files may be replaced. A folder never is: it would have to be removed.

    Raises:
        OutputError: a target exists and may not be replaced, or is in the folder of a sweep or in a closed one.
    """
    for target in targets:
        with reading(target, OutputError):
            folder = target.parent.resolve()
            is_inside = any((each / "sweep.json").exists() for each in (folder, *folder.parents))
            is_folder = target.is_dir() and not target.is_symlink()
        if is_inside:
            raise OutputError(f"{target} is in the folder of a sweep, where nothing is exported: choose another --file")
        if is_folder:
            raise OutputError(f"{target} is a folder, which no export replaces: choose another --file")
        if not replace and os.path.lexists(target):
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
        remove_stale(parent, pattern=f".*{_SUFFIX}", remove=shutil.rmtree)
        with anchored(parent, real(parent)) as output, temporary_folder(output / name) as folder:
            # By numbers: not every character of a name can be in the address of a database.
            written = tuple(folder / str(i) for i in range(len(targets)))
            yield written
            for path in filter(Path.is_file, written):
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            refuse_taken(targets, replace=replace)
            # Whenever this process is killed, no file is beside one of another export.
            for target in targets[1:]:
                (output / target.name).unlink(missing_ok=True)
            for path, target in zip(written, targets, strict=True):
                path.replace(output / target.name)
            sync_folder(output)
    except OSError as error:
        raise OutputError(f"{targets[0]} cannot be written: {error.strerror or error}") from None
