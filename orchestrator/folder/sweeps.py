"""Finds the sweeps of an output folder, and whether they have changed, without reading them."""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import stat
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nn.errors import meant
from nn.files import anchored, identity, is_guarded, read_regular, real
from orchestrator.errors import SweepNotFoundError, SweepUnreadableError
from orchestrator.folder.locks import holder, locks
from orchestrator.sweeps.naming import is_name
from worker.text import one_line

if TYPE_CHECKING:
    from orchestrator.folder.sweep_folder import SweepFolder

#: The most sweeps in an index: those that changed last.
MOST_SWEEPS = 1000
#: Seconds without a change after which a sweep of another host counts as quiet.
QUIET_SECONDS = 600.0

#: What a page is made from, apart from weights, which have their hash.
_FILES = ("sweep.json", "results.jsonl", "leaderboard.json", "test.json")
#: What goes on in a sweep that runs (`orchestrator.folder.activity`).
PROGRESS = "progress.json"
#: The page that `report` writes.
REPORT = "report.html"
#: What somebody wrote about the sweep, and its longest text in characters.
NOTE = "note.txt"
LONGEST_NOTE = 500
#: The system's errors for a path that leads nowhere, or that cannot be a path.
_NO_SUCH_PATH = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
#: Names the sweep of a folder that changed last.
LAST = "last"


def open_sweep(argument: str, output: Path, *, elsewhere: bool = False, advice: str = "") -> SweepFolder:
    """Return the folder of a sweep.

    Args:
        argument: The name of a sweep in `output`; `last`, for the one that changed last; or the path of a sweep folder.
        output: The folder of all sweeps.
        elsewhere: Whether a name may be that of a sweep without a folder here.
        advice: What the error says of a name that resembles no other.

    Raises:
        SweepNotFoundError: there is no such folder, and no such name; names that are nearly the same are offered.
        SweepUnreadableError: a folder on the way is closed to this user, or `output` is not a folder.
    """
    # Imported here because it takes a while, and lists do without.
    from orchestrator.folder.sweep_folder import SweepFolder

    # A name means the same in every working folder.
    if is_name(argument) and _is_sweep(output / argument):
        return SweepFolder(output, argument)
    if argument not in ("", LAST) and _is_sweep(Path(argument)):
        path = Path(argument)
        # A link goes by its own name, which `rm` and `mv` act on.
        path = real(path.parent) / path.name if is_name(path.name) else real(path)
        return SweepFolder(output if path.parent == real(output) else path.parent, path.name)
    if argument == LAST:
        if not (names := Sweeps(output).names()):
            raise SweepNotFoundError(f"There is no sweep in {output} yet: orchestrator sweep begins one")
        return SweepFolder(output, names[0])
    if is_name(argument):
        folder = SweepFolder(output, argument)
        if elsewhere:
            return folder
        if folder.exists():
            raise SweepNotFoundError(folder.absence())
    names = []
    with contextlib.suppress(SweepUnreadableError):
        names = Sweeps(output).names()
    more = meant(Path(argument).name, names) or (f"; {advice}" if advice and is_name(argument) else "")
    raise SweepNotFoundError(f"There is no sweep {argument!r}: neither a sweep folder nor a name in {output}{more}")


def _is_sweep(folder: Path) -> bool:
    # Not `Path.is_file`, which returns False on some disk errors, too.
    try:
        return stat.S_ISREG((folder / "sweep.json").stat().st_mode)
    except ValueError:
        return False  # No path has a NUL character.
    except OSError as error:
        if error.errno in _NO_SUCH_PATH:
            return False
        raise SweepUnreadableError(folder, error) from None


class Sweeps:
    """The sweeps of an output folder.

    Args:
        output: The folder; a missing one has no sweeps.
        only: The name of the only sweep to show; None for all.
        first: What was found first, as the attribute of another process: the folder's path without links, and the
            identity of what is shown. None to look.
    """

    def __init__(self, output: Path, only: str | None = None, first: Sequence[Any] | None = None) -> None:
        self.output = output
        self.only = only
        self._shown = output / (only or "")
        self.first = first or (str(real(output)), identity(self._shown))
        #: Nothing is read elsewhere.
        self._found = Path(self.first[0])

    def check(self) -> None:
        """Raise `SweepUnreadableError` if others have exchanged the folder, or its only sweep, since then."""
        now, first = identity(self._shown), self.first[1]
        if first is not None and now != tuple(first) and not is_guarded(self._shown):
            raise SweepUnreadableError(self._shown, OSError(errno.ESTALE, "Its folder was moved or replaced"))

    def names(self, keep: Callable[[Path], bool] = lambda _folder: True) -> list[str]:
        """Return the names of the sweeps: those that changed last come first, at most `MOST_SWEEPS`.

        Args:
            keep: Whether the sweep in a folder counts.

        Raises:
            SweepUnreadableError: the output folder cannot be read.
        """
        # A time far in the future is wrong.
        latest = time.time() + QUIET_SECONDS
        try:
            if not os.path.lexists(self.output):
                return []
            with anchored(self.output, self._found) as held, os.scandir(held) as entries:
                # One by one: there may be millions of others.
                names = (
                    each.name for each in entries if not each.is_file(follow_symlinks=False) and is_name(each.name)
                )
                changed = ((name, _changed(held / name)) for name in names if self.only in (None, name))
                sweeps = ((name, when) for name, when in changed if when is not None and keep(self.output / name))
                ranked = ((when > latest, -when, name) for name, when in sweeps)
                return [name for *_, name in heapq.nsmallest(MOST_SWEEPS, ranked)]
        except OSError as error:
            raise SweepUnreadableError(self.output, error) from None

    def folder(self, name: str) -> SweepFolder:
        """Return the folder of a sweep.

        Raises:
            SweepNotFoundError: there is no such sweep, it is not to be shown, or it is a link out of the output folder.
            SweepUnreadableError: as `check`.
        """
        self.check()
        if not is_name(name) or self.only not in (None, name) or not os.path.lexists(self.output / name):
            raise SweepNotFoundError(f"There is no sweep {name!r} in {self.output}")
        # Imported here because it takes a while, and `names` does without.
        from orchestrator.folder.sweep_folder import SweepFolder

        folder = SweepFolder(self.output, name)
        # A foreign link must not expose what this process can read, but not its writer.
        if not folder.real.is_relative_to(self._found):
            raise SweepNotFoundError(f"{folder.path} leads out of {self.output}, where no page looks")
        return folder

    def versions(self, *names: str) -> dict[str, Hashable] | None:
        """Return sweeps, by default all, with a value that changes with each; None if the folder cannot be read."""
        try:
            taken, folders = locks(), [self.output / name for name in names or self.names()]
        except SweepUnreadableError:
            return None
        return {at.name: (content(at), content(at, (PROGRESS,)), holder(at, taken), is_quiet(at)) for at in folders}


def content(folder: Path, files: Iterable[str] = (*_FILES, NOTE, "weights")) -> Hashable:
    """Return a value that changes with a sweep's files; by default, with those that its report is made from."""
    return tuple(identity(folder / file, content=True) for file in files)


def is_quiet(folder: Path) -> bool:
    """Return whether nothing in the folder has changed for `QUIET_SECONDS`; a time far in the future is wrong."""
    changed = _changed(folder)
    return changed is None or abs(time.time() - changed) > QUIET_SECONDS


def changed_at(folder: Path, *files: str) -> float | None:
    """Return when a sweep's files (by default, all that a page is made from) changed last, in seconds since 1970."""
    found = []
    for file in files or (*_FILES, PROGRESS):
        with contextlib.suppress(OSError):
            found.append((folder / file).stat().st_mtime_ns / 1e9)
    return max(found, default=None)


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder and below it."""
    found, folders = 0, [os.fspath(folder)]
    # Not `os.walk`, which may be nested as deep as the folders. They may be removed meanwhile.
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for each in entries:
                if each.is_dir(follow_symlinks=False):
                    folders.append(each.path)
                else:
                    with contextlib.suppress(OSError):
                        found += each.stat(follow_symlinks=False).st_size
    return found


def note(folder: Path) -> str:
    """Return what somebody wrote about a sweep in a folder, a path without links; empty if there is no note."""
    with contextlib.suppress(OSError):
        return one_line(read_regular(folder / NOTE, 4 * LONGEST_NOTE, folder).decode(errors="replace").strip())
    return ""


def _changed(folder: Path) -> float | None:
    """Return when a folder changed last; None if it contains no sweep."""
    return changed_at(folder) if os.path.lexists(folder / _FILES[0]) else None
