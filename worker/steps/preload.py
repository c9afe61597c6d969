"""Prepares what the pool's processes share, before the pool forks."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from celery import bootsteps
from celery.exceptions import CPendingDeprecationWarning, Reject
from celery.utils.log import get_logger

from nn.errors import SeedsweepError
from worker.messages import TRAIN
from worker.training.task import TrainingTask

logger = get_logger(__name__)


class PreloadStep(bootsteps.Step):
    """Loads the data set and prepares the trainer in the main process, whose children then share the memory.

    Celery creates all steps before it starts any, so this runs before the pool forks.
    """

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        # Before the pool is created. Not Celery's setting, which the orchestrator would write into its messages.
        worker.time_limit = worker.time_limit or worker.app.settings.time_limit

    def create(self, worker: Any) -> None:
        """Load and prepare. An error ends the worker with one sentence."""
        calm_logs()
        task: TrainingTask = worker.app.tasks[TRAIN]
        try:
            task.preload()
        except SeedsweepError as error:
            raise SystemExit(f"Error: {error}") from None
        logger.info(
            "Trainer %s, version %d, data set %s", task.trainer.name, task.trainer.version, task.data.digest[:16]
        )


def calm_logs() -> None:
    """Suppress the tracebacks of jobs that were given back on purpose, and advice that does not apply here."""
    logging.getLogger("celery.app.trace").addFilter(_without_traceback)
    # At every reconnect Celery warns that it has lost the running jobs and recommends a setting that would end them.
    # The lease adopts them instead (`worker.steps.lease`).
    warnings.filterwarnings("ignore", "\nIn Celery 5.1 we introduced", CPendingDeprecationWarning)


def _without_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[0] is Reject:
        record.exc_info = None
    return True
