"""Trains rows again and compares: the weights' hash, the weights that are kept, and the accuracy after every epoch.

A run under a label is a run of its own: no worker answers it from a stored result (`worker.job.task_id`).
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from itertools import zip_longest

from celery import states
from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.results import State
from orchestrator.folder.rows import JobColumns, Row, identity
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.cleanup import Cleanup
from orchestrator.running.stalls import LOOK_SECONDS, LostJobs, StallWatch
from orchestrator.running.submit import submit
from worker.job import Job, Result, task_id

#: Seconds between two polls.
PAUSE = 0.05
#: What is different when a file is not there, or is not what the row says.
WEIGHTS_FILE = "weights file"


class Difference(BaseModel):
    """Something that is not the same: what, its value in the row, and its value now.

    Of a weights file: that it is missing or damaged, and the hash that it should have.
    """

    model_config = ConfigDict(frozen=True)

    what: str
    kept: str | int | float | None
    again: str | int | float | None


class Check(JobColumns):
    """A row that was trained again, and what is different; nothing if all is equal."""

    model_config = ConfigDict(frozen=True)

    worker: str | None
    differences: list[Difference]


def choose(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """Return so many of the rows (all of them, if there are fewer), in their order, chosen by a random seed."""
    chosen = random.Random(seed).sample(range(len(rows)), min(count, len(rows)))
    return [rows[i] for i in sorted(chosen)]


def compare(row: Row, result: Result) -> list[Difference]:
    """Return what is different between a row and the result of another run of its job."""
    found: list[Difference] = []
    if row.status != result.status:
        found.append(Difference(what="status", kept=row.status, again=result.status))
    for what, kept, again in (
        ("validation accuracy", row.validation_accuracy, result.validation_accuracy),
        ("notebook accuracy", row.notebook_accuracy or [], result.notebook_accuracy or []),
    ):
        for epoch, (before, now) in enumerate(zip_longest(kept, again), 1):
            if before != now:
                found.append(Difference(what=f"{what}, epoch {epoch}", kept=before, again=now))
    if row.weights_sha256 != result.weights_sha256:
        found.append(Difference(what="weights_sha256", kept=row.weights_sha256, again=result.weights_sha256))
    return found


def examine(job: Job, row: Row, folder: SweepFolder) -> list[Difference]:
    """Return what is wrong with a row and its weights file without a look at another run."""
    found = [
        Difference(what=name, kept=getattr(row, name), again=getattr(job, name))
        for name in JobColumns.model_fields
        if name != "job" and getattr(row, name) != getattr(job, name)
    ]
    sha256 = str(row.weights_sha256)
    fault = folder.weights_fault(sha256)
    if fault is not None:
        found.append(Difference(what=WEIGHTS_FILE, kept=fault, again=sha256))
    return found


class Verification:
    """Trains rows again on a cluster, under a label that no run had before; see `Cleanup` for what is left of it there.

    Args:
        cluster: The cluster.
        folder: Where the rows are from.
        tell: Shows a message to the user.
    """

    def __init__(self, cluster: Cluster, folder: SweepFolder, tell: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._folder = folder
        self._tell = tell
        self._label = f"verify-{uuid.uuid4().hex[:12]}"

    def check(self, jobs: Sequence[Job], rows: Mapping[str, Row]) -> Generator[Check, None, None]:
        """Yield a check for every job, in the order in which they end.

        It cleans up when it ends: whoever leaves it early closes it while the cluster is there.

        Args:
            jobs: What to train.
            rows: What came of these jobs before, by job key.
        """
        runs = {task_id(job, self._label): job for job in jobs}
        cleanup = Cleanup(self._cluster, runs, {str(rows[job.key].weights_sha256) for job in jobs}, self._tell)
        ended: set[str] = set()
        try:
            submit(self._cluster, jobs, label=self._label)
            for run, state in self._wait(runs):
                ended.add(run)
                yield self._check(runs[run], rows[runs[run].key], state)
        finally:
            cleanup.remove(ended)

    def _wait(self, runs: Mapping[str, Job]) -> Iterator[tuple[str, State]]:
        cluster, stalls = self._cluster, StallWatch(self._cluster, self._tell)
        lost_jobs = LostJobs(cluster, LOOK_SECONDS)
        waiting = dict(runs)
        while waiting:
            cluster.check()
            found = cluster.patiently(lambda: cluster.results.states(waiting))
            ended = {run: state for run, state in found.items() if state.ended}
            for run, state in ended.items():
                del waiting[run]
                yield run, state
            running = {run: state.value for run, state in found.items() if state.running}
            stalls.look(ended=bool(ended), running=running)
            lost = cluster.patiently(lambda: lost_jobs.lost(waiting))
            submit(cluster, [waiting[run] for run in lost], label=self._label)
            time.sleep(PAUSE)

    def _check(self, job: Job, row: Row, state: State) -> Check:
        result = _result(state)
        worker, differences = None, []
        if isinstance(result, str):
            differences.append(Difference(what="status", kept=row.status, again=result))
        else:
            worker, differences = result.worker, compare(row, result)
        return Check(
            **identity(job),
            worker=worker,
            differences=[*differences, *examine(job, row, self._folder)],
        )


def _result(state: State) -> Result | str:
    """Return the result of a run that has ended, or why it has none."""
    if state.name != states.SUCCESS:
        return "cancelled" if state.name == states.REVOKED else f"failed: {state.value}"
    try:
        return Result.model_validate(state.value)
    except ValidationError as error:
        return f"no result: {error.errors()[0]['msg']}"
