"""The base class of the training task: it holds what a worker's processes share, and records attempts."""

import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import cached_property
from typing import Any

from celery import Task
from celery.exceptions import Ignore
from celery.utils.log import get_task_logger

from worker.job import Attempt, End
from worker.records.attempts import Attempts
from worker.records.presence import Roster
from worker.records.store import Store
from worker.redis.clock import ServerClock
from worker.trainers.registry import AnyTrainer, source, trainer
from worker.trainers.sharing import SharedData
from worker.training.shared import IsolationLock, StopFlag

logger = get_task_logger(__name__)


class TrainingTask(Task):
    """A task with its worker's trainer and data set, the records in Redis, and the current attempt.

    One object serves all executions of a process; Celery's `request` and the attempt belong to the current thread.
    """

    abstract = True
    Request = "worker.steps.request:TrainRequest"

    #: Set when the worker is stopping.
    stopping: StopFlag
    #: Held while a thread records that an attempt begins, and for good when the worker ends.
    beginning: threading.Lock

    #: Called in the worker's main process with a job's failure, or None after a success (`worker.steps.taking`).
    on_job_end: Callable[[str | None], None] = staticmethod(lambda _failure: None)
    #: Called there after a job that needs another worker was given back (`worker.steps.taking`).
    on_refusal: Callable[[], None] = staticmethod(lambda: None)

    #: The id of the current attempt, and the attempt; None until it begins. A thread makes one attempt at a time.
    _attempt: ContextVar[tuple[str, Attempt] | None] = ContextVar("attempt", default=None)

    @cached_property
    def trainer(self) -> AnyTrainer:
        """The worker's trainer.

        Raises:
            SeedsweepError: it is not installed, or cannot be imported.
        """
        return trainer(self.app.settings.trainer, "SEEDSWEEP_TRAINER")

    @cached_property
    def data(self) -> SharedData:
        """The worker's data set.

        Raises:
            InvalidInputError: `SEEDSWEEP_DATA` does not name a data set.
        """
        settings = self.app.settings
        given = self.trainer.data if settings.data is None else settings.data
        return SharedData(self.trainer, source(self.trainer, given, "SEEDSWEEP_DATA"), settings.cache_dir)

    @cached_property
    def isolation(self) -> IsolationLock:
        """The lock that lets only one of the worker's processes at a time train a suspect job."""
        return IsolationLock()

    @cached_property
    def clock(self) -> ServerClock:
        """Redis's clock, as this process last measured it."""
        return ServerClock()

    def store(self, *, patient: bool = True) -> Store:
        """Return the store beside Celery's results, on this thread's connection."""
        client = self.backend.patient if patient else self.backend.client
        return Store(client, expires=self.app.settings.result_expires)

    def roster(self, *, patient: bool = True) -> Roster:
        """Return the workers that report to this cluster."""
        return Roster(self.store(patient=patient), self.app.settings.lease_seconds, self.clock)

    def attempts(self, *, patient: bool = True) -> Attempts:
        """Return the records of attempts."""
        return Attempts(self.store(patient=patient), self.roster(patient=patient), self.app.settings.max_attempts)

    def signature_from_request(self, request: Any = None, *args: Any, **options: Any) -> Any:
        """Return the message that retries a task; Flower and the logs describe it like the first one."""
        request = self.request if request is None else request
        shown = {"argsrepr": request.argsrepr, "kwargsrepr": request.kwargsrepr}
        return super().signature_from_request(request, *args, **shown | options)

    def before_start(self, *_: Any) -> None:
        """Forget this thread's previous attempt. Celery calls this before each execution."""
        self._attempt.set(None)

    def begin_attempt(self, epochs: int, earlier: list[Attempt] | None) -> Attempt:
        """Record that an attempt at the current task begins. Arguments: see `Attempts.start`."""
        with self.beginning:
            attempt_id, attempt = self.attempts().start(self.request.id, self.request.hostname, epochs, earlier)
        self._attempt.set((attempt_id, attempt))
        return attempt

    def end_attempt(self, end: End) -> None:
        """Record how the attempt ended, if one began; delete the job's checkpoint unless the job is given back."""
        if under_way := self._attempt.get():
            self.attempts().finish(self.request.id, *under_way, end)
        if end != "given back":
            self.store().drop("checkpoint", [self.request.id])

    def after_return(self, status: str, *_: Any) -> None:
        """Clean up after the job's result or failure is stored; Celery calls this."""
        under_way = self._attempt.get()
        # Unless another attempt at the job stored its result first.
        if status == "SUCCESS" and under_way and self.backend.stored:
            # The result describes the attempt that made it.
            self.attempts().drop(self.request.id, under_way[0])
        else:
            self.end_attempt("finished" if status == "SUCCESS" else "failed")

    def revoke(self, reason: str) -> Ignore:
        """Store that the job is cancelled.

        Returns:
            The exception that ends the task without storing anything else.
        """
        self.end_attempt("cancelled")
        self.backend.mark_as_revoked(self.request.id, reason, request=self.request)
        # Celery's event state ranks custom states such as PROGRESS above REVOKED, and RETRY above all of them.
        self.tell_flower("retried", "", exception="", traceback="")
        self.tell_flower("revoked", "", terminated=False, signum=None, expired=False)
        return Ignore(f"cancelled: {reason}")

    def send_event(self, type_: str, *args: Any, **fields: Any) -> Any:
        """Send an event that names its task, so that Flower can show a job whose earlier events it missed."""
        request = self.request
        shown = {"name": self.name, "args": request.get("argsrepr", ""), "kwargs": request.get("kwargsrepr", "")}
        return super().send_event(type_, *args, **shown, **fields)

    def tell_flower(self, state: str, text: str, **fields: Any) -> None:
        """Send an event that Flower shows as the task's state and result. A failure to send it is only logged."""
        if not self.app.conf.worker_send_task_events:
            return
        try:
            self.send_event(f"task-{state.lower()}", retry=False, result=text, **fields)
        except Exception as error:
            logger.debug("Flower was not told: %s", error)
