"""Writes a page to a file, and overwrites nothing but pages."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from nn.errors import Described, InvalidInputError
from nn.files import open_regular, write_atomically
from orchestrator.errors import OutputError
from orchestrator.report.page.render import BEGINNING


def check(path: Path) -> None:
    """Check that a page may be written to a path: nothing is there, or a page.

    Raises:
        InvalidInputError: something else is there.
        OutputError: it cannot be seen what is there.
    """
    try:
        with open_regular(path) as file:
            found = file.read(len(BEGINNING.encode()))
    except FileNotFoundError:
        if not os.path.lexists(path):
            return
        found = b""  # a link that leads nowhere
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EINVAL):
            raise _unwritable(path, error) from None
        found = b""
    if found != BEGINNING.encode():
        raise InvalidInputError(
            "--to", Described(f"{path}, which exists and is no report"), "a file that does not exist yet, or a report"
        )


def write(path: Path, page: str) -> int:
    """Write a page, whole or not at all, and return its size in bytes.

    Raises:
        InvalidInputError: something else than a page is there.
        OutputError: the file cannot be written.
    """
    check(path)
    data = page.encode()
    try:
        write_atomically(path, lambda file: file.write(data))
    except OSError as error:
        raise _unwritable(path, error) from None
    return len(data)


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"The report {path} cannot be written: {error.strerror or error} (--to FILE writes it elsewhere)"
    )
