"""`results.jsonl`: a line for every row as soon as it is known. Nothing that ends the orchestrator costs a result."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from pydantic import ValidationError

from nn.files import open_own, open_regular
from orchestrator.folder.rows import Row

#: A bound for what a damaged or foreign file may ask of us: a row of 100,000 epochs takes 8 MB.
MAX_LINE_BYTES = 16 * 2**20
_CHUNK_BYTES = 2**16


class ResultsLog:
    """The rows of a sweep, in the order in which they came. The file need not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> dict[str, Row]:
        """Read `results.jsonl`: the rows by job key. A torn line, the end of an interrupted write, counts as absent."""
        rows: dict[str, Row] = {}
        for line in self.lines():
            with contextlib.suppress(ValidationError):
                row = Row.model_validate_json(line)
                if row.accepted or row.job not in rows or not rows[row.job].accepted:
                    rows[row.job] = row
        return rows

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of `results.jsonl`, one that is too long for a row in pieces; none if it cannot be read."""
        with contextlib.suppress(OSError), open_regular(self._path) as file:
            while line := file.readline(MAX_LINE_BYTES):
                yield line

    def append(self, row: Row) -> None:
        """Add a row to `results.jsonl`; it survives the end of this process.

        Raises:
            OSError: the file cannot be written, or is none.
        """
        line = row.line().encode()
        with open_own(self._path, os.O_APPEND | os.O_CREAT) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                # The whole line, or nothing of it.
                file.truncate(size)
                raise

    def cut_torn_line(self) -> None:
        """Remove the end of an interrupted write, which the next line would otherwise be glued to.

        Raises:
            OSError: the file cannot be written, or is none.
        """
        with contextlib.suppress(FileNotFoundError), open_own(self._path) as file:
            file.truncate(_end_of_lines(file))


def _end_of_lines(file: FileIO) -> int:
    """Return where the last whole line ends: looked for from the end, because the file may be large."""
    start = file.seek(0, os.SEEK_END)
    while start > 0:
        end, start = start, max(0, start - _CHUNK_BYTES)
        file.seek(start)
        place = file.read(end - start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
    return 0
