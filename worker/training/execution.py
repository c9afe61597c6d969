"""One attempt at a job, from its start to its result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import redis
from celery.exceptions import Ignore, Reject
from celery.utils.log import get_task_logger

from worker.errors import OutOfMemoryError, WrongDatasetError
from worker.job import Job, Result
from worker.records.attempts import End
from worker.records.checkpoints import Checkpoints
from worker.records.report import GIVEN_BACK, PROGRESS, Report
from worker.training.trainer import Trained, layer_sizes, train

if TYPE_CHECKING:
    from nn.checkpoint import Checkpoint
    from nn.network import DeepNeuralNetwork
    from worker.training.task import TrainingTask

logger = get_task_logger(__name__)

#: The least time between two reports of progress, in seconds: tiny jobs have hundreds of epochs a second.
REPORT_SECONDS = 0.25
#: The accuracies that a report of progress has at most: those of the last epochs.
REPORT_EPOCHS = 100
#: A worker without the job's data set keeps it for so many seconds: the queue is not to be turned over in a hurry.
REFUSAL_SECONDS = 2.0
#: Seconds between two looks whether a job may be alone now.
SOLITUDE_SECONDS = 0.2


class _StoppedError(Exception):
    """Training ended because the worker ends. Never leaves this module."""


class _CancelledError(Exception):
    """Training ended because the job is cancelled, for the reason given. Never leaves this module."""


class Execution:
    """Trains a job for a task.

    It ends in one of these ways: a result; an error, which Celery stores as FAILURE; the job given back to the queue
    (the worker ends, or lacks the data set); REVOKED (the job is cancelled).
    """

    def __init__(self, task: TrainingTask, job: Job) -> None:
        self.task = task
        self.job = job
        self.run_id: str = task.request.id
        self.worker: str = task.request.hostname
        self.store = task.store()
        self.attempts = task.attempts()
        self.checkpoints = Checkpoints(self.store)
        self._saved = time.monotonic()
        self._reported = float("-inf")

    def run(self) -> Result:
        """Train the job and return its result. The weights are in the store before the result is.

        Raises:
            TooManyAttemptsError: the job took its worker down too often.
            OutOfMemoryError: the job needs more memory than there is.
            WrongDatasetError: no worker has the job's data set.
            Reject: the job goes back to the queue.
            Ignore: the job is cancelled.
        """
        self._check_wanted()
        self._check_dataset()
        checkpoint = self.checkpoints.load(self.run_id, self.job, layer_sizes(self.job, self.task.dataset))
        epochs = 0 if checkpoint is None else checkpoint.epochs
        alone = self.attempts.is_suspect(self.run_id, epochs)
        try:
            if alone:
                self._wait_for_solitude()
            return self._attempt(checkpoint, epochs)
        finally:
            if alone:
                self.task.solitude.leave()

    def _wait_for_solitude(self) -> None:
        while not self.task.solitude.enter():
            self._check_wanted()
            self.task.stopping.wait(SOLITUDE_SECONDS)

    def _attempt(self, checkpoint: Checkpoint | None, epochs: int) -> Result:
        self.attempt_id, self.attempt = self.attempts.start(self.run_id, self.worker, epochs)
        self.task.request.execution = self
        logger.info("Attempt %d (%s) at %s", self.attempt.number, self.attempt.cause, self.job)
        try:
            return self._train(checkpoint)
        except _StoppedError:
            self.attempts.finish(self.run_id, self.attempt_id, self.attempt, "given back")
            raise Reject("the worker ends; the job goes on elsewhere from its checkpoint", requeue=True) from None
        except _CancelledError as cancelled:
            self.close("cancelled")
            raise self._revoked(str(cancelled)) from None
        except MemoryError as error:
            # Celery ends the whole worker on a MemoryError; this one leaves it in order.
            raise OutOfMemoryError(f"the worker {self.worker} has not enough memory for the job: {error}") from None

    def close(self, end: End) -> None:
        """Clear up after the job has ended for good; called when its outcome is stored."""
        self.attempts.finish(self.run_id, self.attempt_id, self.attempt, end)
        self.checkpoints.delete(self.run_id)

    def _train(self, checkpoint: Checkpoint | None) -> Result:
        if checkpoint is not None:
            logger.info("Goes on after epoch %d", checkpoint.epochs)
        trained = train(self.job, self.task.dataset, on_epoch=self._after_epoch, resume_from=checkpoint)
        result = self._result(trained)
        if not self.store.compare_with_first(self.job.key, result.weights_sha256, self.run_id, self.worker):
            logger.critical("MISMATCH: %s has other weights than an earlier run of the same job", self.job)
        return result

    def _after_epoch(self, network: DeepNeuralNetwork) -> None:
        reason = self.store.cancelled(self.run_id)
        if reason is not None:
            raise _CancelledError(reason)
        if len(network.history_) == self.job.epochs:
            return
        now = time.monotonic()
        if self.task.stopping.is_set():
            self._save(network, now)
            self._report(network, state=GIVEN_BACK)
            raise _StoppedError
        if now - self._saved >= self.task.app.settings.checkpoint_seconds:
            self._save(network, now)
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self._report(network)

    def _save(self, network: DeepNeuralNetwork, now: float) -> None:
        self.checkpoints.save(self.run_id, self.job, network.checkpoint())
        self._saved = now

    def _report(self, network: DeepNeuralNetwork, state: str = PROGRESS) -> None:
        history = network.history_
        report = Report(
            epoch=len(history),
            epochs=self.job.epochs,
            validation_accuracy=[record.validation_accuracy or 0.0 for record in history[-REPORT_EPOCHS:]],
            seconds=sum(record.seconds for record in history),
            slowest_epoch=max(record.seconds for record in history),
            at=time.time(),
            worker=self.worker,
            attempt=self.attempt.number,
        )
        try:
            self.task.update_state(state=state, meta=report.model_dump())
        except redis.RedisError as error:
            # Who looks on sees less; the job goes on.
            logger.warning("No report of progress: %s", error)
        accuracy = 100 * report.validation_accuracy[-1]
        self.task.tell_flower(state, f"epoch {report.epoch} of {report.epochs}: validation accuracy {accuracy:.2f} %")

    def _result(self, trained: Trained) -> Result:
        notebook = [record.notebook_accuracy for record in trained.history]
        return Result(
            job=self.job.key,
            status="diverged" if trained.problem else "succeeded",
            validation_accuracy=[record.validation_accuracy for record in trained.history],
            notebook_accuracy=notebook if self.job.rule == "notebook" else None,
            epoch_seconds=[record.seconds for record in trained.history],
            weights_sha256=self.store.put_weights(trained.weights),
            weights_bytes=len(trained.weights),
            worker=self.worker,
            attempts=self.attempt.number,
            error=trained.problem,
        )

    def _check_wanted(self) -> None:
        """Raise if the job is not to begin, because it is cancelled or because the worker ends."""
        reason = self.store.cancelled(self.run_id)
        if reason is not None:
            self.checkpoints.delete(self.run_id)
            raise self._revoked(reason)
        if self.task.stopping.is_set():
            raise Reject("the worker ends", requeue=True)

    def _revoked(self, reason: str) -> Ignore:
        """Store that the job is cancelled; return what ends it with nothing else stored."""
        self.task.backend.mark_as_revoked(self.run_id, reason, request=self.task.request)
        # Flower ranks states of our own above REVOKED, and RETRY above all of them.
        self.task.tell_flower("retried", "", exception="", traceback="")
        self.task.tell_flower("revoked", "", terminated=False, signum=None, expired=False)
        return Ignore(f"cancelled: {reason}")

    def _check_dataset(self) -> None:
        """Refuse a job whose data set this worker has not got; fail it when nobody has it."""
        mine = self.task.dataset.digest
        if mine == self.job.dataset:
            return
        if self.task.roster().holders(self.job.dataset):
            self.store.forget_refusals(self.run_id)
        elif (seconds := self.store.refused_for(self.run_id)) >= self.task.app.settings.dataset_seconds:
            raise WrongDatasetError(
                f"no worker had the job's data set {self.job.dataset} for {seconds:.0f} s; this one ({self.worker}) "
                f"has {mine}"
            )
        logger.warning("Gives back %s: it needs the data set %s, and this is %s", self.job, self.job.dataset, mine)
        self.task.stopping.wait(REFUSAL_SECONDS)
        raise Reject("another data set is needed", requeue=True)
