"""Writes a page to a file, and overwrites nothing but pages."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from nn.files import open_regular, write_atomically
from orchestrator.errors import OutputError
from orchestrator.report.page.render import BEGINNING


def check(path: Path) -> None:
    """Check that a page may be written to a path: nothing is there, or a page.

    Raises:
        OutputError: something else is there, or it cannot be seen what is.
    """
    try:
        with open_regular(path) as file:
            if file.read(len(BEGINNING.encode())) == BEGINNING.encode():
                return
    except FileNotFoundError:
        if not os.path.lexists(path):
            return  # else it is a link that leads nowhere
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EINVAL):
            raise _unwritable(path, error.strerror or str(error)) from None
    raise _unwritable(path, "it exists and is no report")


def write(path: Path, page: str) -> int:
    """Write a page, whole or not at all, and return its size in bytes.

    Raises:
        OutputError: the file cannot be written, or something else than a page is there.
    """
    check(path)
    data = page.encode()
    try:
        write_atomically(path, lambda file: file.write(data))
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from None
    return len(data)


def _unwritable(path: Path, why: str) -> OutputError:
    return OutputError(f"The report {path} cannot be written: {why} (--to FILE writes it elsewhere)")
