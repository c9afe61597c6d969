"""Collects results by polling the result backend until every job of a sweep has its row.

Polling needs nothing but the job keys: whoever has them can go on after any interruption. A job is counted by its key,
once, however often it ran.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from celery import states
from pydantic import ValidationError

from nn.errors import WeightsError
from orchestrator.broker import Broker
from orchestrator.ledger import State
from orchestrator.progress import Progress
from orchestrator.reconcile import Reconciler
from orchestrator.rows import Row, accepted_row, lost_row
from orchestrator.submit import submit
from worker.job import Job, Result

#: Seconds between two polls: short, for a table that moves; longer if a poll itself takes long.
SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
#: Seconds without any sign of work after which we ask whether there is a worker at all, and then ask again.
QUIET_SECONDS = 3.0
QUIET_AGAIN_SECONDS = 60.0
#: How often a job is trained again because its weights had gone from the store before they were fetched.
WEIGHTS_TRIES = 3


class Collector:
    """Turns what the result backend holds into rows.

    Args:
        broker: The cluster.
        accept: Keeps a finished job's row and its weights, if it has any; called once for each job.
        progress: Shows what goes on.
    """

    def __init__(self, broker: Broker, accept: Callable[[Row, bytes | None], None], progress: Progress) -> None:
        self._broker = broker
        self._accept = accept
        self._progress = progress
        self._weights_tries: dict[str, int] = {}
        self._next_question = time.monotonic() + QUIET_SECONDS

    def take(self, jobs: Mapping[str, Job], found: Mapping[str, State], reused_from: str | None = None) -> set[str]:
        """Accept the jobs that have ended, and queue again those whose weights are gone.

        Returns:
            The keys of the accepted jobs.
        """
        accepted = set()
        for key, state in found.items():
            if not state.ended:
                continue
            try:
                row, blob = self._row(jobs[key], state, reused_from)
            except WeightsError as error:
                self._train_again(jobs[key], str(error))
                continue
            self._accept(row, blob)
            accepted.add(key)
        return accepted

    def _row(self, job: Job, state: State, reused_from: str | None) -> tuple[Row, bytes | None]:
        if state.name == states.REVOKED:
            return lost_row(job, "cancelled", str(state.value)), None
        if state.name != states.SUCCESS:
            return lost_row(job, "failed", str(state.value)), None
        try:
            result = Result.model_validate(state.value)
            row = accepted_row(job, result, reused_from)
        except ValidationError as error:
            return lost_row(job, "failed", f"the stored result is none: {error.errors()[0]['msg']}"), None
        try:
            blob = self._broker.patiently(lambda: self._broker.store.weights(result.weights_sha256))
        except WeightsError as error:
            if self._weights_tries.get(job.key, 0) < WEIGHTS_TRIES:
                raise
            return lost_row(job, "failed", str(error), result.attempts), None
        return row, blob

    def _train_again(self, job: Job, why: str) -> None:
        self._weights_tries[job.key] = self._weights_tries.get(job.key, 0) + 1
        self._progress.message(f"Training seed {job.seed}, learning rate {job.learning_rate:g} again: {why}")
        self.resubmit([job])

    def resubmit(self, jobs: list[Job]) -> None:
        """Forget what is stored for these jobs and queue them afresh."""
        keys = [job.key for job in jobs]
        self._broker.patiently(lambda: self._broker.ledger.forget(keys))
        self._broker.patiently(lambda: self._broker.store.forget(keys))
        submit(self._broker, jobs)

    def collect(self, jobs: Mapping[str, Job]) -> None:
        """Wait for these jobs, all of which are queued, and accept each as it ends."""
        reconciler = Reconciler(self._broker.ledger)
        waiting = self._poll(jobs, reconciler)
        while waiting:
            started = time.monotonic()
            waiting = self._poll(waiting, reconciler)
            # A tenth of the time for polling, however many jobs there are.
            time.sleep(min(max(SHORTEST_PAUSE, 10 * (time.monotonic() - started)), LONGEST_PAUSE))

    def _poll(self, waiting: Mapping[str, Job], reconciler: Reconciler) -> Mapping[str, Job]:
        """Look once at these jobs, and return those that have not ended."""
        self._broker.check()
        found = self._broker.patiently(lambda: self._broker.ledger.states(waiting))
        accepted = self.take(waiting, found)
        still_waiting = {key: job for key, job in waiting.items() if key not in accepted}
        if not still_waiting:
            return {}
        running = {key: state.value for key, state in found.items() if state.running}
        self._progress.running(running)
        self._look_for_workers(bool(running or accepted))
        lost = self._broker.patiently(lambda: reconciler.lost(still_waiting))
        if lost:
            self._progress.message(f"Redis lost {len(lost)} {'job' if len(lost) == 1 else 'jobs'}: submitted again")
            self.resubmit([job for key, job in still_waiting.items() if key in lost])
        return still_waiting

    def _look_for_workers(self, sign_of_work: bool) -> None:
        """Say so if the queue rests because no worker is online."""
        now = time.monotonic()
        if sign_of_work:
            self._next_question = now + QUIET_SECONDS
        elif now > self._next_question:
            self._next_question = now + QUIET_AGAIN_SECONDS
            if not self._broker.online_workers():
                self._progress.message(f"No worker is online at {self._broker.address} yet: waiting for one")
