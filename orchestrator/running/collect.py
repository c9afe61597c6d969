"""Collects results by polling the result backend until every job of a sweep has its row.

Polling needs nothing but the job keys: whoever has them can go on after any interruption. A job is counted by its key,
once, however often it ran.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from celery import states
from pydantic import ValidationError

from nn.errors import WeightsError
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.results import State
from orchestrator.folder.rows import Row, accepted_row, lost_row
from orchestrator.running.cancel import ended_by_a_cancelled_sweep
from orchestrator.running.membership import Membership
from orchestrator.running.stalls import LOOK_SECONDS, LostJobs, StallWatch
from orchestrator.running.submit import resubmit, submit
from worker.job import Job, Result
from worker.records.report import Report

#: Seconds between two polls: short, for a table that moves; longer if a poll itself takes long.
SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
#: How often a job's weights may have gone from the store before they are fetched; each time it is trained again.
WEIGHTS_TRIES = 3


class Progress(Protocol):
    """What a sweep tells while it runs."""

    def message(self, text: str) -> None:
        """Something the user should know."""

    def running(self, reports: Mapping[str, Report | None]) -> None:
        """The jobs that are being trained now, by key, with their workers' last reports (None before the first)."""

    def finished(self, row: Row) -> None:
        """A job has its row."""


class _EndedForAnotherError(Exception):
    """A job that this sweep waits for was ended because another sweep was cancelled. Never leaves this module."""


class Collector:
    """Turns what the result backend holds into rows.

    Args:
        cluster: The cluster.
        accept: Keeps a finished job's row and its weights, if it has any; called once for each job.
        progress: Shows what goes on.
        look_seconds: The time between two looks for jobs that Redis forgot.
        sweep: The sweep whose jobs these are, as the cluster knows it; None for jobs of no sweep.
    """

    def __init__(
        self,
        cluster: Cluster,
        accept: Callable[[Row, bytes | None], None],
        progress: Progress,
        look_seconds: float = LOOK_SECONDS,
        sweep: Membership | None = None,
    ) -> None:
        self._cluster = cluster
        self._accept = accept
        self._progress = progress
        self._look_seconds = look_seconds
        self._sweep = sweep
        #: Why the sweep is cancelled; None while it is not.
        self._cancelled: str | None = None
        self._weights_tries: dict[str, int] = {}
        self._stalls = StallWatch(cluster, progress.message)

    def begin(self, jobs: Mapping[str, Job], *, reuse: bool, reused_from: str | None) -> dict[str, Job]:
        """Take the results that the cluster has, and queue every other job that has no message under way.

        What is stored of jobs that failed or were cancelled is forgotten: who asks again wants them to be tried again.

        Args:
            jobs: The jobs, by key.
            reuse: Whether to take results that are there already.
            reused_from: What to note in their rows.

        Returns:
            The jobs to wait for.
        """
        cluster = self._cluster
        # First the messages, then the results: a job that ends in between is seen in one of the two.
        messages = cluster.patiently(cluster.queue.messages)
        known = cluster.patiently(lambda: cluster.results.states(jobs))
        taken: set[str] = set()
        if reuse:
            succeeded = {key: state for key, state in known.items() if state.name == states.SUCCESS}
            taken, _ = self._take(jobs, succeeded, reused_from)
        waiting = {key: job for key, job in jobs.items() if key not in taken}
        under_way = messages & waiting.keys()
        if under_way:
            self._progress.message(f"{len(under_way)} jobs are under way on the cluster already")
        # Somebody may have cancelled them, and a worker not have noticed yet.
        cluster.patiently(lambda: cluster.store.revive(waiting))
        ended = {key for key, state in known.items() if state.ended}
        submit(cluster, [job for key, job in waiting.items() if key not in under_way and key not in ended])
        resubmit(cluster, [job for key, job in waiting.items() if key in ended])
        return waiting

    def _take(
        self, jobs: Mapping[str, Job], found: Mapping[str, State], reused_from: str | None = None
    ) -> tuple[set[str], list[Job]]:
        """Accept the jobs that have ended.

        Returns:
            The keys of the accepted jobs, and those that must be trained again: their weights are gone, or the
            cancellation of another sweep ended them.
        """
        accepted, spoiled = set(), []
        for key, state in found.items():
            if not state.ended:
                continue
            try:
                row, blob = self._row(jobs[key], state, reused_from)
            except (WeightsError, _EndedForAnotherError) as error:
                self._progress.message(f"{jobs[key]} is trained again: {error}")
                spoiled.append(jobs[key])
                continue
            self._accept(row, blob)
            self._progress.finished(row)
            accepted.add(key)
        return accepted, spoiled

    def _row(self, job: Job, state: State, reused_from: str | None) -> tuple[Row, bytes | None]:
        if state.name != states.SUCCESS:
            return self._row_without_result(job, state), None
        try:
            result = Result.model_validate(state.value)
        except ValidationError as error:
            return lost_row(job, "failed", f"the stored result is none: {error.errors()[0]['msg']}"), None
        if result.job != job.key or len(result.epoch_seconds) != job.epochs:
            return lost_row(job, "failed", "the stored result is that of another job"), None
        try:
            blob = self._cluster.patiently(lambda: self._cluster.store.weights(result.weights_sha256))
        except WeightsError as error:
            self._weights_tries[job.key] = tries = self._weights_tries.get(job.key, 0) + 1
            if tries < WEIGHTS_TRIES:
                raise
            return lost_row(job, "failed", str(error), self._causes(job)), None
        causes = self._causes(job) if result.attempts > 1 else ()
        return accepted_row(job, result, reused_from, causes), blob

    def _row_without_result(self, job: Job, state: State) -> Row:
        error = str(state.value)
        if state.name != states.REVOKED:
            return lost_row(job, "failed", error, self._causes(job))
        if self._sweep is not None and self._cancelled is None and ended_by_a_cancelled_sweep(error):
            raise _EndedForAnotherError(error)
        return lost_row(job, "cancelled", error, self._causes(job))

    def _causes(self, job: Job) -> list[str]:
        return [attempt.cause for attempt in self._cluster.attempts(job.key)]

    def collect(self, jobs: Mapping[str, Job]) -> None:
        """Wait for these jobs, all of which are queued, and accept each as it ends."""
        lost_jobs = LostJobs(self._cluster, self._look_seconds)
        waiting = self._poll(jobs, lost_jobs)
        while waiting:
            started = time.monotonic()
            waiting = self._poll(waiting, lost_jobs)
            # A tenth of the time for polling, however many jobs there are.
            time.sleep(min(max(SHORTEST_PAUSE, 10 * (time.monotonic() - started)), LONGEST_PAUSE))

    def _poll(self, waiting: Mapping[str, Job], lost_jobs: LostJobs) -> Mapping[str, Job]:
        """Look once at these jobs, and return those that have not ended."""
        self._cluster.check()
        if self._sweep is not None:
            self._sweep.keep()
            # Once cancelled, a sweep is not taken up again because Redis forgot that.
            self._cancelled = self._cancelled or self._sweep.cancelled()
        found = self._cluster.patiently(lambda: self._cluster.results.states(waiting))
        accepted, spoiled = self._take(waiting, found)
        still_waiting = {key: job for key, job in waiting.items() if key not in accepted}
        running = {key: state.value for key, state in found.items() if key in still_waiting and state.running}
        self._progress.running(running)
        if self._cancelled is not None:
            return self._give_up(still_waiting)
        resubmit(self._cluster, spoiled)
        if still_waiting:
            self._stalls.look(ended=bool(accepted), running=running)
            self._submit_lost(still_waiting, lost_jobs)
        return still_waiting

    def _give_up(self, waiting: dict[str, Job]) -> dict[str, Job]:
        """Accept the jobs of a cancelled sweep that nobody will end, as cancelled; return the others."""
        if self._sweep is None or not waiting:
            return waiting
        given_up = self._sweep.given_up(waiting)
        for key, words in given_up.items():
            row = lost_row(waiting[key], "cancelled", words, self._causes(waiting[key]))
            self._accept(row, None)
            self._progress.finished(row)
        return {key: job for key, job in waiting.items() if key not in given_up}

    def _submit_lost(self, waiting: Mapping[str, Job], lost_jobs: LostJobs) -> None:
        lost = self._cluster.patiently(lambda: lost_jobs.lost(waiting))
        if lost:
            self._progress.message(f"Redis lost {len(lost)} {'job' if len(lost) == 1 else 'jobs'}: submitted again")
            # The message alone: what is known of the job, its cancellation and its attempts, still holds.
            submit(self._cluster, [job for key, job in waiting.items() if key in lost])
