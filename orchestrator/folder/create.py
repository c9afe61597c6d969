"""Makes a sweep's folder, whole or not at all, and removes what killed makers left of theirs."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path

from nn.files import STALE_SECONDS, write_atomically

#: What a folder is called until it is whole, and what it may hold by then.
_SUFFIX = ".new"
_CONTENT = ("weights", "sweep.json", ".sweep.json.*.tmp")


def make(path: Path, description: str) -> None:
    """Make the folder `path` with an empty folder `weights` and a `sweep.json` of this content.

    A folder of this name is a whole one, whatever ends this process.

    Raises:
        OSError: it cannot be made, or there is one; nothing of it is left behind, nor any folder above it.
    """
    above = _make_missing(path.parent)
    try:
        _remove_stale(path.parent)
        made = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent))
        try:
            (made / "weights").mkdir()
            write_atomically(made / "sweep.json", lambda file: file.write(description.encode()))
            # `mkdtemp` lets nobody else in; `mkdir` does what the user's umask says.
            made.chmod((made / "weights").stat().st_mode)
            made.rename(path)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except BaseException:
        _remove_empty(above)
        raise


def _make_missing(folder: Path) -> list[Path]:
    """Make a folder and those above it, and return the new ones. Not by `mkdir(parents=True)`, which leaves a part."""
    missing = list(takewhile(lambda each: not os.path.lexists(each), (folder, *folder.parents)))
    made: list[Path] = []
    try:
        for each in reversed(missing):
            with contextlib.suppress(FileExistsError):
                each.mkdir()
                made.append(each)
    except BaseException:
        _remove_empty(made)
        raise
    return made


def _remove_empty(folders: list[Path]) -> None:
    for each in reversed(folders):
        with contextlib.suppress(OSError):
            each.rmdir()


def _remove_stale(output: Path) -> None:
    for left in output.glob(f".*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - left.lstat().st_mtime >= STALE_SECONDS and not left.is_symlink():
                _remove_unfinished(left)


def _remove_unfinished(left: Path) -> None:
    """Remove a folder in the making, but not somebody's own that is called so: it has other content."""
    inside = sorted(left.iterdir(), key=lambda each: each.name != "weights")
    if all(any(fnmatchcase(each.name, pattern) for pattern in _CONTENT) for each in inside):
        for each in inside:
            # `weights` comes first: if it is not empty, this ends here.
            each.rmdir() if each.name == "weights" else each.unlink()
        left.rmdir()
