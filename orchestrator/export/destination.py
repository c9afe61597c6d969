"""Puts an export in its place, atomically, and replaces what is there only on request."""

import contextlib
import ctypes
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from nn.files import reading, remove_stale, sync_folder, temporary_folder
from orchestrator.errors import OutputError

#: The file that marks a folder made by an export: no other folder is ever replaced.
MARK = "seedsweep-export.json"
#: How the names of folders end in which an export is written.
_SUFFIX = ".seedsweep.tmp"
#: Of Linux: `renameat2` exchanges two names, relative to the working folder.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def refuse_taken(targets: Sequence[Path], *, replace: bool) -> None:
    """Check that an export may be written.

    Args:
        targets: What it consists of: files, or one folder.
        replace: Whether files and earlier exports may be replaced.

    Raises:
        OutputError: a target exists and may not be replaced, or is in the folder of a sweep or in a closed one.
    """
    for target in targets:
        folder = target.parent.resolve()
        with reading(target, OutputError):
            is_inside = any((each / "sweep.json").exists() for each in (folder, *folder.parents))
            is_foreign = target.is_dir() and not target.is_symlink() and not (target / MARK).is_file()
        if is_inside:
            raise OutputError(f"{target} is in the folder of a sweep, where nothing is exported: choose another --file")
        if not replace and os.path.lexists(target):
            raise OutputError(f"{target} exists: choose another --file, or replace it by --force")
        if is_foreign:
            raise OutputError(
                f"{target} is a folder that no export has made, and is not replaced: choose another --file"
            )


@contextlib.contextmanager
def staged(targets: Sequence[Path], *, replace: bool) -> Iterator[tuple[Path, ...]]:
    """Yield paths to write to, and rename them to the targets when the block ends without an error.

    Args:
        targets: What the export consists of, in one folder.
        replace: Whether earlier exports may be replaced.

    Raises:
        OutputError: a target exists and may not be replaced, or the folder cannot be written.
    """
    refuse_taken(targets, replace=replace)
    folder = targets[0].with_name(f".{targets[0].name[:100]}.{secrets.token_hex(8)}{_SUFFIX}")
    try:
        remove_stale(folder.parent, pattern=f".*{_SUFFIX}", remove=shutil.rmtree)
        with temporary_folder(folder):
            written = tuple(folder / f"{i}{target.suffix}" for i, target in enumerate(targets))
            yield written
            for path in filter(Path.is_file, written):
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            refuse_taken(targets, replace=replace)
            # Whenever this process is killed, no file is beside one of another export.
            for target in targets[1:]:
                target.unlink(missing_ok=True)
            for path, target in zip(written, targets, strict=True):
                if not (target.is_dir() and not target.is_symlink()):
                    path.replace(target)
                # What is replaced is removed with the temporary folder.
                elif not _exchange(path, target):
                    target.rename(folder / "replaced")
                    path.rename(target)
            sync_folder(folder.parent)
    except OSError as error:
        raise OutputError(f"{targets[0]} cannot be written: {error.strerror or error}") from None


def _exchange(path: Path, target: Path) -> bool:
    """Exchange the names of two folders at once; return False where the system cannot."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    names = _AT_FDCWD, os.fsencode(path), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE
    return rename is not None and rename(*names) == 0
