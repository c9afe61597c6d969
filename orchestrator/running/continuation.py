"""Lets jobs of more epochs go on from the results of shorter ones, instead of training from the first epoch."""

from collections.abc import Collection, Mapping

from nn.errors import WeightsError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.underway import longest_shorter
from orchestrator.text import counted
from worker.errors import TrainerUnusableError
from worker.job import Job
from worker.records.checkpoints import Epoch, SavedCheckpoint, save
from worker.records.store import Store
from worker.trainers.protocol import Trainer

#: Bytes of checkpoints in Redis above which no more are stored until jobs end.
MOST_BYTES = 2**26


class Continuation:
    """Makes checkpoints of rows and weights in the sweep's folder, and stores them for the workers to go on from.

    A job that a worker takes before its checkpoint is stored, or whose checkpoint Redis loses, is trained from the
    first epoch, to the same bits.

    Args:
        folder: The sweep's folder.
        rows: The rows of its jobs, by key; weights may be missing.
        store: Where workers look for checkpoints.
    """

    def __init__(self, folder: SweepFolder, rows: Mapping[str, Row], store: Store) -> None:
        self._folder, self._rows, self._store = folder, rows, store
        #: Jobs whose checkpoint is not stored yet, each with the row that it goes on from.
        self._waiting: dict[str, tuple[Job, Row]] = {}
        self._stored: dict[str, int] = {}

    def prepare(self, jobs: Collection[Job]) -> str | None:
        """Store the checkpoints of jobs that are about to be queued, and return how many go on.

        Args:
            jobs: The jobs, in the order of the queue.

        Returns:
            A sentence; None if no finished job is the same with fewer epochs.
        """
        by_key = {job.key: job for job in jobs}
        longer = [(by_key[key], row) for key, row in longest_shorter(by_key, self._rows.values()).items()]
        if not longer:
            return None
        folder = self._folder
        missing = {job.key for job, row in longer if not (_can_continue(job) and folder.has_weights(job, row))}
        self._waiting = {job.key: (job, row) for job, row in longer if job.key not in missing}
        self._fill()
        told = f"{counted(len(longer), 'job')} of more epochs: {len(longer) - len(missing)} from stored weights"
        if not missing:
            return told
        faults = {"are damaged" if folder.holds(row) else "were not kept" for job, row in longer if job.key in missing}
        why = f"because their weights {' or '.join(sorted(faults, reverse=True))}"
        if not _can_continue(longer[0][0]):
            why = f"because the trainer {longer[0][0].trainer} cannot go on from a result"
        return f"{told}, {len(missing)} from the first epoch, {why}"

    def ended(self, key: str) -> None:
        """Store further checkpoints once a job with one has ended."""
        self._waiting.pop(key, None)
        if self._stored.pop(key, None) is not None:
            self._fill()

    def _fill(self) -> None:
        while self._waiting and sum(self._stored.values()) < MOST_BYTES:
            key = next(iter(self._waiting))
            job, row = self._waiting.pop(key)
            checkpoint = self._checkpoint(job, row)
            if checkpoint is not None:
                save(self._store, key, job, checkpoint, first=True)
                self._stored[key] = len(checkpoint.state)

    def _checkpoint(self, job: Job, row: Row) -> SavedCheckpoint | None:
        try:
            artifact = self._folder.weights(job, str(row.weights_sha256))
            state = job.trained_by.continued(row.options, job.options, artifact)
        except (WeightsError, TrainerUnusableError):
            # The job is trained from its first epoch.
            return None
        scores = zip(row.epoch_seconds, row.validation_score, *(row.others[name] for name in job.others), strict=True)
        history = tuple(Epoch(seconds, score, tuple(others)) for seconds, score, *others in scores)
        return None if state is None else SavedCheckpoint(history, state)


def _can_continue(job: Job) -> bool:
    return type(job.trained_by).continued is not Trainer.continued
