"""What the processes of a pool share: signs of life, whose absence shows a hung process, a stop flag, and a lock.

All of it must be created before the pool forks. A spawned process has its own, which no other process sees.
"""

import contextlib
import fcntl
import mmap
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from billiard import current_process

from worker.settings import Settings

#: The number of processes that have a place in the shared memory. A pool gives a new process the lowest free index.
PLACES = 4096
#: A process counts as hung when it is silent for this many times its job's slowest epoch, or for a day: the durations
#: of earlier epochs come from a checkpoint, which others may have written.
SLOWEST_EPOCHS = 10
DAY = 86_400.0
#: Longest silence of a process that waits for Redis, in timeouts of a command.
WAITING_TIMEOUTS = 3


class Sign(NamedTuple):
    """The last sign of life of a process.

    Attributes:
        number: The number of signs so far. Only a change means something.
        slowest_epoch: Seconds of the slowest epoch of the job in training; 0.0 before its first epoch.
    """

    number: int
    slowest_epoch: float


class Liveness:
    """A table in shared memory: each process of a pool counts its signs of life at its index.

    It holds no times, so that clocks and a suspended machine do not matter: the reader decides how long a number may
    stay the same. Outside a pool's process, giving a sign does nothing.
    """

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, 8 * PLACES)).cast("Q")
        self._slowest = memoryview(mmap.mmap(-1, 8 * PLACES)).cast("d")

    @contextlib.contextmanager
    def of_attempt(self) -> Iterator[None]:
        """Give a sign when an attempt begins and when it ends, and forget the slowest epoch."""
        self.sign(slowest_epoch=0.0)
        try:
            yield
        finally:
            self.sign(slowest_epoch=0.0)

    def sign(self, *, slowest_epoch: float | None = None) -> None:
        """Show that this process makes progress, or waits for a good reason.

        `slowest_epoch` is the duration in seconds of the slowest epoch of the job in training, if it may have changed.
        """
        index: int = getattr(current_process(), "index", PLACES)
        if index < PLACES:
            if slowest_epoch is not None:
                self._slowest[index] = slowest_epoch
            self._counts[index] += 1

    def last_of(self, index: int) -> Sign | None:
        """Return the last sign of the process with this index; None if the table has no place for it."""
        return Sign(self._counts[index], self._slowest[index]) if index < PLACES else None


def longest_silence(settings: Settings, slowest_epoch: float) -> float:
    """Return how many seconds may pass without a sign of life before a process counts as hung.

    `slowest_epoch` is the duration of the job's slowest epoch in seconds; 0.0 before its first epoch.
    """
    slow = min(SLOWEST_EPOCHS * slowest_epoch, DAY)
    return max(settings.hang_seconds, slow, WAITING_TIMEOUTS * settings.socket_seconds)


class IsolationLock:
    """A lock between the processes of a pool: its holder is the only one that trains a suspect job.

    The system releases the lock of a process that dies.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the worker lives

    def acquire(self) -> bool:
        """Take the lock unless another process holds it; return whether this process holds it now."""
        with contextlib.suppress(BlockingIOError):
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def release(self) -> None:
        """Release the lock, if this process holds it."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)


class StopFlag:
    """A flag that the worker's main process sets and its pool's processes read: a byte of shared memory.

    A spawned process's flag is never set: its job is given back when the worker's time is up.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Set the flag for good: the worker is stopping."""
        self._byte[0] = 1

    def is_set(self) -> bool:
        """Return whether the worker is stopping."""
        return self._byte[0] == 1
