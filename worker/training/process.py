"""The stop flag and the lock that the processes of a pool share, and their limit of one thread each."""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
import time

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class IsolationLock:
    """A lock between the processes of a pool: its holder is the only one that trains a suspect job.

    The system releases the lock of a process that dies. The lock must be created before the pool forks: a spawned
    process has one of its own, which excludes no other process.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the worker lives

    def acquire(self) -> bool:
        """Take the lock unless another process holds it; return whether this process holds it now."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Release the lock, if this process holds it."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)


class StopFlag:
    """A flag that the worker's main process sets and its pool's processes read: a byte of shared memory.

    A spawned process has a flag of its own, which is never set: its job is given back when the worker's time is up.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Set the flag for good: the worker is stopping."""
        self._byte[0] = 1

    def is_set(self) -> bool:
        """Return whether the worker is stopping."""
        return self._byte[0] == 1

    def wait(self, seconds: float) -> bool:
        """Wait until the flag is set, `seconds` at most; return whether it is set."""
        deadline = time.monotonic() + seconds
        while not self.is_set() and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.is_set()


def use_one_thread() -> None:
    """Limit BLAS, OpenMP and numba to one thread, in this process and in those that it starts.

    The libraries read these variables when they are loaded, so this must be called before NumPy is imported.
    """
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))
