"""What the processes of a worker keep between jobs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.utils.log import get_task_logger

from worker.records.attempts import Attempts
from worker.records.checkpoints import Checkpoints
from worker.records.presence import Roster
from worker.records.store import Store
from worker.training.process import Solitude, StopFlag

if TYPE_CHECKING:
    from nn.datasets.mnist import Dataset

logger = get_task_logger(__name__)


class TrainingTask(Task):
    """What the processes of a worker keep between jobs: the data set, and the way to the store."""

    abstract = True
    Request = "worker.steps.request:TrainRequest"

    #: Raised when the worker ends.
    stopping: StopFlag

    #: Called in the worker's main process with a job's failure, or None after a success (`worker.steps.breaker`).
    on_outcome: Callable[[str | None], None] = staticmethod(lambda _failure: None)

    @cached_property
    def dataset(self) -> Dataset:
        """The worker's data set: read once, and shared by the processes that the pool forks later.

        Raises:
            DatasetError: the data set is missing or damaged.
        """
        # NumPy and scikit-learn take a second to import: only workers need them, not everyone who submits a job.
        from nn.datasets.mnist import load_mnist

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

    def send_event(self, type_: str, *args: Any, **fields: Any) -> Any:
        """Send an event that names its task, so that Flower can show a job whose earlier events it missed."""
        request = self.request
        shown = {"name": self.name, "args": request.get("argsrepr", ""), "kwargs": request.get("kwargsrepr", "")}
        return super().send_event(type_, *args, **shown, **fields)

    def tell_flower(self, state: str, text: str, **fields: Any) -> None:
        """Send an event that Flower shows as the task's state and result; nothing is lost when it does not arrive."""
        try:
            self.send_event(f"task-{state.lower()}", retry=False, result=text, **fields)
        except Exception as error:
            logger.debug("Flower was not told: %s", error)
