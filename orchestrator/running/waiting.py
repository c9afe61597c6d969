"""The one generator that yields tasks as they end, for collecting and for verifying.

Polling needs nothing but the task ids: whoever has them can go on after any interruption.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.results import Cancelled, Ended, Running
from orchestrator.running.listener import Listener
from orchestrator.running.membership import Membership
from orchestrator.running.stalls import LOOK_SECONDS, LostJobs, StallWatch, share_of_time
from orchestrator.text import counted
from worker.job import Job
from worker.records.report import Report

#: Seconds between two polls: short, for a table that moves; longer if a poll itself takes long, up to a limit, because
#: an outage makes a poll long that costs nothing.
SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 10.0


class Waiting:
    """Queued tasks; iterating yields each as it ends, with its state.

    Args:
        cluster: The cluster.
        tasks: The job of each task, by task id.
        listener: Hears what happens meanwhile.
        label: The label of verification tasks; None for the jobs' own.
        sweep: The sweep whose jobs these are, which may be cancelled; None for verification tasks.
        look_seconds: The shortest time between two looks for lost jobs, in seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        tasks: Mapping[str, Job],
        listener: Listener,
        *,
        label: str | None = None,
        sweep: Membership | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._listener = listener
        self._label = label
        self._sweep = sweep
        self._open = dict(tasks)
        self._again: list[Job] = []
        self._lost_jobs = LostJobs(cluster, look_seconds)
        self._stalls = StallWatch(cluster, listener.message)
        self._pause = SHORTEST_PAUSE

    def __iter__(self) -> Iterator[tuple[str, Ended]]:
        while self._open:
            yield from self._poll()
            if self._open:
                time.sleep(self._pause)

    def again(self, job: Job) -> None:
        """Submit a job that was yielded once more, and wait for it again."""
        self._open[job.key] = job
        self._again.append(job)

    def _poll(self) -> Iterator[tuple[str, Ended]]:
        """Look once at the open tasks."""
        self._cluster.check()
        if self._sweep is not None:
            self._sweep.keep()
        started = time.monotonic()
        states = self._cluster.results.states(self._open)
        self._pause = share_of_time(time.monotonic() - started, SHORTEST_PAUSE, LONGEST_PAUSE)
        running: dict[str, Report | None] = {}
        ended: dict[str, Ended] = {}
        for task_id, state in states.items():
            if isinstance(state, Running):
                running[task_id] = state.report
            else:
                ended[task_id] = state
        yield from self._close(ended)
        self._listener.running(running)
        given_up = None if self._sweep is None else self._sweep.given_up(self._open)
        if given_up is None:
            self._keep_moving(ended=bool(ended), running=running)
        else:
            yield from self._close({key: Cancelled(words) for key, words in given_up.items()})

    def _close(self, ended: Mapping[str, Ended]) -> Iterator[tuple[str, Ended]]:
        for task_id, state in ended.items():
            # First, so that whoever takes it may ask for it `again`.
            del self._open[task_id]
            yield task_id, state

    def _keep_moving(self, *, ended: bool, running: Mapping[str, object]) -> None:
        again, self._again = self._again, []
        self._cluster.resubmit(again)
        if not self._open:
            return
        self._stalls.look(ended=ended, running=running)
        lost = self._lost_jobs.lost(self._open)
        if lost:
            self._listener.message(f"Redis lost {counted(len(lost), 'job')}: submitted again")
            # The message alone: what is known of the job, its cancellation and its attempts, still holds.
            self._cluster.queue.submit([job for key, job in self._open.items() if key in lost], label=self._label)
