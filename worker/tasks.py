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
    """Add the task to an app."""

    @app.task(
        name=TRAIN,
        base=TrainingTask,
        bind=True,
        lazy=False,
        shared=False,
        stopping=StopFlag(),
        # A child that died is replaced; a moment's pause lets the machine recover from what killed it.
        default_retry_delay=2,
        # `worker.records.attempts` limits how often a job may take its worker down; it also sees whole workers die.
        max_retries=None,
        # Refused jobs are their sender's fault: logged as one line, without a traceback.
        throws=(JobRefusedError,),
    )
    def train(task: TrainingTask, job: Any = None, *more: Any, **unknown: Any) -> Any:
        """Train a job and return its `Result`.

        Args:
            task: This task.
            job: The fields of a `Job`, whose key is the task's id.
            more: Nothing: a message with more arguments is refused.
            unknown: Nothing: a message with more arguments is refused.

        Raises:
            JobRefusedError: the message does not hold a job, or the job is not the one that the task's id names.
        """
        accepted = accept(task.request.id, job, *more, **unknown)
        finished = stored_success(task)
        if finished is not None:
            logger.info("%s has a result already: not trained again", accepted)
            return finished
        from worker.training.execution import Execution

        return Execution(task, accepted).run()


def stored_success(task: Task) -> dict[str, Any] | None:
    """Return the result that this task's id has already, or None."""
    meta = task.backend.get_task_meta(task.request.id, cache=False)
    return meta["result"] if meta["status"] == "SUCCESS" else None
