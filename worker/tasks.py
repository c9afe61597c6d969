"""The only Celery task: it trains a job."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task
from celery.utils.log import get_task_logger

from worker.errors import JobRefusedError
from worker.messages import TRAIN, needed
from worker.training.shared import StopFlag
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
        # A short pause after a child has died lets the machine recover, for example from a lack of memory.
        default_retry_delay=2,
        # `worker.records.attempts` limits the attempts instead: it also counts those whose whole worker died, which
        # Celery does not.
        max_retries=None,
        # A refused job is not a fault of the worker: Celery logs these errors without a traceback.
        throws=(JobRefusedError,),
    )
    def train(task: TrainingTask, job: Any) -> Any:
        """Train the job with these fields (`Job.fields`) and return its `Result`.

        Raises:
            JobRefusedError: the job is invalid, or not the job that the task id names.
        """
        needs = needed(task.request.id, job)
        finished = stored_success(task)
        if finished is not None:
            logger.info("Job %s already has a result and is not trained again", task.request.id[:12])
            return finished
        # Imported here because the orchestrator, which only submits jobs, does not need it.
        from worker.training.execution import execute

        return execute(task, needs, job)


def stored_success(task: Task) -> dict[str, Any] | None:
    """Return the stored result of this task id, or None if there is no success."""
    meta = task.backend.get_task_meta(task.request.id, cache=False)
    return meta["result"] if meta["status"] == "SUCCESS" else None
