"""Trains the jobs of rows again, and compares the weights' hash and file, each epoch's metrics, and the answers.

A verification task has its own id (`worker.job.task_id`), so that no worker returns the stored result of the job.
"""

import random
import time
import uuid
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

from pydantic import BaseModel, Field

from nn.files import digest
from nn.options.describe import label, written
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.patience import ERRORS
from orchestrator.cluster.results import Cancelled, Ended, Failed, Finished
from orchestrator.folder.rows import JobIdentity, Row, contradictions, identity
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.listener import Progress
from orchestrator.running.waiting import Waiting
from orchestrator.text import have
from worker.job import Job, Result, task_id
from worker.records.answers import unpack

#: The name of the difference if a weights file is missing or damaged.
WEIGHTS_FILE = "weights file"
#: Seconds to wait for running tasks to end at their next epoch. Short, because the user may have pressed Ctrl-C.
WAIT_SECONDS = 5.0
PAUSE = 0.1
#: Seconds for which tasks stay flagged as cancelled: longer than an epoch of the largest networks.
FLAG_SECONDS = 3600


class Difference(BaseModel, frozen=True):
    """A value that differs.

    Attributes:
        what: The name of the value.
        kept: The value in the row; for a weights file, whether it is missing or damaged.
        again: The value after training again; for a weights file, its expected hash.
    """

    what: str
    kept: str | int | float | None
    again: str | int | float | None


class Check(JobIdentity, frozen=True):
    """A row whose job was trained again, with the differences that were found.

    Attributes:
        worker: The worker that trained the job again; None if none did.
        differences: The differences.
        trained_epochs: The number of epochs trained again, which were compared; None if there were none. A job that
            diverges has fewer than its options say.
        noted: Differences that prove nothing: the job is not exact, and was trained in another environment.
        environments: Where it was trained, then where it was trained again, if it is not exact.
    """

    worker: str | None
    differences: list[Difference]
    trained_epochs: int | None = None
    noted: list[Difference] = Field(default_factory=list)
    environments: tuple[str | None, str | None] | None = None


def choose(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """Return `count` randomly chosen rows (all, if there are fewer), in their order."""
    chosen = random.Random(seed).sample(range(len(rows)), min(count, len(rows)))
    return [rows[i] for i in sorted(chosen)]


def compare(job: Job, row: Row, result: Result) -> list[Difference]:
    """Return the differences between a row and the result of training its job again."""
    values: list[tuple[str, Any, Any]] = [("status", row.status, result.status)]
    for what in ("stopped", "error"):
        kept, again = getattr(row, what), getattr(result, what)
        # Another version may word it in another way.
        if bool(kept) != bool(again):
            values.append((what, kept, again))
    metrics = [(job.metric.name, row.validation_score, result.validation_score)]
    metrics += [
        (name.replace("_", " "), row.others.get(name, []), result.others.get(name, []))
        for name in dict.fromkeys((*row.others, *result.others))
    ]
    for what, kept, again in metrics:
        epochs = enumerate(zip_longest(kept, again), 1)
        # There may be very many, of which hardly any differs.
        values += ((f"{what}, epoch {epoch}", *both) for epoch, both in epochs if both[0] != both[1])
    values.append(("weights_sha256", row.weights_sha256, result.weights_sha256))
    # A row may lack them: one of very many, and of a claim.
    if row.correct is not None:
        values.append(("hash of the correct answers", _answers(row.correct), _answers(result.correct)))
    return [Difference(what=what, kept=kept, again=again) for what, kept, again in values if kept != again]


def _answers(packed: str | None) -> str | None:
    """Return the hash of answers: how they are compressed may depend on the machine."""
    try:
        return packed and digest(unpack(packed).tobytes())
    except ValueError:
        return "damaged"


def examine(job: Job, row: Row, folder: SweepFolder, *, bare: bool = False) -> list[Difference]:
    """Return the differences between a row and its job, and between the weights file and its hash.

    If the row may be `bare`, its weights may be missing.
    """
    found = [
        Difference(
            what=label(type(job.options), name),
            kept=_plain(getattr(row.options, name)),
            again=_plain(getattr(job.options, name)),
        )
        for name in contradictions(row.options, job)
    ]
    if row.seed != job.seed:
        found.insert(0, Difference(what="seed", kept=row.seed, again=job.seed))
    sha256 = str(row.weights_sha256)
    fault = folder.weights_fault(job, sha256)
    if fault is not None and not (bare and fault == "missing"):
        found.append(Difference(what=WEIGHTS_FILE, kept=fault, again=sha256))
    return found


def _plain(value: Any) -> str | int | float | None:
    return written(value) if isinstance(value, tuple) else value


def train_again(
    cluster: Cluster,
    folder: SweepFolder,
    jobs: Sequence[Job],
    rows: Mapping[str, Row],
    tell: Callable[[str], None],
    varying: Collection[str] = (),
    *,
    bare: bool,
) -> Generator[Check, None, None]:
    """Train jobs again, in tasks with a new label, and yield a check of each, in the order in which they end.

    The generator cleans up when it ends. A caller that stops early must close it while the cluster is running.

    Args:
        cluster: The cluster.
        folder: The sweep's folder.
        jobs: The jobs to train.
        rows: Their rows, by job key.
        tell: Receives messages.
        varying: The options that vary in the sweep; Flower shows them.
        bare: Whether weights may be missing in the folder.
    """
    verification = f"verify-{uuid.uuid4().hex[:12]}"
    submit = partial(cluster.queue.submit, label=verification, varying=varying)
    tasks = {task_id(job, verification): job for job in jobs}
    ended: set[str] = set()
    try:
        submit(jobs)
        for states in Waiting(cluster, tasks, Progress(tell), submit):
            for name, state in states.items():
                ended.add(name)
                yield _check(tasks[name], rows[tasks[name].key], state, folder, bare=bare)
    finally:
        _clean_up(cluster, set(tasks), ended, tell)


def _check(job: Job, row: Row, state: Ended, folder: SweepFolder, *, bare: bool) -> Check:
    again: Result | None = None
    noted: list[Difference] = []
    environments = None
    match state:
        case Finished(again):
            differences = compare(job, row, again)
            if not job.is_exact:
                environments = row.environment, again.environment
                if row.environment != again.environment:
                    noted, differences = differences, []
        case Failed(reason):
            differences = [Difference(what="status", kept=row.status, again=f"failed: {reason}")]
        case Cancelled():
            differences = [Difference(what="status", kept=row.status, again="cancelled")]
    return Check(
        **identity(job),
        worker=None if again is None else again.worker,
        differences=[*differences, *examine(job, row, folder, bare=bare)],
        trained_epochs=None if again is None else len(again.epoch_seconds),
        noted=noted,
        environments=environments,
    )


def _clean_up(cluster: Cluster, tasks: set[str], ended: set[str], tell: Callable[[str], None]) -> None:
    """End the open tasks, and remove the records of all tasks. Redis is tried once, because it may be gone.

    Two kinds of record stay: evidence, and the records of tasks that did not end in time, until they expire. On an
    embedded cluster nothing is done, because its data ends with it.
    """
    if cluster.embedded:
        return
    once, address = cluster.impatient(), cluster.address
    try:
        once.store.cancel(tasks - ended, "the verification ended", FLAG_SECONDS)
        withdrawn = once.queue.withdraw(tasks - ended)
        # A result is removed only after its message is gone: a redelivered message without a result is trained again.
        gone = withdrawn | _wait(once, tasks - withdrawn)
        once.forget(gone)
    except ERRORS as error:
        tell(f"Cannot remove the records of the verification at {address}; they stay until they expire: {error}")
        return
    if left := len(tasks) - len(gone):
        tell(f"{have(left, 'task')} not ended in time; the records stay at {address} until they expire")


def _wait(cluster: Cluster, tasks: set[str]) -> set[str]:
    """Wait, and return the tasks that have ended and whose message no worker holds any more."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        started = time.monotonic()
        over = cluster.results.over(tasks - cluster.queue.messages(tasks))
        if len(over) == len(tasks) or started > until:
            return over
        time.sleep(max(PAUSE, time.monotonic() - started))
