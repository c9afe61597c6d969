"""Decides whether a job may begin on this worker, and whether it must run alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from celery.exceptions import Reject
from celery.utils.log import get_task_logger

from worker.errors import WrongDatasetError
from worker.job import Job

if TYPE_CHECKING:
    from worker.training.task import TrainingTask

logger = get_task_logger(__name__)

#: Seconds for which a worker holds a job whose data set it lacks, so that the queue does not spin.
REFUSAL_SECONDS = 2.0
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


def check_dataset(task: TrainingTask, job: Job) -> None:
    """Check that this worker has the job's data set.

    Raises:
        Reject: it has not; the job returns to the queue, for another worker.
        WrongDatasetError: no worker has had it for `dataset_seconds`.
    """
    mine = task.dataset.digest
    if mine == job.dataset:
        return
    store = task.store()
    if task.roster().holders(job.dataset):
        store.forget_refusals(task.request.id)
    elif (seconds := store.refused_for(task.request.id)) >= task.app.settings.dataset_seconds:
        raise WrongDatasetError(
            f"no worker had the job's data set {job.dataset} for {seconds:.0f} s; this one ({task.request.hostname}) "
            f"has {mine}"
        )
    logger.warning("Gives back %s: it needs the data set %s, and this is %s", job, job.dataset, mine)
    task.stopping.wait(REFUSAL_SECONDS)
    raise Reject("another data set is needed", requeue=True)


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
