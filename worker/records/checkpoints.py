"""Checkpoints of running jobs, kept in Redis so that another worker can resume them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from celery.utils.log import get_task_logger
from pydantic import Field, TypeAdapter

from nn.errors import WeightsError
from nn.files import digest, json_values
from worker.job import MAX_OTHERS, Epochs, Job, Score, Seconds, canonical
from worker.records.store import Store, key
from worker.redis import limits
from worker.redis.bounded import read

logger = get_task_logger(__name__)


class Epoch(NamedTuple):
    """An epoch that was trained.

    Attributes:
        seconds: The duration of training and validation together.
        score: The trainer's metric on the validation set.
        others: The trainer's further metrics, in the order of `Trainer.others`.
    """

    seconds: float
    score: float
    others: tuple[float, ...] = ()


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint as it is stored.

    Attributes:
        history: A record for each epoch so far.
        state: The trainer's state after the last of them.
    """

    history: tuple[Epoch, ...]
    state: bytes


#: An epoch's number and record, within the bounds of a result, so that a checkpoint cannot make its job fail.
_RECORD = TypeAdapter(tuple[Epochs, Seconds, Score, Annotated[tuple[Score, ...], Field(max_length=MAX_OTHERS)]])


def pack(job: Job, checkpoint: SavedCheckpoint) -> bytes:
    """Return a checkpoint as bytes: a line of JSON (the job's key, the history, the state's hash), then the state.

    The key ties the checkpoint to its job, and the hash ties the state to the history.
    """
    history = [[number, *record] for number, record in enumerate(checkpoint.history, start=1)]
    head = {"job": job.key, "history": history, "state": digest(checkpoint.state)}
    return canonical(head).encode() + b"\n" + checkpoint.state


def unpack(job: Job, blob: bytes) -> SavedCheckpoint:
    """Read a checkpoint of a job from untrusted bytes. The trainer checks the state.

    Raises:
        WeightsError: the checkpoint is damaged, or belongs to another job.
    """
    line, _, state = blob.partition(b"\n")
    try:
        if json_values(line) > 100 + (8 + len(job.others)) * job.epochs:
            raise ValueError("it has too many values")
        head = json.loads(line)
        if head["job"] != job.key:
            raise WeightsError("the checkpoint belongs to another job")
        if digest(state) != head["state"]:
            raise WeightsError("the checkpoint's state is damaged: it has another hash")
        names = job.others
        history = tuple(_record(len(names), number, fields) for number, fields in enumerate(head["history"], start=1))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise WeightsError("the checkpoint's history is invalid") from None
    if not 0 < len(history) < job.epochs:
        raise WeightsError(f"the checkpoint has {len(history)} epochs; the job has {job.epochs}")
    return SavedCheckpoint(history, state)


def _record(others: int, number: int, fields: Iterable[object]) -> Epoch:
    epoch, seconds, score, values = _RECORD.validate_python(tuple(fields))
    if epoch != number or len(values) != others:
        raise ValueError(f"epoch {number} has the record of another epoch or of other metrics")
    return Epoch(seconds, score, values)


def save(store: Store, task_id: str, job: Job, checkpoint: SavedCheckpoint, *, first: bool = False) -> None:
    """Store the only checkpoint of a task, or with `first`, which is for orchestrators, unless the task has one."""
    store.client.set(key("checkpoint", task_id), pack(job, checkpoint), ex=store.open_expires, nx=first)


def load(store: Store, task_id: str, job: Job) -> SavedCheckpoint | None:
    """Return a task's checkpoint, or None if it is absent or invalid."""
    blob = read(store.client, key("checkpoint", task_id), limits.checkpoint(job.epochs, job.max_bytes))
    try:
        return None if blob is None else unpack(job, blob)
    except WeightsError as error:
        logger.warning("Starts from the first epoch: %s", error)
        return None
