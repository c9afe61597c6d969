"""Lets one process of a worker at a time train a job that may take the worker down."""

from __future__ import annotations

import fcntl
import tempfile


class Solitude:
    """A lock among the processes of a pool, which a process that dies gives up.

    Made before the pool forks. A process that was spawned has one of its own, and is never kept out.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - the lock lasts as long as the worker

    def enter(self) -> bool:
        """Take the lock, if no other process has it; return whether this one has it now."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def leave(self) -> None:
        """Give the lock back, if this process has it."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)
