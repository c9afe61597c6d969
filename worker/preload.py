"""What a worker does once before it starts its processes, so that they share it."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger

from nn.errors import SeedsweepError
from worker.logs import calm_logs

logger = get_logger(__name__)


class PreloadStep(bootsteps.Step):
    """Loads the data set and compiles the kernel in the parent: its children find both in shared memory.

    Steps are created before any is started, so that this comes before the pool forks.
    """

    def create(self, worker: Any) -> None:
        """Load and compile, or end the worker with one sentence."""
        from worker.tasks import TRAIN

        calm_logs()
        try:
            task = worker.app.tasks[TRAIN]
            dataset, _ = task.dataset, task.solitude
            from worker.trainer import warm_up

            warm_up(dataset)
        except SeedsweepError as error:
            raise SystemExit(f"Error: {error}") from None
        logger.info("Data set %s: %d samples to train on", dataset.digest[:16], len(dataset.train))
