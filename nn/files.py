"""Files that are complete or absent, despite concurrent writers and power failures."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import grp
import hashlib
import io
import os
import pwd
import re
import shutil
import stat
import struct
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nn.errors import SeedsweepError

if TYPE_CHECKING:
    from zipfile import ZipFile

#: Seconds after which a temporary file can only have been left by a killed writer.
STALE_SECONDS = 3600.0
#: The name of a file that `write_atomically` has not completed yet. Other programs have hidden `.tmp` files, too.
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.tmp", re.DOTALL)

#: Where Linux has a link to each file and folder that this process has opened, by descriptor.
_OPENED = Path("/proc/self/fd")
#: A text of JSON; its group has the colon after the name of a field. One without an end is also found, in one pass.
JSON_TEXT = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"(\s*:)?|\Z)', re.DOTALL)


def write_atomically(path: Path, write: Callable[[BinaryIO], object], *, sync: bool = True) -> None:
    """Call `write` with a new file, and rename the file to `path` once it is complete and on disk.

    Readers see the old file or the new one, never a partial one. On an error the old file remains and the new one is
    removed. Without `sync`, its name is not on disk yet when this returns: the caller calls `sync_folder`.

    Raises:
        OSError: the folder is missing or cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105, without the path that `Path.replace` makes for each of many files
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent)


@contextlib.contextmanager
def temporary_folder(folder: Path | None = None) -> Iterator[Path]:
    """Make a folder that only this user can enter, and remove it when the block ends, however it ends.

    Yield a path that stays this folder, even if another one takes its name.

    Args:
        folder: Where; by default, under a new name in the folder for temporary files.

    Raises:
        OSError: it cannot be made, or another user has put something in its place.
    """
    # Named before it is made, unlike `tempfile.TemporaryDirectory`: an interruption right after that leaves nothing.
    folder = folder or Path(tempfile.gettempdir(), f"seedsweep-{uuid.uuid4().hex}")

    def discard() -> None:
        with contextlib.suppress(OSError):
            clear(own)

    try:
        try:
            folder.mkdir(0o700)
            with anchored(folder) as own, contextlib.ExitStack() as first, contextlib.ExitStack() as again:
                is_new = not any(own.iterdir())
                # Compared with a file, as some file systems give all files another owner, and rights of their own.
                # Named before it is made, so that it can be removed after any interruption.
                like_it = own / uuid.uuid4().hex
                first.callback(like_it.unlink, missing_ok=True)
                with open(like_it, "xb", opener=functools.partial(os.open, mode=0o600)) as file:
                    like, found = os.fstat(file.fileno()), own.stat()
                like_it.unlink()
                if not is_new or found.st_uid != like.st_uid or found.st_mode & ~like.st_mode & 0o022:
                    raise OSError(errno.ESTALE, "something else has taken its name", str(folder))
                first.callback(discard)
                again.callback(discard)
                yield own
        finally:
            remove_empty(folder)
    finally:  # and so does one that ends the removal
        remove_empty(folder)


def clear(folder: Path) -> None:
    """Remove all that is in a folder.

    Raises:
        OSError: something cannot be removed.
    """
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()


def remove_empty(folder: Path) -> None:
    """Remove a folder if it is empty."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def identity(path: Path, *, content: bool = False) -> tuple[int, ...] | None:
    """Return a path's device and inode, with its `content` also size and times of change; None if it is missing."""
    with contextlib.suppress(OSError, ValueError):
        found = path.stat()
        return (found.st_dev, found.st_ino, *((found.st_size, found.st_mtime_ns, found.st_ctime_ns) if content else ()))
    return None


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to disk; until then, a power cut can undo the creation or renaming of a file.

    A folder that cannot be synced (unreadable, or unsupported by its file system) is ignored: the file is in place.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_temporary(left: Path) -> None:
    if left.is_file() and _TEMPORARY.fullmatch(left.name):
        left.unlink()


def remove_stale(
    folder: Path,
    seconds: float = STALE_SECONDS,
    pattern: str = ".*.tmp",
    remove: Callable[[Path], object] = _remove_temporary,
) -> None:
    """Remove what killed writers left in `folder` more than `seconds` ago, by default temporary files; never a link."""
    # Who can write to it could give such a name to anything in it.
    if not is_private(folder, 0):
        return
    # Another process may remove it first, and what cannot be removed (nested too deep) must not prevent a write.
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        # One by one: there may be millions of others.
        for left in (each for each in entries if fnmatch.fnmatchcase(each.name, pattern)):
            with contextlib.suppress(OSError, RecursionError):
                if not left.is_symlink() and time.time() - left.stat(follow_symlinks=False).st_mtime >= seconds:
                    remove(Path(left.path))


def open_regular(path: Path, max_bytes: int = sys.maxsize, within: Path | None = None) -> io.BufferedReader:
    """Open a regular file for reading; opening a pipe could block, and a device may have no end.

    Links are followed. Nothing is read from a file that is rejected, and nothing that is added to it later.

    Args:
        path: The file.
        max_bytes: The most bytes that it may have.
        within: The folder that the file has to be in, by a path without links; None for any.

    Raises:
        OSError: the file cannot be opened, is not a regular file, is too large, or is elsewhere. `strerror` gives the
            reason without the path: "No such file or directory", "Not a regular file".
    """
    try:
        # Checked before it is opened, because opening has side effects on some devices.
        _check(path, path.stat(), max_bytes)
        # Another file may have taken the name meanwhile: do not block on a pipe, and check the opened file again.
        return io.BufferedReader(_Whole(_open(path, os.O_RDONLY, max_bytes, within)))
    except ValueError as error:  # a name with a null byte
        raise OSError(errno.EINVAL, str(error), str(path)) from None


class _Whole(io.FileIO):
    """A file that ends where it ended when it was opened: its owner may let it grow for ever."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._end = os.fstat(descriptor).st_size

    def readinto(self, buffer: Any) -> int:
        return super().readinto(memoryview(buffer)[: max(self._end - self.tell(), 0)])

    def readall(self) -> bytes:
        # One call may return less: two gigabytes at most.
        return b"".join(iter(lambda: self.read(max(self._end - self.tell(), 0)), b""))


@contextlib.contextmanager
def reading(what: object, error: type[SeedsweepError]) -> Iterator[None]:
    """Raise an error of this type, about `what`, for a file that cannot be read in the block, or not in its memory."""
    try:
        yield
    except OSError as raised:
        raise error(f"{what} cannot be read: {raised.strerror or raised}") from None
    except MemoryError:
        raise error(f"{what} needs more memory than there is") from None


def read_regular(path: Path, max_bytes: int, within: Path | None = None) -> bytes:
    """Return the content of a regular file: at most `max_bytes` bytes, even if the file grows meanwhile.

    Raises:
        OSError: as for `open_regular`.
    """
    with open_regular(path, max_bytes, within) as file:
        return file.read()


@contextlib.contextmanager
def anchored(folder: Path, within: Path | None = None) -> Iterator[Path]:
    """Open a folder, and yield a path that stays this folder, even if another one takes its name.

    Args:
        folder: The folder.
        within: The folder that it has to be, or to be in, by a path without links; None for one that is no link.

    Raises:
        OSError: it cannot be opened, or is elsewhere.
    """
    # On Linux, without the right to list it, which writing does not need.
    flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | (os.O_NOFOLLOW if within is None else 0)
    descriptor = os.open(folder, flags)
    try:
        if within is not None:
            refuse_elsewhere(descriptor, folder, within)
        yield through(descriptor, folder)
    finally:
        os.close(descriptor)


def path_of(descriptor: int, path: Path) -> Path:
    """Return the path, without links, of what is open. Another user may exchange what `path` leads to at any time."""
    with contextlib.suppress(OSError):  # without /proc
        return (_OPENED / str(descriptor)).readlink()
    return real(path)


def through(descriptor: int, path: Path) -> Path:
    """Return a path of what this process has opened, which nobody can exchange; without /proc, the given path."""
    opened = _OPENED / str(descriptor)
    return opened if opened.exists() else path


def real(path: Path) -> Path:
    """Return a path without links; or the path as it is if they change meanwhile, and no file is `within` that."""
    with contextlib.suppress(OSError):
        return Path(os.path.realpath(path))
    return path


def refuse_elsewhere(descriptor: int, path: Path, within: Path) -> None:
    """Raise `OSError` unless what was opened is in a folder, or is that folder: arguments as for `anchored`."""
    if not path_of(descriptor, path).is_relative_to(within):
        why = "A link out of its folder" if real(within) == within else "Its folder was moved or replaced"
        raise OSError(errno.ELOOP, why, str(path))


def digest(blob: bytes) -> str:
    """Return the SHA-256 of a blob, such as weights, in hexadecimal: the name under which it is stored."""
    return hashlib.sha256(blob).hexdigest()


def json_values(stored: bytes) -> int:
    """Return how many values a JSON text has at most, or nearly: each costs memory, also an empty one."""
    return sum(map(stored.count, (b",", b"[", b"{")))


def longest_text(stored: bytes) -> int:
    """Return the bytes of the longest text, or name of a field, in a JSON text, with its quotes."""
    return max((found.end() - found.start() for found in JSON_TEXT.finditer(stored)), default=0)


def open_zip(file: BinaryIO, most: int = 2**20) -> ZipFile:
    """Open a ZIP file that can be unpacked in bounded pieces.

    Raises:
        BadZipFile: its list of files, which is read into memory, has more than `most` bytes; or a file takes more time
            or memory to unpack than its size tells: by another method than deflate, or because files overlap.
    """
    from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

    size = file.seek(0, 2)
    file.seek(max(0, size - 42))
    last = file.read()
    large, end = last[:-22], last[-22:]
    if end[:4] != b"PK\5\6" or large[:4] == b"PK\6\7" or int.from_bytes(end[12:16], "little") > most:
        raise BadZipFile("it is not a ZIP file, or has a comment or too many files")
    archive = ZipFile(file)
    for entry in archive.infolist():
        if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise BadZipFile(f"{entry.filename} in it is compressed by another method than deflate")
        # Deflate makes hardly anything larger, and files that overlap would be unpacked many times.
        if entry.compress_size > 1.1 * entry.file_size + 2**10:
            raise BadZipFile(f"{entry.filename} in it is larger than what it unpacks to")
        size -= entry.compress_size
        if size < 0:
            raise BadZipFile(f"{entry.filename} in it overlaps another file")
    return archive


def open_own(path: Path, flags: int = 0) -> io.FileIO:
    """Open a regular file for reading and writing, unbuffered, without following a link.

    `flags` are more flags of `os.open`, such as `os.O_CREAT`.

    Raises:
        OSError: the file cannot be opened, is a link or not a regular file, or has another name elsewhere, a hard link;
            `strerror` gives the reason without the path.
    """
    file = io.FileIO(_open(path, os.O_RDWR | os.O_NOFOLLOW | flags), "r+b")
    if (links := os.fstat(file.fileno()).st_nlink) > 1:
        file.close()
        raise OSError(errno.EMLINK, f"{path.name} has {links} hard links; put a copy in its place", str(path))
    return file


def _open(path: Path, flags: int, max_bytes: int = sys.maxsize, within: Path | None = None) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    try:
        found = os.fstat(descriptor)
        _check(path, found, max_bytes)
        # In /proc, files without a size have content, which may be endless. Asked again: a file may have grown.
        if found.st_size == 0 and os.pread(descriptor, 1, 0) and os.fstat(descriptor).st_size == 0:
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        if within is not None:
            refuse_elsewhere(descriptor, path, within)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(path: Path, found: os.stat_result, max_bytes: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    if found.st_size > max_bytes:
        raise OSError(errno.EFBIG, f"{found.st_size} bytes; allowed: at most {max_bytes}", str(path))


#: Kinds of entries in an access control list of Linux: of a named user, the file's group, and a named group.
_ACL_USER, _ACL_GROUP_OBJ, _ACL_GROUP = 2, 4, 8
#: Most links on the way to a file, as Linux follows them.
_MOST_LINKS = 40


def is_private(path: Path, *others: int) -> bool:
    """Return whether a path belongs to this user, and nobody else can write to it, or it is missing.

    Args:
        path: The path.
        others: The ids of further users to whom it may belong.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return found.st_uid in (os.geteuid(), *others) and not _is_shared(path, found)


def is_guarded(path: Path) -> bool:
    """Return whether only this user and root can rename what a path leads to, a folder above, or a link on the way."""
    root, links = Path("/"), 0
    here, names = root, [*reversed(path.absolute().parts[1:])]
    try:
        while names and links < _MOST_LINKS:
            folder, step = here.stat(), here / names.pop()
            # In a sticky folder, such as /tmp, everybody can only rename their own.
            is_open = _is_shared(here, folder) and not folder.st_mode & stat.S_ISVTX
            if is_open or step.lstat().st_uid not in (os.geteuid(), 0):
                return False
            if step.is_symlink():
                target, links = step.readlink(), links + 1
                names += reversed(target.parts[target.is_absolute() :])
                here = root if target.is_absolute() else here
            else:
                here = here.parent if step.name == ".." else step
    except OSError:
        return False
    return not names


def _is_shared(path: Path, found: os.stat_result) -> bool:
    """Return whether others than its owner, this user and root can write to a file or folder."""
    if found.st_mode & stat.S_IWOTH:
        return True
    # With an access control list, these bits are its mask: what all that it names have at most.
    if not found.st_mode & stat.S_IWGRP:
        return False
    entries = [(_ACL_GROUP_OBJ, os.W_OK, 0)]
    with contextlib.suppress(OSError):
        # A version, and entries of a kind, permissions and an id.
        entries = [*struct.iter_unpack("<HHI", os.getxattr(path, "system.posix_acl_access")[4:])]
    return any(
        may & os.W_OK
        and (
            (kind == _ACL_USER and who not in (os.geteuid(), 0))
            or (kind == _ACL_GROUP and not _is_own_group(who))
            or (kind == _ACL_GROUP_OBJ and not _is_own_group(found.st_gid))
        )
        for kind, may, who in entries
    )


@functools.cache
def _is_own_group(gid: int) -> bool:
    """Return whether only this user and root are in a group; where every user has one, it may write by default."""
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(gid)
        # A user's first group does not list the user.
        first = {each.pw_name for each in pwd.getpwall() if each.pw_gid == gid}
        return {pwd.getpwuid(os.geteuid()).pw_name, "root"}.issuperset({group.gr_name, *group.gr_mem, *first})
    return False
