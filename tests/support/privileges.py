"""Lets a test that root runs find closed what is closed to everybody else."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Be a user whom the permissions of files bind, for as long as the block runs."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def give_away(folder: Path) -> None:
    """Give a folder, with all that is in it, to that user."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)


@contextlib.contextmanager
def public_folder() -> Iterator[Path]:
    """A temporary folder that every user can enter; pytest's `tmp_path` is closed to others."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
