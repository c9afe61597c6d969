"""`rm`, `mv`, `prune` and `note`: remove a sweep or its weights, give it another name, or say what it is about."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from nn.errors import Described, InvalidInputError
from nn.files import clear, sync_folder
from orchestrator.analysis.summary import summary
from orchestrator.errors import SweepBusyError
from orchestrator.folder.keeping import Keeper
from orchestrator.folder.sweep_folder import UNFINISHED, SweepFolder
from orchestrator.folder.sweeps import LONGEST_NOTE, NOTE, size


def remove(folder: SweepFolder) -> None:
    """Remove a sweep with all of its folder.

    Raises:
        SweepBusyError: it runs.
        OutputError: the folder cannot be removed.
    """
    with changing(folder) as own:
        # Out of sight first: nobody sees a part of it. If this process is killed, a later sweep removes the rest.
        hidden = folder.path.with_name(f".{folder.name}.{secrets.token_hex(8)}{UNFINISHED}")
        os.utime(own)  # It is not stale.
        if folder.move(hidden.name):
            hidden.unlink()
            return
        try:
            clear(own if own.exists() else hidden)  # without /proc, its path is the old one
        except RecursionError:
            raise OSError(errno.ELOOP, f"the folders in {hidden.name} are nested too deep to be removed") from None
        hidden.rmdir()


def rename(folder: SweepFolder, name: str) -> SweepFolder:
    """Give a sweep another name, and return its folder.

    Its `sweep.json` keeps the name under which it began: a cluster knows it by that.

    Raises:
        InvalidInputError: the name is invalid or taken.
        SweepBusyError: it runs.
        OutputError: the folder cannot be renamed.
    """
    renamed = SweepFolder(folder.path.parent, name)
    if renamed.exists():
        raise InvalidInputError("name", name, f"a name that nothing in {renamed.path.parent} has")
    with changing(folder):
        folder.move(name)
        sync_folder(renamed.path.parent)
    return SweepFolder(folder.path.parent, name)  # anew, as it may be a link


def prune(folder: SweepFolder, policy: str) -> tuple[int, int]:
    """Keep only some of a sweep's weights from now on (`Manifest.keep_weights`).

    Return the bytes of those removed, and of those that stay because undo withdrew their jobs, or no row can be read.

    Raises: as `remove`; `SweepNotFoundError` if the folder is not a sweep's; `SweepUnreadableError`.
    """
    with changing(folder, prepare=True):
        manifest, before = folder.manifest(), size(folder.path / "weights")
        rows = folder.rows_of(manifest.jobs_by_key()).values()
        folder.write_manifest(manifest.model_copy(update={"keep_weights": policy}))
        Keeper(folder, policy).note(*filter(folder.holds, rows))
        after = size(folder.path / "weights")
        own = {folder.weights_path(str(row.weights_sha256)) for row in filter(folder.holds, rows)}
        return before - after, after - sum(path.lstat().st_size for path in own)


def annotate(folder: SweepFolder, text: str) -> None:
    """Say what a sweep is about, in place of its earlier note; an empty text removes that. The sweep may run.

    Raises:
        InvalidInputError: the text is too long, or has several lines.
        OutputError: the note cannot be written.
    """
    if len(text) > LONGEST_NOTE or not text.isprintable():
        found = Described(f"one of {len(text)} characters") if text.isprintable() else text
        raise InvalidInputError("text", found, f"one line of at most {LONGEST_NOTE} characters")
    if text:
        folder.keep(NOTE, text)
    else:
        with folder.writing() as here:
            (here / NOTE).unlink(missing_ok=True)


@contextlib.contextmanager
def changing(folder: SweepFolder, *, prepare: bool = False) -> Iterator[Path]:
    """Hold the lock of a sweep that does not run, here or elsewhere, and yield a path as `SweepFolder.writing` does."""
    if summary(folder.path).state == "running":
        with folder.exclusive(prepare=False):
            raise SweepBusyError(f"The sweep {folder.name} seems to run on another host: end it there first")
    with folder.exclusive(prepare=prepare), folder.writing() as own:
        yield own
