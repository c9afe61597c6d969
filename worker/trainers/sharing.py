"""A worker's data set: what is done once before the worker forks its processes, and what each process does."""

import threading
import time
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property
from pathlib import Path

from nn.errors import DatasetError
from nn.forked import forked
from worker.errors import TrainerUnusableError
from worker.trainers.protocol import Data
from worker.trainers.registry import AnyTrainer, load

#: Seconds for which threads that are about to end are waited for.
_END_SECONDS = 1.0


class SharedData:
    """A trainer's data set, loaded and prepared where the trainer's `shares` says.

    Args:
        trainer: The trainer.
        source: The source of the data set, as for `Trainer.load`.
        cache_dir: As for `Trainer.load`.
    """

    def __init__(self, trainer: AnyTrainer, source: str, cache_dir: Path) -> None:
        self._trainer = trainer
        self._source = source
        self._cache_dir = cache_dir
        self._lock = threading.Lock()
        self._prepared = False

    @cached_property
    def digest(self) -> str:
        """The data set's digest; errors as for `ready`."""
        return self._data.digest

    @cached_property
    def _data(self) -> Data:
        data = load(self._trainer, self._source, self._cache_dir)
        if vars(self).get("digest", data.digest) != data.digest:
            raise DatasetError(f"The data set {self._source} has changed since the worker started: start it again")
        return data

    def ready(self) -> Data:
        """Return the data set, after this process has done what is missing of `load` and `prepare`.

        Raises:
            DatasetError: the data set is missing or damaged.
            TrainerUnusableError: the trainer raised another error.
        """
        # A pool of threads begins several jobs at once.
        with self._lock:
            if not self._prepared:
                self._trainer.prepare(self._data)
                self._prepared = True
            return self._data

    def share(self) -> None:
        """Do what processes that are forked later share.

        Raises:
            DatasetError: the data set is missing or damaged.
            TrainerUnusableError: the trainer raised another error, or left threads running and does not say `shares`.
        """
        trainer = self._trainer
        if trainer.shares == "nothing":
            # Not loaded in this process, whose threads would be missing in those that it forks.
            try:
                self.digest = forked(_digest, type(trainer), self._source, self._cache_dir)
            except BrokenProcessPool:
                raise TrainerUnusableError(f"The trainer {trainer.name} ended the process that loads") from None
            return
        before = _threads()
        _ = self.digest
        if trainer.shares == "all":
            self.ready()
        deadline = time.monotonic() + _END_SECONDS
        while trainer.shares is None and (left := _threads() - before) > 0:
            if time.monotonic() > deadline:
                raise TrainerUnusableError(
                    f"The trainer {trainer.name} leaves threads running in load: {left}. The processes that a worker "
                    'forks afterwards lack them, and may hang. Set shares = "nothing", so that each process loads for '
                    'itself, or shares = "data" if what started them allows forks'
                )
            time.sleep(0.01)


def _digest(kind: type[AnyTrainer], source: str, cache_dir: Path) -> str:
    return load(kind(), source, cache_dir).digest


def _threads() -> int:
    """Return the number of this process's threads; off Linux, of those that Python started."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return threading.active_count()
    # pandas starts this one through pyarrow; the allocator restarts it after a fork.
    return sum("jemalloc" not in each.read_text() for each in tasks.glob("*/comm"))
