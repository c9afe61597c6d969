"""Collects results until every job of a sweep has its row. A job has one row, however often it was executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nn.errors import WeightsError
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.results import Cancelled, Ended, Failed, Finished
from orchestrator.cluster.weights import fetch_weights
from orchestrator.folder.rows import Row, accepted_row, lost_row
from orchestrator.running.cancel import ended_by_a_cancelled_sweep
from orchestrator.running.histories import Histories
from orchestrator.running.listener import Progress
from orchestrator.running.membership import Membership
from orchestrator.running.stalls import LOOK_SECONDS
from orchestrator.running.waiting import Waiting
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted
from worker.job import Job, Result, misfit

#: The number of attempts to fetch a job's weights. If they are not in the store, the job is trained again.
WEIGHTS_TRIES = 3


class _EndedForAnotherError(Exception):
    """The cancellation of another sweep ended a job of this one. Caught in this module."""


class Collector:
    """Turns the states of a sweep's jobs into rows.

    Args:
        cluster: The cluster.
        sweep: The registered sweep.
        accept: Keeps the row of a job that ended, and its weights if it has any; called once per job.
        progress: Receives messages, reports and rows.
        names: Names the sweep's jobs.
        look_seconds: The shortest time between two searches for lost jobs, in seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        sweep: Membership,
        accept: Callable[[Row, bytes | None], None],
        progress: Progress,
        names: JobNames,
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._sweep = sweep
        self._accept = accept
        self._progress = progress
        self._names = names
        self._look_seconds = look_seconds
        self._histories = Histories(cluster)
        self._weights_tries: dict[str, int] = {}

    def begin(
        self,
        jobs: Mapping[str, Job],
        *,
        reuse: bool,
        reused_from: str | None,
        prepare: Callable[[Sequence[Job]], None] = lambda _jobs: None,
    ) -> dict[str, Job]:
        """Take the stored results, and queue every other job that has no message.

        Stored failures and cancellations are removed, so that these jobs are retried.

        Args:
            jobs: The jobs, by key.
            reuse: Whether to take stored results.
            reused_from: The origin to record in the rows of reused results.
            prepare: Called with the jobs that are about to be queued.

        Returns:
            The jobs to wait for.
        """
        cluster = self._cluster
        # Messages are read before results, so that a job which ends meanwhile is found in one of the two.
        messages = cluster.queue.messages()
        ended = cluster.results.ended(jobs, max((job.epochs for job in jobs.values()), default=1))
        waiting = dict(jobs)
        if reused_from is None:
            self._histories.expect(list(ended))
        for key, state in ended.items():
            if reuse and isinstance(state, Finished) and self._take(jobs[key], state, reused_from):
                del waiting[key]
        under_way = messages & waiting.keys()
        if under_way:
            are = "is" if len(under_way) == 1 else "are"
            self._progress.message(f"{counted(len(under_way), 'job')} {are} under way on the cluster already")
        # Removes flags of an earlier cancellation that workers have not acted on yet.
        cluster.store.revive(waiting)
        varying = self._names.varying
        new = [job for key, job in waiting.items() if key not in under_way and key not in ended]
        again = [job for key, job in waiting.items() if key in ended]
        cluster.forget(again)
        prepare([*new, *again])
        cluster.queue.submit([*new, *again], varying=varying)
        return waiting

    def collect(self, jobs: Mapping[str, Job], ended: Callable[[str], None] | None = None) -> None:
        """Wait for these queued jobs, and accept each as it ends.

        Args:
            jobs: The jobs, by key.
            ended: Called with the key of each job that has its row.
        """
        waiting = Waiting(
            self._cluster,
            jobs,
            self._progress,
            varying=self._names.varying,
            sweep=self._sweep,
            look_seconds=self._look_seconds,
            before=self._histories.expect,
        )
        for key, state in waiting:
            if not self._take(jobs[key], state):
                waiting.again(jobs[key])
            elif ended is not None:
                ended(key)

    def _take(self, job: Job, state: Ended, reused_from: str | None = None) -> bool:
        """Accept a job that has ended.

        Returns:
            Whether the job has its row. If not, it must be trained again: its weights are gone, or the cancellation of
            another sweep ended it.
        """
        try:
            row, blob = self._row(job, state, reused_from)
        except (WeightsError, _EndedForAnotherError) as error:
            self._progress.message(f"{self._names.job(job.seed, job.options)} is trained again: {error}")
            return False
        self._accept(row, blob)
        self._progress.finished(row)
        return True

    def _row(self, job: Job, state: Ended, reused_from: str | None) -> tuple[Row, bytes | None]:
        match state:
            case Finished(result):
                return self._row_of_result(job, result, reused_from)
            case Failed(reason):
                return lost_row(job, "failed", reason, self._histories.take(job.key)), None
            case Cancelled(reason):
                if ended_by_a_cancelled_sweep(reason) and self._sweep.cancelled() is None:
                    raise _EndedForAnotherError(reason)
                return lost_row(job, "cancelled", reason, self._histories.take(job.key)), None

    def _row_of_result(self, job: Job, result: Result, reused_from: str | None) -> tuple[Row, bytes | None]:
        difference = misfit(job, result.status, result.validation_score, result.others)
        if difference is not None:
            return lost_row(job, "failed", f"the stored result belongs to another job: it has {difference}"), None
        try:
            blob = fetch_weights(self._cluster.store, job, result)
        except WeightsError as error:
            self._weights_tries[job.key] = tries = self._weights_tries.get(job.key, 0) + 1
            if tries < WEIGHTS_TRIES:
                raise
            return lost_row(job, "failed", str(error), self._histories.take(job.key)), None
        return accepted_row(job, result, reused_from, self._histories.take(job.key)), blob
