"""Files that are whole or absent, whoever writes at the same time and whenever the power goes."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

#: Seconds after which a temporary file can only be the remains of a killed writer.
STALE_SECONDS = 3600.0


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` with a new file and give it the name `path` once it is complete and on disk.

    Readers see the old file or the new one, never a part. On an error the old file stays and nothing is left behind.

    Raises:
        OSError: the folder is missing or cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_stale(folder: Path, seconds: float = STALE_SECONDS) -> None:
    """Remove the temporary files that killed writers left in `folder` more than so many seconds ago."""
    for left in folder.glob(".*.tmp"):
        if time.time() - left.stat().st_mtime >= seconds:
            left.unlink(missing_ok=True)
