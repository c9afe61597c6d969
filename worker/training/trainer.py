"""Trains a job on a data set: the pure part of a worker's work, without Redis or Celery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nn.checkpoint import Checkpoint, EpochRecord
from nn.datasets.mnist import Dataset
from nn.kernel.engine import warm_up
from nn.samples import Samples
from nn.training import Training
from nn.weights import LayerSizes, to_safetensors
from worker.job import Job


@dataclass(frozen=True)
class TrainedNetwork:
    """The weights and the history of a trained job.

    Attributes:
        weights: The weights as a safetensors blob (`nn.weights.to_safetensors`).
        history: One record per epoch: fewer than the job's epochs if a weight became infinite or NaN.
        problem: Why the job counts as diverged, as one sentence; None if it succeeded.
    """

    weights: bytes
    history: tuple[EpochRecord, ...]
    problem: str | None


def layer_sizes(job: Job, dataset: Dataset) -> LayerSizes:
    """Return the widths of the network that a job trains on a data set."""
    return dataset.train.n_features, *job.hidden_layer_sizes, dataset.n_classes


def train(
    job: Job,
    dataset: Dataset,
    *,
    on_epoch: Callable[[Training], object] | None = None,
    resume_from: Checkpoint | None = None,
) -> TrainedNetwork:
    """Train a job. The weights depend on the job and the data set only, whether or not training was interrupted.

    Args:
        job: The job.
        dataset: The data set whose digest the job names.
        on_epoch: Called after each epoch with the training; an exception that it raises ends the training.
        resume_from: A checkpoint of the same job.

    Raises:
        InvalidInputError: the checkpoint is of a network of another shape, or has too many epochs.
    """
    options = {name: value for name, value in job.options.items() if name not in ("hidden_layer_sizes", "limit")}
    training = Training.begin(layer_sizes(job, dataset), job.seed, **options)
    if resume_from is not None:
        training.resume(resume_from)
    for _ in training.run(dataset.train.first(job.limit), dataset.validation):
        if on_epoch is not None:
            on_epoch(training)
    problem = _problem(job, training, dataset.validation)
    return TrainedNetwork(to_safetensors(training.weights), tuple(training.history), problem)


def _problem(job: Job, training: Training, validation: Samples) -> str | None:
    if training.diverged:
        return "diverged: a weight is infinite or not a number"
    if job.rule == "notebook":
        # The notebook's rule cannot learn, so an accuracy at chance level is expected.
        return None
    accuracy = training.history[-1].validation_accuracy
    chance = np.bincount(validation.labels).max() / len(validation)
    if accuracy is not None and accuracy <= chance:
        return (
            f"stuck at chance: the validation accuracy of {100 * accuracy:.2f} % is no better than always naming the "
            f"most common class ({100 * chance:.2f} %)"
        )
    return None


def compile_default(dataset: Dataset) -> None:
    """Compile, or load from numba's cache, the machine code that a job with the default options runs."""
    job = Job(seed=0, learning_rate=0.01, dataset=dataset.digest)
    warm_up(layer_sizes(job, dataset), dtype=job.dtype, objective=job.loss)
