"""Checkpoints of running jobs, kept in Redis so that another worker can resume them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from celery.utils.log import get_task_logger
from pydantic import TypeAdapter

from nn.checkpoint import Checkpoint, EpochRecord
from nn.errors import WeightsError
from nn.weights import LayerSizes, digest, from_safetensors, max_blob_bytes, misfit, to_safetensors
from worker.job import Epochs, Finite, Fraction, Seconds, canonical
from worker.records.store import Store, key
from worker.redis import limits
from worker.redis.bounded import read

if TYPE_CHECKING:
    from worker.job import Job

logger = get_task_logger(__name__)

#: The record of an epoch: its number, seconds, accuracy and notebook accuracy, within the bounds that a result sets. A
#: job must not fail because of its checkpoint.
_RECORD = TypeAdapter(tuple[Epochs, Seconds, Fraction, Finite | None])


def pack(job: Job, checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as bytes: a line of JSON (the job's key, the history, the weights' hash), then the weights.

    The key ties the checkpoint to its job, and the hash ties the weights to the history.
    """
    weights = to_safetensors(checkpoint.weights)
    head = {"job": job.key, "history": [list(record) for record in checkpoint.history], "weights": digest(weights)}
    return canonical(head).encode() + b"\n" + weights


def unpack(job: Job, blob: bytes, layer_sizes: LayerSizes) -> Checkpoint:
    """Read a checkpoint of a job from untrusted bytes, so that training can resume from it.

    Args:
        job: The job.
        blob: The bytes of a checkpoint (`pack`), or anything else.
        layer_sizes: The widths of the job's network (`nn.weights.Weights.layer_sizes`).

    Raises:
        WeightsError: the checkpoint is damaged, or belongs to another job, shape or dtype, or has biases where the job
            has none, or none where it has them, or has a weight that is not finite.
    """
    line, _, weights = blob.partition(b"\n")
    try:
        head = json.loads(line)
        if head["job"] != job.key:
            raise WeightsError("the checkpoint belongs to another job")
        if digest(weights) != head["weights"]:
            raise WeightsError("the checkpoint's weights are damaged: they have another hash")
        history = tuple(_record(job, number, fields) for number, fields in enumerate(head["history"], start=1))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise WeightsError("the checkpoint's history is invalid") from None
    checkpoint = Checkpoint(from_safetensors(weights), history)
    _check_fit(job, checkpoint, layer_sizes)
    return checkpoint


def _check_fit(job: Job, checkpoint: Checkpoint, layer_sizes: LayerSizes) -> None:
    if checkpoint.epochs > job.epochs:
        raise WeightsError(f"the checkpoint has {checkpoint.epochs} epochs; the job has {job.epochs}")
    difference = misfit(checkpoint.weights, layer_sizes, job.dtype, biases=job.biases)
    if difference is not None:
        raise WeightsError(f"the checkpoint has {difference}")
    if not checkpoint.weights.is_finite:
        # Training ends with the epoch in which a weight becomes so. Version 0.1.0 went on, and saved checkpoints.
        raise WeightsError("the checkpoint has a weight that is infinite or not a number")


def _record(job: Job, number: int, fields: Iterable[object]) -> EpochRecord:
    epoch, seconds, accuracy, notebook = _RECORD.validate_python(tuple(fields))
    if epoch != number or (notebook is not None) != (job.rule == "notebook"):
        raise ValueError(f"epoch {number} has the record of another epoch or rule")
    return EpochRecord(epoch, seconds, accuracy, notebook)


class Checkpoints:
    """The checkpoints of tasks, at most one per task."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def save(self, task_id: str, job: Job, checkpoint: Checkpoint) -> None:
        """Replace the task's checkpoint."""
        self._store.client.set(key("checkpoint", task_id), pack(job, checkpoint), ex=self._store.open_expires)

    def load(self, task_id: str, job: Job, layer_sizes: LayerSizes) -> Checkpoint | None:
        """Return the task's checkpoint, or None if it is absent or invalid."""
        limit = limits.checkpoint(job.epochs, max_blob_bytes(layer_sizes, job.dtype))
        blob = read(self._store.client, key("checkpoint", task_id), limit)
        if blob is None:
            return None
        try:
            return unpack(job, blob, layer_sizes)
        except WeightsError as error:
            logger.warning("Starts from the first epoch: %s", error)
            return None

    def delete(self, task_id: str) -> None:
        """Remove the task's checkpoint."""
        self._store.client.unlink(key("checkpoint", task_id))
