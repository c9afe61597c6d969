"""Where this user's other processes reach the embedded cluster of a sweep that runs: a file in the sweep's folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from nn.files import is_private, read_regular
from orchestrator.errors import OutputError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import held, locks

FILE = "cluster.url"
#: The scheme of an embedded cluster's address, and the most bytes of one.
SCHEME, MAX_BYTES = "redis+socket://", 200


@contextlib.contextmanager
def reached_at(folder: SweepFolder, url: str) -> Iterator[None]:
    """Say in a locked folder at which address its sweep's cluster is reached, to this user, while the block runs."""
    file = folder.path / FILE
    # Without the file, others cannot reach the cluster, but the sweep runs.
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
        with open(file, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as opened:
            opened.write(url)
    try:
        yield
    finally:
        # A folder that was removed, or replaced by that of another sweep, is left alone.
        with contextlib.suppress(OSError, OutputError):
            folder.check_held()
            file.unlink()


def address(folder: Path) -> str | None:
    """Return the address of the embedded cluster on which a process of this user runs a sweep; None without one.

    Only a socket that belongs to this user, in a folder of this user, is trusted; so is only a sweep's folder.
    """
    if not is_private(folder) or held(folder, locks()) is False:
        return None  # A stranger's folder may name another sweep of this user's; or its process was killed.
    with contextlib.suppress(OSError, ValueError):
        url = read_regular(folder / FILE, MAX_BYTES).decode()
        path = Path(url.removeprefix(SCHEME))
        found = path.lstat(), path.parent.lstat()
        is_own = all(each.st_uid == os.geteuid() and not each.st_mode & 0o077 for each in found)
        return url if is_own and url.startswith(f"{SCHEME}/") else None
    return None
