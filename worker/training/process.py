"""What the processes of a pool share: the stop flag, the lock of a dangerous job; and one thread each."""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
import time

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


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


class StopFlag:
    """A flag that a worker raises and its pool's processes see: a byte of memory that survives the fork.

    A process that was spawned has a flag of its own, which nobody raises: its job is given back when the time is up.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Raise the flag, for good."""
        self._byte[0] = 1

    def is_set(self) -> bool:
        """Return whether the worker is ending."""
        return self._byte[0] == 1

    def wait(self, seconds: float) -> bool:
        """Wait for the flag, for so long at most; return whether it is raised."""
        deadline = time.monotonic() + seconds
        while not self.is_set() and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.is_set()


def use_one_thread() -> None:
    """Tell BLAS, OpenMP and numba to use one thread, in this process and in those that it starts.

    The libraries read these variables when they are loaded: call this before NumPy is imported.
    """
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))
