"""Signs of life that the processes of a pool give, by which the worker's main process recognises one that hangs."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from billiard import current_process

if TYPE_CHECKING:
    from worker.settings import Settings

#: The number of processes that have a place in the shared memory. A pool gives a new process the lowest free index.
PLACES = 4096
#: A process hangs when it is silent for this many of its job's slowest epochs, but at the latest after a day: the
#: durations of earlier epochs come from a checkpoint, which others may have written.
SLOWEST_EPOCHS = 10
DAY = 86_400.0
#: A process that waits for Redis gives a sign at least this often, in timeouts of a command.
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

    It holds no times, so that neither clocks nor a machine that was suspended matter: whoever reads it decides how long
    a number may stay the same. It must be created before the pool forks; a spawned process has one of its own, which
    nobody else reads. Outside a pool's process, giving a sign does nothing.
    """

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, 8 * PLACES)).cast("Q")
        self._slowest = memoryview(mmap.mmap(-1, 8 * PLACES)).cast("d")

    @contextlib.contextmanager
    def of_attempt(self) -> Iterator[None]:
        """Give a sign when an attempt begins and when it ends; neither knows of any epoch."""
        self.sign(slowest_epoch=0.0)
        try:
            yield
        finally:
            self.sign(slowest_epoch=0.0)

    def sign(self, *, slowest_epoch: float | None = None) -> None:
        """Show that this process makes progress, or waits for something that it may wait for.

        Args:
            slowest_epoch: Seconds of the slowest epoch of the job in training, if that may have changed.
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

    Args:
        settings: The worker's settings.
        slowest_epoch: Seconds of the job's slowest epoch; 0.0 before its first epoch.
    """
    slow = min(SLOWEST_EPOCHS * slowest_epoch, DAY)
    return max(settings.hang_seconds, slow, WAITING_TIMEOUTS * settings.socket_seconds)
