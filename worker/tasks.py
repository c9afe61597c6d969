"""The one Celery task: it trains a job."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task
from celery.utils.log import get_task_logger

from worker.errors import JobRefusedError
from worker.messages import TRAIN, accept
from worker.training.process import StopFlag
from worker.training.task import TrainingTask

logger = get_task_logger(__name__)


def register(app: Celery) -> None:
    """Add the task to an app. Its worker also needs the boot steps that `worker.app` adds."""

    @app.task(
        name=TRAIN,
        base=TrainingTask,
        bind=True,
        lazy=False,
        shared=False,
        stopping=StopFlag(),
        # After a child has died, a short pause lets the machine recover from what killed it.
        default_retry_delay=2,
        # `worker.records.attempts` limits how often a job may take its worker down; unlike Celery's count, it includes
        # whole workers that died.
        max_retries=None,
        # A refused job is its sender's fault: it is logged as one line, without a traceback.
        throws=(JobRefusedError,),
    )
    def train(task: TrainingTask, job: Any = None, *more: Any, **unknown: Any) -> Any:
        """Train a job and return its `Result`.

        Args:
            task: This task.
            job: The fields of a `Job`, whose key is in the task's id.
            more: Must be empty: a message with more arguments is refused.
            unknown: Must be empty likewise.

        Raises:
            JobRefusedError: the message holds no valid job, or not the job that the task's id names.
        """
        accepted = accept(task.request.id, job, *more, **unknown)
        finished = stored_success(task)
        if finished is not None:
            logger.info("%s already has a result and is not trained again", accepted)
            return finished
        # Imported here because whoever only submits jobs needs none of it.
        from worker.training.execution import execute

        return execute(task, accepted)


def stored_success(task: Task) -> dict[str, Any] | None:
    """Return the stored result of this task's id, or None if it has none."""
    meta = task.backend.get_task_meta(task.request.id, cache=False)
    return meta["result"] if meta["status"] == "SUCCESS" else None
