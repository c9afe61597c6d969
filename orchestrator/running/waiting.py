"""Yields tasks as they end, for collecting and for verifying.

Polling needs only the task ids, so waiting can resume after any interruption.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.results import Cancelled, Ended, Running
from orchestrator.running.listener import Progress
from orchestrator.running.membership import Membership
from orchestrator.running.stalls import LostJobs, StallWatch
from orchestrator.running.underway import share_of_time
from orchestrator.text import counted
from worker.job import Job
from worker.records.report import Report
from worker.redis.bounded import chunks

#: Seconds between two polls: short, so that the progress table is up to date; longer if polls take long.
SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 10.0
#: Seconds above which a poll was held up by an outage: reading the states of 100,000 jobs takes less.
LONGEST_POLL = 5.0


class Waiting:
    """Queued tasks. Iterating yields the tasks that have ended since the last poll, by id, each with its state.

    Args:
        cluster: The cluster.
        tasks: The job of each task, by task id.
        listener: Receives messages and reports.
        submit: Queues tasks of jobs, as it queued these.
        sweep: The sweep of the jobs, which may be cancelled; None for verification tasks.
    """

    def __init__(
        self,
        cluster: Cluster,
        tasks: Mapping[str, Job],
        listener: Progress,
        submit: Callable[[Sequence[Job]], None],
        sweep: Membership | None = None,
    ) -> None:
        self._cluster = cluster
        self._listener = listener
        self._submit = submit
        self._sweep = sweep
        self._open = dict(tasks)
        self._epochs = max((job.epochs for job in tasks.values()), default=1)
        self._again: list[Job] = []
        self._lost_jobs = LostJobs(cluster)
        needs = {job.needs for job in tasks.values()}
        self._stalls = StallWatch(cluster, listener.message, needs, None if sweep is None else sweep.silent)
        self._pause = SHORTEST_PAUSE

    def __iter__(self) -> Iterator[Mapping[str, Ended]]:
        while self._open:
            for ended in self._poll():
                # They are no longer waited for, unless the caller submits them `again`.
                for task in ended:
                    del self._open[task]
                yield ended
            if self._open:
                time.sleep(self._pause)

    def again(self, job: Job) -> None:
        """Submit a yielded job again, and wait for it."""
        self._open[job.key] = job
        self._again.append(job)

    def _poll(self) -> Iterator[Mapping[str, Ended]]:
        """Read the states of the open tasks once, and yield those that ended, or are given up."""
        self._cluster.check()
        if self._sweep is not None:
            self._sweep.keep()
        running: dict[str, Report | None] = {}
        any_ended, seconds = False, 0.0
        # A few at a time, because others decide how large results are.
        for some in chunks(self._open):
            started = time.monotonic()
            states = dict(self._cluster.results.states(some, self._epochs))
            seconds += time.monotonic() - started
            running |= {task: state.report for task, state in states.items() if isinstance(state, Running)}
            if ended := {task: state for task, state in states.items() if not isinstance(state, Running)}:
                any_ended = True
                yield ended
        self._pause = share_of_time(seconds if seconds < LONGEST_POLL else 0.0, SHORTEST_PAUSE, LONGEST_PAUSE)
        self._listener.running(running, self._stalls.workers, self._stalls.lost)
        given_up = None if self._sweep is None else self._sweep.given_up(self._open)
        if given_up is None:
            self._keep_moving(ended=any_ended, running=running)
        elif given_up:
            yield {key: Cancelled(words) for key, words in given_up.items()}

    def _keep_moving(self, *, ended: bool, running: Mapping[str, object]) -> None:
        again, self._again = self._again, []
        self._cluster.forget([job.key for job in again])
        self._submit(again)
        if not self._open:
            return
        self._stalls.look(ended=ended, running=running)
        lost = self._lost_jobs.lost(self._open)
        if lost:
            self._listener.message(f"Redis lost {counted(len(lost), 'job')}: submitted again")
            # Only the message: the records of the job, such as its cancellation and its attempts, stay valid.
            self._submit([job for key, job in self._open.items() if key in lost])
