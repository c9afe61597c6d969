"""Makes a sweep folder atomically: complete or absent. Removes unfinished ones that killed processes left."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path

from nn.files import STALE_SECONDS, sync_folder, write_atomically

#: An unfinished folder is named `.NAME.<random>.new`, and contains only `_CONTENT`.
_SUFFIX = ".new"
_CONTENT = ("weights", "sweep.json", ".sweep.json.*.tmp")


def make(path: Path, description: str) -> None:
    """Make a sweep folder with a `sweep.json` and an empty folder `weights`.

    The folder is made under another name and renamed at the end: if this process is killed, `path` stays free.

    Args:
        path: The sweep folder; folders above it are made as needed.
        description: The content of `sweep.json`.

    Raises:
        OSError: the folder cannot be made, or the name is taken. Neither it nor any new folder above it is left behind.
    """
    above = _make_missing(path.parent)
    try:
        _remove_stale(path.parent)
        # From Python 3.12 on, `mkdtemp` returns an absolute path, which may be too long even if the given one is not.
        name = tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent)
        made = path.with_name(Path(name).name)
        try:
            (made / "weights").mkdir()
            write_atomically(made / "sweep.json", lambda file: file.write(description.encode()))
            # `mkdtemp` gives access to the owner only; `mkdir` follows the user's umask.
            made.chmod((made / "weights").stat().st_mode)
            made.rename(path)
            for each in (path.parent, *(folder.parent for folder in above)):
                sync_folder(each)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except BaseException:
        _remove_empty(above)
        raise


def _make_missing(folder: Path) -> list[Path]:
    """Make a folder and those above it, and return the new ones, so that the caller can remove them.

    `mkdir(parents=True)` leaves the upper folders behind when a lower one cannot be made.
    """
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
    """Remove an unfinished sweep folder. A folder with any other content is the user's, and stays."""
    inside = sorted(left.iterdir(), key=lambda each: each.name != "weights")
    if all(any(fnmatchcase(each.name, pattern) for pattern in _CONTENT) for each in inside):
        for each in inside:
            # `weights` comes first: if it is not empty, `rmdir` raises before anything was removed.
            each.rmdir() if each.name == "weights" else each.unlink()
        left.rmdir()
