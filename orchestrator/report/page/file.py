"""The file of a page, which overwrites nothing but pages."""

from __future__ import annotations

from pathlib import Path

from orchestrator.report.page.render import BEGINNING
from orchestrator.report.target import Target

_TARGET = Target("The report", "report", BEGINNING.encode())


def check(path: Path) -> None:
    """Check that a page may be written to a path: nothing is there, or a page.

    Raises:
        OutputError: something else is there, or it cannot be seen what is.
    """
    _TARGET.check(path)


def write(path: Path, page: str) -> int:
    """Write a page, whole or not at all, and return its size in bytes.

    Raises:
        OutputError: the file cannot be written, or something else than a page is there.
    """
    return _TARGET.write(path, page.encode())
