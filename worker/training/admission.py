"""Decides whether a job may begin on this worker, and whether it must run alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from celery.exceptions import Reject
from celery.utils.log import get_task_logger

from worker.errors import NoSuchWorkerError
from worker.job import Needs

if TYPE_CHECKING:
    from worker.training.task import TrainingTask

logger = get_task_logger(__name__)

#: Why a job is given back that needs another worker. The main process then rests (`worker.steps.refusal`).
REFUSED = "another trainer or data set is needed"
#: Seconds between two attempts to take the isolation lock.
ISOLATION_SECONDS = 0.2


def check_wanted(task: TrainingTask) -> None:
    """Check that the job is not cancelled and the worker is not stopping.

    Raises:
        Ignore: the job is cancelled.
        Reject: the worker is stopping; the job returns to the queue.
    """
    reason = task.store().cancelled(task.request.id)
    if reason is not None:
        raise task.revoke(reason)
    if task.stopping.is_set():
        raise Reject("the worker is stopping", requeue=True)


def check_served(task: TrainingTask, needs: Needs) -> None:
    """Check that this worker has the trainer, in the version, and the data set that a job needs.

    Raises:
        Reject: it has not; the job returns to the queue, for another worker.
        NoSuchWorkerError: no worker has had them for `dataset_seconds`.
    """
    mine = task.data.digest
    has_trainer = needs.trainer == task.trainer.name and needs.version in task.trainer.versions
    if has_trainer and mine == needs.dataset:
        return
    store = task.store()
    if task.roster().trainers_of(needs):
        store.forget_refusals(task.request.id)
    elif (seconds := store.refused_for(task.request.id)) >= task.app.settings.dataset_seconds:
        raise NoSuchWorkerError(
            f"no worker had {needs} for {seconds:.0f} s; this one ({task.request.hostname}) has the trainer "
            f"{task.trainer.name}, version {task.trainer.version}, with the data set {mine[:12]}"
        )
    logger.warning("Gives back the job %s: it needs %s", task.request.id[:12], needs)
    raise Reject(REFUSED, requeue=True)


@contextlib.contextmanager
def isolated(task: TrainingTask) -> Iterator[None]:
    """Wait until no other suspect job trains on this worker, then keep other suspects waiting during the block.

    Raises:
        Ignore: the job was cancelled while it waited.
        Reject: the worker is stopping; the job returns to the queue.
    """
    while not task.isolation.acquire():
        check_wanted(task)
        task.app.liveness.sign()
        task.stopping.wait(ISOLATION_SECONDS)
    try:
        yield
    finally:
        task.isolation.release()
