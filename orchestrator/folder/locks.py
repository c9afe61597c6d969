"""Which process of this host works on a sweep, and so holds the lock of its folder."""

import os
from collections.abc import Mapping
from pathlib import Path

_LOCKS = Path("/proc/locks")


def locks() -> Mapping[str, int] | None:
    """Return the process that has locked each file or folder of this host; None if the host does not tell."""
    try:
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return None
    fields = (line.split() for line in lines)
    return {field[5]: int(field[4]) for field in fields if len(field) > 5 and field[1] == "FLOCK"}


def holder(folder: Path, taken: Mapping[str, int] | None) -> int | None:
    """Return the id of the process of this host that has locked a sweep's folder; 0 for none, None if it is unknown.

    `taken` is from `locks`. The lock is not tried: that would briefly keep the sweep's own process out.
    """
    try:
        found = folder.stat()
    except OSError:
        return None
    key = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return None if taken is None else taken.get(key, 0)
