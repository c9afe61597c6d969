"""`results.jsonl`: one line for each row, written as soon as the row is known, so that no crash costs a result."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from io import BufferedReader, FileIO
from pathlib import Path

from pydantic import ValidationError

from nn.files import open_own, open_regular, sync_folder
from orchestrator.errors import SweepUnreadableError
from orchestrator.folder.rows import Row
from worker.errors import TrainerUnusableError

#: Bounds the memory that a damaged or foreign file can take: a row of 100,000 epochs has 8 MB.
MAX_LINE_BYTES = 16 * 2**20
_CHUNK_BYTES = 2**16


class ResultsLog:
    """The rows of a sweep, in the order in which they were written. A missing file has no rows yet.

    Reading raises `SweepUnreadableError` if the file exists and cannot be read; writing raises `OSError` if it cannot
    be written, or is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> dict[str, Row]:
        """Read the rows, by job key. Invalid lines, such as a torn one from an interrupted write, are skipped."""
        return _by_job(self.lines())

    def lines(self) -> Iterator[bytes]:
        """Yield the lines; a line longer than `MAX_LINE_BYTES` comes in pieces."""
        with _reading(self._path), open_regular(self._path) as file:
            while line := file.readline(MAX_LINE_BYTES):
                yield line

    def append(self, row: Row) -> None:
        """Append a row: all of its line, or nothing. Once this returns, the row survives a power cut."""
        line = row.line().encode()
        with open_own(self._path, os.O_APPEND | os.O_CREAT) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
        if size == 0:
            # The file may be new: its name must survive, too.
            sync_folder(self._path.parent)

    def cut_torn_line(self) -> None:
        """Remove a torn last line, left by an interrupted write; the next row would be appended to it."""
        with contextlib.suppress(FileNotFoundError), open_own(self._path) as file:
            file.truncate(_end_of_lines(file))


class ResultsFollower:
    """Reads the rows that another process appends to a `results.jsonl`, each line once.

    A torn last line is read once it is complete. A file that was truncated, or replaced, as at the end of a sweep, is
    read again from its start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        #: Which file was read, by device and inode, and how far.
        self._file = (0, 0)
        self._offset = 0

    def rows(self) -> dict[str, Row]:
        """Return the rows that were appended since the last call, by job key. Raises: as `ResultsLog.rows`."""
        return _by_job(self._lines())

    def _lines(self) -> Iterator[bytes]:
        with _reading(self._path), self._open() as file:
            while line := file.readline(MAX_LINE_BYTES):
                if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
                    return
                self._offset += len(line)
                yield line

    def _open(self) -> BufferedReader:
        try:
            file = open_regular(self._path)
        except FileNotFoundError:
            # The next file may get the same inode.
            self._file = (0, 0)
            raise
        found = os.fstat(file.fileno())
        if (found.st_dev, found.st_ino) != self._file or found.st_size < self._offset:
            self._file = (found.st_dev, found.st_ino)
            self._offset = 0
        file.seek(self._offset)
        return file


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SweepUnreadableError(path, error) from None


def _by_job(lines: Iterable[bytes]) -> dict[str, Row]:
    """Parse rows. The last row of a job counts, but one without a result never replaces a result.

    A row of a trainer that cannot be imported is skipped like a torn one.
    """
    rows: dict[str, Row] = {}
    for line in lines:
        with contextlib.suppress(ValidationError, TrainerUnusableError):
            row = Row.model_validate_json(line)
            if row.accepted or row.job not in rows or not rows[row.job].accepted:
                rows[row.job] = row
    return rows


def _end_of_lines(file: FileIO) -> int:
    """Return the offset behind the last newline. Searches backwards, because the file may be large."""
    start = file.seek(0, os.SEEK_END)
    while start > 0:
        end, start = start, max(0, start - _CHUNK_BYTES)
        file.seek(start)
        place = file.read(end - start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
    return 0
