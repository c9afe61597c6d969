"""Lets jobs of more epochs go on from the results of shorter ones, instead of training from the first epoch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nn.errors import WeightsError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.text import counted
from worker.errors import TrainerUnusableError
from worker.job import Job
from worker.records.checkpoints import Checkpoints, Epoch, SavedCheckpoint
from worker.records.store import Store
from worker.trainers.protocol import Trainer

#: The bytes of checkpoints that are in Redis at a time. The next ones are stored as jobs end.
MOST_BYTES = 2**26


class Continuation:
    """Stores checkpoints from which the workers go on, made of rows and weights in the sweep's folder.

    A job that a worker takes before its checkpoint is stored, or whose checkpoint Redis loses, is trained from the
    first epoch, to the same bits.

    Args:
        folder: The sweep's folder.
        jobs: The sweep's jobs, by key.
        rows: Their rows, by key; weights may be missing.
        store: Where workers look for checkpoints.
    """

    def __init__(self, folder: SweepFolder, jobs: Mapping[str, Job], rows: Mapping[str, Row], store: Store) -> None:
        self._folder = folder
        self._rows = rows
        self._checkpoints = Checkpoints(store)
        #: Finished jobs, by everything but their epochs; for each number of epochs its key.
        self._finished: dict[Any, dict[int, str]] = {}
        for key, job in jobs.items():
            if key in rows and rows[key].status == "succeeded":
                self._finished.setdefault(_without_epochs(job), {})[job.epochs] = key
        self._waiting: dict[str, Job] = {}
        self._stored: dict[str, int] = {}

    def prepare(self, jobs: Collection[Job]) -> str | None:
        """Store the checkpoints of jobs that are about to be queued; say how many go on, if any could.

        Args:
            jobs: The jobs, in the order of the queue.

        Returns:
            A sentence, or None.
        """
        longer = [job for job in jobs if self._shorter(job) is not None]
        if not longer:
            return None
        missing = [job for job in longer if not self._can_go_on(job)]
        self._waiting = {job.key: job for job in longer if job not in missing}
        self._fill()
        return _sentence(len(longer), len(missing), self._why(missing[0]) if missing else "")

    def ended(self, key: str) -> None:
        """Store further checkpoints in the place of a job's that has ended."""
        self._waiting.pop(key, None)
        if self._stored.pop(key, None) is not None:
            self._fill()

    def _shorter(self, job: Job) -> str | None:
        """Return the key of the finished job of the most epochs that is the same but for having fewer of them."""
        finished = self._finished.get(_without_epochs(job), {})
        longest = max((epochs for epochs in finished if epochs < job.epochs), default=None)
        return None if longest is None else finished[longest]

    def _can_go_on(self, job: Job) -> bool:
        row = self._rows[str(self._shorter(job))]
        return _can_continue(job) and self._folder.has_weights(str(row.weights_sha256))

    @staticmethod
    def _why(job: Job) -> str:
        if not _can_continue(job):
            return f"because the trainer {job.trainer} cannot go on from a result"
        return "because their weights are missing or damaged"

    def _fill(self) -> None:
        while self._waiting and sum(self._stored.values()) < MOST_BYTES:
            key, job = next(iter(self._waiting.items()))
            del self._waiting[key]
            checkpoint = self._checkpoint(job)
            if checkpoint is not None:
                self._checkpoints.offer(key, job, checkpoint)
                self._stored[key] = len(checkpoint.state)

    def _checkpoint(self, job: Job) -> SavedCheckpoint | None:
        row = self._rows[str(self._shorter(job))]
        try:
            artifact = self._folder.weights(str(row.weights_sha256))
            state = job.trained_by.continued(row.options, job.options, artifact)
        except (WeightsError, TrainerUnusableError):
            # The job is trained from its first epoch.
            return None
        others = [row.others[name] for name in job.others]
        history = zip(row.epoch_seconds, row.validation_score, *others, strict=True)
        return None if state is None else SavedCheckpoint(tuple(_epoch(*record) for record in history), state)


def _sentence(longer: int, missing: int, why: str) -> str:
    """Return how many jobs go on, and how many do not and why."""
    jobs = f"{counted(longer, 'job')} of more epochs"
    if not missing:
        return f"{jobs}: training goes on from stored weights"
    if missing == longer:
        return f"{jobs} {'is' if longer == 1 else 'are'} trained from the first epoch, {why}"
    goes, is_trained = ("goes" if longer - missing == 1 else "go"), ("is" if missing == 1 else "are")
    return (
        f"{jobs}: {longer - missing} {goes} on from stored weights, and {missing} {is_trained} trained from the first "
        f"epoch, {why}"
    )


def _epoch(seconds: float, score: float, *others: float) -> Epoch:
    return Epoch(seconds, score, others)


def _without_epochs(job: Job) -> tuple[Any, ...]:
    options = tuple((name, value) for name, value in job.options if name != "epochs")
    return job.trainer, job.version, job.dataset, job.seed, options


def _can_continue(job: Job) -> bool:
    return type(job.trained_by).continued is not Trainer.continued
