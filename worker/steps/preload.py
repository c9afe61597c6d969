"""What a worker does once before it starts its processes, so that they share it."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from celery import bootsteps
from celery.exceptions import CPendingDeprecationWarning, Reject
from celery.utils.log import get_logger

from nn.errors import SeedsweepError

logger = get_logger(__name__)


class PreloadStep(bootsteps.Step):
    """Loads the data set and compiles the kernel in the parent: its children find both in shared memory.

    Steps are created before any is started, so that this comes before the pool forks.
    """

    def create(self, worker: Any) -> None:
        """Load and compile, or end the worker with one sentence."""
        from worker.messages import TRAIN

        calm_logs()
        try:
            task = worker.app.tasks[TRAIN]
            dataset, _ = task.dataset, task.solitude
            from worker.training.trainer import warm_up

            warm_up(dataset)
        except SeedsweepError as error:
            raise SystemExit(f"Error: {error}") from None
        logger.info("Data set %s: %d samples to train on", dataset.digest[:16], len(dataset.train))


def calm_logs() -> None:
    """Leave out tracebacks of jobs that were given back on purpose, and advice that does not hold here."""
    logging.getLogger("celery.app.trace").addFilter(_without_traceback)
    # At every reconnect Celery says that running jobs are lost to it, and that a setting would end them: the lease
    # adopts them, and the setting would lose them (`worker.app`).
    warnings.filterwarnings("ignore", "\nIn Celery 5.1 we introduced", CPendingDeprecationWarning)


def _without_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[0] is Reject:
        record.exc_info = None
    return True
