"""Executes one attempt at a job: decides whether it may begin and whether it must run alone, then trains."""

import contextlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import redis
from celery import states
from celery.exceptions import Ignore, Reject
from celery.utils.log import get_task_logger

from nn.files import digest
from worker.errors import NoSuchWorkerError, OutOfMemoryError
from worker.job import Attempt, Job, Needs, Result
from worker.messages import accept
from worker.records import checkpoints
from worker.records.checkpoints import SavedCheckpoint
from worker.records.report import GIVEN_BACK, PROGRESS, Report
from worker.trainers import registry
from worker.trainers.environment import environment, use_threads
from worker.training.joblog import JobLog, job_log
from worker.training.task import TrainingTask
from worker.training.trainer import Progress, TrainedJob, train

logger = get_task_logger(__name__)

#: The reason for giving back a job that needs another worker. The main process then rests (`worker.steps.taking`).
REFUSED = "another trainer or data set is needed"
#: Seconds between two attempts to take the isolation lock.
ISOLATION_SECONDS = 0.2
#: The shortest time between two progress reports, in seconds. Tiny jobs train hundreds of epochs per second.
REPORT_SECONDS = 0.25
#: How many of the last epochs have their metric in a progress report.
REPORT_EPOCHS = 100


def execute(task: TrainingTask, needs: Needs, fields: Any) -> Result:
    """Train the job with these unchecked fields, and return its result. The weights are stored first.

    Raises:
        JobRefusedError: the job is invalid, or not the job that the task id names.
        TrainingFailedError: the trainer failed.
        TooManyAttemptsError: the job took its worker down too often.
        OutOfMemoryError: the job needs more memory than there is.
        NoSuchWorkerError: no worker has the job's trainer and data set.
        Reject: the job returns to the queue, because the worker is stopping, or lacks the trainer or the data set.
        Ignore: the job is cancelled; its state is REVOKED.
    """
    with task.app.liveness.of_attempt():
        try:
            return _execute(task, needs, fields)
        except Reject:
            task.end_attempt("given back")
            raise
        except Ignore as cancelled:
            raise task.revoke(str(cancelled)) from None
        except MemoryError as error:
            # On a MemoryError Celery ends the whole worker; on this error it does not.
            raise OutOfMemoryError(f"the worker {task.request.hostname} has not enough memory: {error}") from None


def _execute(task: TrainingTask, needs: Needs, fields: Any) -> Result:
    settings = task.app.settings
    # One look for all records of the task: most jobs run once, and have none.
    is_known = task.store().is_known(task.request.id)
    _check_wanted(task, is_known=is_known)
    _check_served(task, needs)
    job = accept(task.request.id, fields)
    checkpoint = checkpoints.load(task.store(), task.request.id, job) if is_known else None
    epochs = 0 if checkpoint is None else len(checkpoint.history)
    earlier = task.attempts().earlier(task.request.id) if is_known else []
    suspect = task.attempts().is_suspect(earlier, epochs)
    keep_log = partial(task.store().put_log, task.request.id)
    with (
        isolated(task) if suspect else contextlib.nullcontext(),
        job_log(settings.log_dir, task.request.id, settings.silent_seconds, keep_log) as log,
    ):
        return Execution(task, job, task.begin_attempt(epochs, None if suspect else earlier), log).run(checkpoint)


def _check_cancelled(task: TrainingTask) -> None:
    reason = task.store().cancelled(task.request.id)
    if reason is not None:
        raise Ignore(reason)


def _check_wanted(task: TrainingTask, *, is_known: bool = True) -> None:
    """Check that the job is not cancelled and the worker is not stopping."""
    if is_known:
        _check_cancelled(task)
    if task.stopping.is_set():
        raise _given_back(task, "the worker is stopping")


def _check_served(task: TrainingTask, needs: Needs) -> None:
    """Check that this worker has the data set, the trainer and its version that a job needs."""
    mine = task.data.digest
    has_trainer = needs.trainer == task.trainer.name and needs.version in task.trainer.versions
    if has_trainer and mine == needs.dataset:
        return
    store = task.store()
    if task.roster().trainers_of(needs):
        store.drop("refusals", [task.request.id])
    elif (seconds := store.refused_for(task.request.id)) >= task.app.settings.dataset_seconds:
        raise NoSuchWorkerError(
            f"no worker had {needs} for {seconds:.0f} s; this one ({task.request.hostname}) has the trainer "
            f"{task.trainer.name}, version {task.trainer.version}, with the data set {mine[:12]}"
        )
    logger.warning("Gives back the job %s: it needs %s", task.request.id[:12], needs)
    raise _given_back(task, REFUSED)


def _given_back(task: TrainingTask, reason: str) -> Reject:
    """Store that the job does not run until a worker takes it, and return the exception that queues it again."""
    task.update_state(state=GIVEN_BACK)
    return Reject(reason, requeue=True)


@contextlib.contextmanager
def isolated(task: TrainingTask) -> Iterator[None]:
    """Wait until no other suspect job trains on this worker, then keep other suspects waiting during the block.

    Raises:
        Ignore: the job was cancelled while it waited.
        Reject: the worker is stopping; the job returns to the queue.
    """
    while not task.isolation.acquire():
        _check_wanted(task)
        task.app.liveness.sign()
        time.sleep(ISOLATION_SECONDS)
    try:
        yield
    finally:
        task.isolation.release()


class Execution:
    """Trains a job in an attempt that has begun: saves checkpoints, reports progress, stops when it is told to."""

    def __init__(self, task: TrainingTask, job: Job, attempt: Attempt, log: JobLog) -> None:
        self.task = task
        self.job = job
        self.metric = job.metric
        self.attempt = attempt
        self.log = log
        self.task_id: str = task.request.id
        self.store = task.store()
        self._saved = time.monotonic()
        self._reported = float("-inf")
        self._slowest_epoch = 0.0

    def run(self, checkpoint: SavedCheckpoint | None) -> Result:
        """Train from a checkpoint, or from the first epoch, and return the result; errors as for `execute`."""
        logger.info("Attempt %d (%s) at %s", self.attempt.number, self.attempt.cause, self.job)
        if self.task.request.retries:
            # The worker that sent the retry may have stored its own state after this one had begun.
            self.task.update_state(state=states.STARTED)
        if checkpoint is not None:
            logger.info("Resumes after epoch %d", len(checkpoint.history))
            self._show_life(*(record.seconds for record in checkpoint.history))
        use_threads(self.task.app.settings.threads)
        trained = train(self.job, self.task.data.ready(), on_epoch=self._after_epoch, resume_from=checkpoint)
        result = self._result(trained)
        worker = self.attempt.worker
        if not self.store.put_weights(
            trained.weights, result.job, result.weights_sha256, self.task_id, worker, result.made_by
        ):
            logger.critical("MISMATCH: %s has other weights than the first execution of the same job", self.job)
        return result

    def _show_life(self, *seconds: float) -> None:
        self._slowest_epoch = max(self._slowest_epoch, *seconds)
        self.task.app.liveness.sign(slowest_epoch=self._slowest_epoch)
        self.log.alive()

    def _after_epoch(self, progress: Progress) -> None:
        self._show_life(progress.history[-1].seconds)
        if len(progress.history) >= self.job.epochs:
            return
        _check_cancelled(self.task)
        now = time.monotonic()
        if self.task.stopping.is_set():
            self._save(progress, now)
            self._report(progress, state=GIVEN_BACK)
            raise Reject("the worker is stopping; the job resumes elsewhere from its checkpoint", requeue=True)
        if now - self._saved >= self.task.app.settings.checkpoint_seconds:
            self._save(progress, now)
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self._report(progress)

    def _save(self, progress: Progress, now: float) -> None:
        checkpoint = progress.checkpoint()
        if checkpoint is not None:
            checkpoints.save(self.store, self.task_id, self.job, checkpoint)
        self._saved = now

    def _report(self, progress: Progress, state: str = PROGRESS) -> None:
        history = progress.history
        report = Report(
            epoch=len(history),
            validation_score=[record.score for record in history[-REPORT_EPOCHS:]],
            seconds=sum(record.seconds for record in history),
            slowest_epoch=self._slowest_epoch,
            at=time.time(),
            worker=self.attempt.worker,
            attempt=self.attempt.number,
        )
        try:
            self.task.update_state(state=state, meta=report.model_dump())
        except redis.RedisError as error:
            # Reports are only shown, so training continues without one.
            logger.warning("Progress is not reported: %s", error)
        score = f"{self.metric.name} {self.metric.shown(history[-1].score)}"
        self.task.tell_flower(state, f"epoch {report.epoch} of {self.job.epochs}: {score}")

    def _result(self, trained: TrainedJob) -> Result:
        trainer = self.job.trained_by
        return Result(
            job=self.job.key,
            status="diverged" if trained.problem else "succeeded",
            validation_score=[record.score for record in trained.history],
            others={name: [record.others[i] for record in trained.history] for i, name in enumerate(self.job.others)},
            epoch_seconds=[record.seconds for record in trained.history],
            weights_sha256=digest(trained.weights),
            weights_bytes=len(trained.weights),
            worker=self.attempt.worker,
            attempts=self.attempt.number,
            started=self.attempt.started,
            ended=self.task.roster().now(),
            cause=self.attempt.cause,
            epochs_before=self.attempt.epochs_before,
            error=trained.problem,
            stopped=trained.stopped,
            correct=trained.correct,
            environment=None if self.job.is_exact else environment(trainer.packages, self.task.app.settings.threads),
            code=registry.code(trainer.name),
        ).measured_by(self.metric)
