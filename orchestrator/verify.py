"""Trains rows again and compares: the weights' hash, and the accuracy after every epoch.

A run under a label is a run of its own: no worker answers it from a stored result (`worker.job.run_id`).
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from itertools import zip_longest

from celery import states
from kombu.exceptions import KombuError
from pydantic import BaseModel, ConfigDict, ValidationError
from redis.exceptions import RedisError

from orchestrator.broker import Broker
from orchestrator.ledger import State
from orchestrator.quiet import Quiet
from orchestrator.reconcile import LOOK_SECONDS, Reconciler
from orchestrator.rows import Row
from orchestrator.submit import submit
from worker.job import Job, Result, run_id

#: Seconds between two polls.
PAUSE = 0.05


class Difference(BaseModel):
    """Something that is not the same: what, its value in the row, and its value now."""

    model_config = ConfigDict(frozen=True)

    what: str
    kept: str | float | None
    again: str | float | None


class Check(BaseModel):
    """A row that was trained again, and what is different; nothing if all is equal."""

    model_config = ConfigDict(frozen=True)

    job: str
    seed: int
    learning_rate: float
    epochs: int
    worker: str | None
    differences: list[Difference]


def choose(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """Return so many of the rows (all of them, if there are fewer), in their order, chosen by a random seed."""
    chosen = random.Random(seed).sample(range(len(rows)), min(count, len(rows)))
    return [rows[i] for i in sorted(chosen)]


def compare(row: Row, result: Result) -> list[Difference]:
    """Return what is different between a row and the result of another run of its job."""
    found = []
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


class Verification:
    """Trains rows again on a cluster, under a label that no run had before, and leaves nothing of it there.

    Args:
        broker: The cluster.
        tell: Shows a message to the user.
    """

    def __init__(self, broker: Broker, tell: Callable[[str], None]) -> None:
        self._broker = broker
        self._tell = tell
        self._label = f"verify-{uuid.uuid4().hex[:12]}"

    def check(self, jobs: Sequence[Job], rows: Mapping[str, Row]) -> Generator[Check, None, None]:
        """Yield a check for every job, in the order in which they end.

        It cleans up when it ends: whoever leaves it early closes it while the cluster is there.

        Args:
            jobs: What to train.
            rows: What came of these jobs before, by job key.
        """
        waiting = {run_id(job, self._label): job for job in jobs}
        ended: dict[str, Result | None] = {}
        hashes = {str(rows[job.key].weights_sha256) for job in jobs}
        kept = self._broker.patiently(lambda: self._broker.store.kept_weights(hashes))
        try:
            submit(self._broker, jobs, label=self._label)
            for run, state in self._wait(waiting):
                check, ended[run] = _check(rows[waiting[run].key], state)
                yield check
        finally:
            equal = {result.weights_sha256 for result in ended.values() if result is not None} & hashes
            self._clean_up([run for run in waiting if run not in ended], list(ended), equal - kept)

    def _wait(self, runs: Mapping[str, Job]) -> Iterator[tuple[str, State]]:
        broker, quiet = self._broker, Quiet(self._broker, self._tell)
        reconciler = Reconciler(broker.ledger, LOOK_SECONDS)
        waiting = dict(runs)
        while waiting:
            broker.check()
            found = broker.patiently(lambda: broker.ledger.states(waiting))
            ended = {run: state for run, state in found.items() if state.ended}
            for run, state in ended.items():
                del waiting[run]
                yield run, state
            running = {run: state.value for run, state in found.items() if state.running}
            quiet.look(ended=bool(ended), running=running)
            lost = broker.patiently(lambda: reconciler.lost(waiting))
            submit(broker, [waiting[run] for run in lost], label=self._label)
            time.sleep(PAUSE)

    def _clean_up(self, open_runs: list[str], ended: list[str], hashes: set[str]) -> None:
        """Remove what the runs left on the cluster, and end those that are still open. Tried once: it may be gone."""
        broker = self._broker
        try:
            broker.store.cancel(open_runs, "the verification ended")
            withdrawn = broker.ledger.withdraw(set(open_runs))
            broker.ledger.forget([*ended, *withdrawn])
            broker.store.forget([*ended, *withdrawn])
            # Weights that another sweep waits for may be the same ones; it would train that job again.
            broker.store.drop_weights(hashes)
        except (RedisError, KombuError, OSError) as error:
            self._tell(f"Runs labelled {self._label} stay at {broker.address} until they expire: {error}")


def _check(row: Row, state: State) -> tuple[Check, Result | None]:
    if state.name != states.SUCCESS:
        again = "cancelled" if state.name == states.REVOKED else f"failed: {state.value}"
        return _made(row, None, [Difference(what="status", kept=row.status, again=again)]), None
    try:
        result = Result.model_validate(state.value)
    except ValidationError as error:
        again = f"no result: {error.errors()[0]['msg']}"
        return _made(row, None, [Difference(what="status", kept=row.status, again=again)]), None
    return _made(row, result.worker, compare(row, result)), result


def _made(row: Row, worker: str | None, differences: list[Difference]) -> Check:
    return Check(
        job=row.job,
        seed=row.seed,
        learning_rate=row.learning_rate,
        epochs=row.epochs,
        worker=worker,
        differences=differences,
    )
