"""Writes a report or a chart to a file, atomically, and replaces nothing but an earlier one."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from nn.files import open_regular, write_atomically
from orchestrator.errors import OutputError


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        what: Its name, as the beginning of a message: `The report`.
        kind: Its kind with its article: `a report`.
        beginning: The first bytes of every file of its kind.
    """

    what: str
    kind: str
    beginning: bytes

    def check(self, path: Path) -> None:
        """Check that a path is free, or has an earlier file of this kind.

        Raises:
            OutputError: something else is there, or the path cannot be read.
        """
        try:
            with open_regular(path) as file:
                if file.read(len(self.beginning)) == self.beginning:
                    return
        except FileNotFoundError:
            if not os.path.lexists(path):
                return  # otherwise it is a dangling link
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.EINVAL):
                raise self._unwritable(path, error.strerror or str(error)) from None
        raise self._unwritable(path, f"what exists there is not {self.kind}")

    def write(self, path: Path, data: bytes) -> int:
        """Write the file atomically, and return its size in bytes.

        Raises:
            OutputError: the file cannot be written, or something else is there.
        """
        self.check(path)
        try:
            write_atomically(path, lambda file: file.write(data))
        except OSError as error:
            raise self._unwritable(path, error.strerror or str(error)) from None
        return len(data)

    def _unwritable(self, path: Path, why: str) -> OutputError:
        return OutputError(f"{self.what} {path} cannot be written: {why} (--to FILE writes it elsewhere)")
