"""Standard output and standard error, either of which may be full, or have nobody who reads it."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO

#: Exit status of a command whose reader went away: what a shell reports for SIGPIPE.
NO_READER = 141


class OutputLost(BaseException):
    """Standard output takes nothing more. Not an `Exception`: nothing that handles errors may swallow it.

    Attributes:
        sentence: What to tell the user; nothing if the reader of a pipe has had enough.
        status: The command's exit status.
        advice: How to go on, set by whoever knows.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        has_reader = error.errno != errno.EPIPE
        self.sentence = f"Standard output cannot be written: {error.strerror}" if has_reader else ""
        self.status = 1 if has_reader else NO_READER
        self.advice = ""


class _Descriptor(io.FileIO):
    """Writes to a file descriptor for as long as it takes anything."""

    def __init__(self, descriptor: int, *, is_needed: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        # A terminal that was closed costs no result.
        self._is_needed = is_needed and not self.isatty()

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            # What else there is, until the end of the process, goes nowhere.
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            if self._is_needed:
                raise OutputLost(error) from None
            return memoryview(data).nbytes


def guard() -> None:
    """Make standard output raise `OutputLost`, and standard error fall silent, where Python would show a traceback."""
    sys.stdout = _guarded(sys.stdout, is_needed=True)
    sys.stderr = _guarded(sys.stderr, is_needed=False)


def _guarded(stream: TextIO, *, is_needed: bool) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # there is none
    return io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(stream.fileno(), is_needed=is_needed)),
        encoding=stream.encoding,
        # A path may hold bytes that are no text, and a terminal may not know our characters: neither costs a result.
        errors="backslashreplace",
        line_buffering=stream.line_buffering or stream.write_through,
    )
