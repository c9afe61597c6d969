"""From a job and a data set to trained weights: the pure part of a worker's work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nn.checkpoint import Checkpoint, EpochRecord
from nn.datasets.mnist import Dataset
from nn.network import DeepNeuralNetwork
from nn.samples import Samples
from nn.weights import LayerSizes, to_safetensors
from worker.job import Job


@dataclass(frozen=True)
class Trained:
    """What training a job gave.

    Attributes:
        weights: The weights as safetensors.
        history: A record for each epoch.
        problem: Why the job counts as diverged, in a sentence; None for one that succeeded.
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
    on_epoch: Callable[[DeepNeuralNetwork], object] | None = None,
    resume_from: Checkpoint | None = None,
) -> Trained:
    """Train a job: a pure function of the job and the data set, interrupted or not.

    Args:
        job: What to train.
        dataset: The data set that the job names.
        on_epoch: Called after each epoch with the network as it stands; an exception that it raises ends the training.
        resume_from: Where an earlier attempt of the same job stood.

    Raises:
        InvalidInputError: the checkpoint is not one of this job.
    """
    network = DeepNeuralNetwork(
        **{name: value for name, value in job.options.items() if name != "limit"}, random_state=job.seed
    )
    network.fit(
        dataset.train.first(job.limit),
        validation_set=dataset.validation,
        callback=on_epoch,
        resume_from=resume_from,
    )
    problem = _problem(job, network, dataset.validation)
    return Trained(to_safetensors(network.weights_), tuple(network.history_), problem)


def _problem(job: Job, network: DeepNeuralNetwork, validation: Samples) -> str | None:
    if not all(np.isfinite(matrix).all() for matrix in network.weights_):
        return "diverged: a weight is infinite or not a number"
    if job.rule == "notebook":
        # That rule cannot learn: to end at chance is what it does, not a fault of this job.
        return None
    accuracy = network.history_[-1].validation_accuracy
    chance = np.bincount(validation.labels).max() / len(validation)
    if accuracy is not None and accuracy <= chance:
        return (
            f"stuck at chance: the validation accuracy of {100 * accuracy:.2f} % is no better than always naming the "
            f"most common class ({100 * chance:.2f} %)"
        )
    return None


def warm_up(dataset: Dataset) -> None:
    """Compile, or read from the cache, what a job of the default shape runs."""
    train(Job(seed=0, learning_rate=0.01, epochs=1, limit=1, dataset=dataset.digest), dataset)
