"""Epochs that take time and no processor, so that a job can be met in the middle: `start_worker(*SLOW_EPOCHS)`."""

import os
import time

from worker.training.execution import Execution
from worker.training.trainer import Progress

#: Tenths of a second that an epoch takes: `start_worker(*SLOW_EPOCHS, EPOCH_TENTHS="20")`.
EPOCH_TENTHS = int(os.environ.get("EPOCH_TENTHS", "1"))

_after_epoch = Execution._after_epoch


def _slowly(self: Execution, progress: Progress) -> None:
    # In parts: the time for which a process is frozen does not count.
    for _ in range(EPOCH_TENTHS):
        time.sleep(0.1)
    _after_epoch(self, progress)


Execution._after_epoch = _slowly  # type: ignore[method-assign]
