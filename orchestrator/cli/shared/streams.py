"""Guards standard output and standard error against a full disk, and against a pipe whose reader has gone."""

import codecs
import errno
import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO

#: Exit status of a command whose reader has gone: the one that a shell reports for SIGPIPE.
NO_READER = 141
#: ASCII for characters of our charts and tables that an encoding lacks; any other one is escaped.
_LIKE = dict(zip("·●○─├┤░│└┬…◂▸▾▴█", ".@o-[]=|++~<>v^#", strict=True))


class OutputLost(BaseException):
    """Standard output cannot be written any more. Not an `Exception`, so that no error handler swallows it.

    Attributes:
        sentence: The error message; empty if the reader of a pipe has gone.
        status: The command's exit status.
        advice: How to go on; set by the command that was interrupted.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        has_reader = error.errno != errno.EPIPE
        self.sentence = f"Standard output cannot be written: {error.strerror}" if has_reader else ""
        self.status = 1 if has_reader else NO_READER
        self.advice = ""


class _Descriptor(io.FileIO):
    """Writes to a file descriptor until a write fails; later writes are discarded."""

    def __init__(self, descriptor: int, *, is_needed: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        # A sweep goes on when its terminal is closed.
        self._is_needed = is_needed and not self.isatty()

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            # Later output, such as Python's flush at exit, must not fail again.
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            if self._is_needed:
                raise OutputLost(error) from None
            return memoryview(data).nbytes


def guard() -> None:
    """Make a failed write to standard output raise `OutputLost`, and one to standard error pass silently."""
    sys.stdout = _guarded(sys.stdout, is_needed=True)
    sys.stderr = _guarded(sys.stderr, is_needed=False)


def _guarded(stream: TextIO, *, is_needed: bool) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # closed: Python sets it to None
    return io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(stream.fileno(), is_needed=is_needed)),
        encoding=stream.encoding,
        errors="seedsweep",
        line_buffering=stream.line_buffering or stream.write_through,
    )


def _written(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what is written in place of what an encoding lacks, such as bytes of a path that are no text."""
    if not isinstance(error, UnicodeEncodeError):
        return codecs.backslashreplace_errors(error)
    lacking = error.object[error.start : error.end]
    return "".join(_LIKE.get(each) or each.encode("ascii", "backslashreplace").decode() for each in lacking), error.end


codecs.register_error("seedsweep", _written)
