"""The one Celery task: it trains a job."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from celery import Celery, Task
from celery.canvas import Signature
from celery.utils.log import get_task_logger

from nn.errors import InvalidInputError
from worker.attempts import Attempts
from worker.checkpoints import Checkpoints
from worker.errors import JobRefusedError
from worker.job import Job, is_run_of, run_id
from worker.presence import Roster
from worker.solitude import Solitude
from worker.stopping import StopFlag
from worker.store import Store

if TYPE_CHECKING:
    from nn.dataset import Dataset
    from worker.app import SeedsweepApp

TRAIN = "worker.tasks.train"

logger = get_task_logger(__name__)


class TrainingTask(Task):
    """What the processes of a worker keep between jobs: the data set, and the way to the store."""

    abstract = True
    Request = "worker.request:TrainRequest"

    #: Raised when the worker ends.
    stopping: StopFlag

    #: Called in the worker's main process with a job's failure, or with None after a success: see `worker.breaker`.
    on_outcome: Callable[[str | None], None] = staticmethod(lambda _failure: None)

    @cached_property
    def dataset(self) -> Dataset:
        """The worker's data set: read once, and shared by the processes that the pool forks later.

        Raises:
            DatasetError: the data set is missing or damaged.
        """
        # NumPy and scikit-learn take a second to import: only workers need them, not everyone who submits a job.
        from nn.dataset import load_mnist

        settings = self.app.settings
        return load_mnist(settings.data, cache_dir=settings.cache_dir)

    @cached_property
    def solitude(self) -> Solitude:
        """The lock that lets one of the worker's processes at a time train a dangerous job."""
        return Solitude()

    def store(self, *, patient: bool = True) -> Store:
        """Return the store beside Celery's results, on this thread's connection."""
        return Store(self.backend.client, expires=self.app.settings.result_expires, patient=patient)

    def roster(self, *, patient: bool = True) -> Roster:
        """Return the workers that report to this cluster."""
        return Roster(self.store(patient=patient), self.app.settings.lease_seconds)

    def attempts(self, *, patient: bool = True) -> Attempts:
        """Return the attempts at runs."""
        return Attempts(self.store(patient=patient), self.roster(patient=patient), self.app.settings.max_attempts)

    def after_return(self, status: str, *_: Any) -> None:
        """Clear up when a job's outcome is stored; Celery calls it."""
        execution = getattr(self.request, "execution", None)
        if execution is not None:
            execution.close("finished" if status == "SUCCESS" else "failed")
        else:
            # Of earlier attempts: this one had its outcome before it began.
            Checkpoints(self.store()).delete(self.request.id)

    def tell_flower(self, state: str, text: str, **fields: Any) -> None:
        """Send an event that Flower shows as the task's state and result; nothing is lost when it does not arrive."""
        try:
            self.send_event(f"task-{state.lower()}", retry=False, result=text, **fields)
        except Exception as error:
            logger.debug("Flower was not told: %s", error)


def register(app: SeedsweepApp) -> None:
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
        # How often a job may take its worker down is counted in `worker.attempts`, which also sees whole workers die.
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
        from worker.execution import Execution

        return Execution(task, accepted).run()


def accept(task_id: str, job: Any, *more: Any, **unknown: Any) -> Job:
    """Read the job of a message that anyone may have sent.

    Raises:
        JobRefusedError: it is malformed, too large, of another version, or not the job that the task's id names.
    """
    if more or unknown:
        raise JobRefusedError("the message has arguments beside its job; allowed: job alone")
    try:
        parsed = Job.parse(job)
    except InvalidInputError as error:
        raise JobRefusedError(f"the message holds no valid job: {error}") from None
    if not is_run_of(task_id, parsed):
        raise JobRefusedError(f"the message is named {task_id[:80]!r}; its job's key is {parsed.key}")
    return parsed


def stored_success(task: Task) -> dict[str, Any] | None:
    """Return the result that this task's id has already, or None."""
    meta = task.backend.get_task_meta(task.request.id, cache=False)
    return meta["result"] if meta["status"] == "SUCCESS" else None


def signature(app: Celery, job: Job, *, label: str | None = None) -> Signature:
    """Return the message that runs a job: `signature(app, job).apply_async()` queues it and subscribes to nothing.

    Args:
        app: The app of the cluster (`worker.app.create_app`).
        job: What to train.
        label: None for the job's own run; otherwise the name of a further run, which trains it again and compares.
            The task's id is `job.run_id(job, label)`.
    """
    return app.tasks[TRAIN].signature(
        kwargs={"job": job.model_dump(mode="json")},
        task_id=run_id(job, label),
        # What Flower and the logs show of the arguments.
        argsrepr="",
        kwargsrepr=str(job),
    )
