"""Evaluates a trained job: the probabilities for one picture, and its mistakes on the validation set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nn import reference
from nn.datasets.mnist import Dataset
from nn.errors import WeightsError
from nn.options.network import NetworkOptions
from nn.samples import Samples, pack_bytes
from nn.training import make_engine
from nn.weights import Weights
from orchestrator.analysis.lookup import TrainedJob, load_data
from orchestrator.sweeps.manifest import Manifest
from worker.job import Job
from worker.trainers.network import as_split


@dataclass(frozen=True)
class Mistake:
    """A validation image that the network misclassifies.

    Attributes:
        index: The image's index in the validation set.
        image: The image's index in the whole data set: MNIST has 70,000 images, in OpenML's order.
        true: The image's label.
        predicted: The class with the highest probability.
        probability: The probability of the predicted class; None if it is not finite.
    """

    index: int
    image: int
    true: int
    predicted: int
    probability: float | None


@dataclass(frozen=True)
class Evaluation:
    """A network's predictions on the validation set, compared with the labels.

    Attributes:
        confusion: int64, shape (n_classes, n_classes): the number of images of class i (row) predicted as class j
            (column).
        mistakes: The misclassified images in descending order of probability; ties in the order of the set.
    """

    confusion: NDArray[np.int64]
    mistakes: list[Mistake]

    @property
    def accuracy(self) -> float:
        """The fraction of all images that is classified correctly."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def class_accuracy(self) -> list[float | None]:
        """For each class, the fraction of its images classified correctly (recall); None for a class without images."""
        totals = self.confusion.sum(axis=1)
        return [
            float(right / total) if total else None
            for right, total in zip(np.diag(self.confusion), totals, strict=True)
        ]


def probabilities(weights: Weights, picture: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the probability of each class for one picture.

    Args:
        weights: The network.
        picture: uint8, shape (28, 28), as `picture.read_picture` returns it.

    Returns:
        Floats of the weights' dtype, shape (n_classes,).

    Raises:
        WeightsError: the network takes images of another size.
    """
    if weights.layer_sizes[0] != picture.size:
        raise WeightsError(f"The network takes {weights.layer_sizes[0]} values; a picture has {picture.size}")
    packed = pack_bytes(picture.reshape(1, -1), np.zeros(1))
    with np.errstate(over="ignore", invalid="ignore"):
        return reference.forward(weights, packed.dense(0, weights.W1.dtype))[-1]


def data_of(manifest: Manifest, job: Job, cache_dir: Path | None) -> Dataset:
    """Return the data set that a job of the trainer `network` was trained on, split as it was. See `load_data`.

    Without a folder for prepared data sets, none is kept.
    """
    dataset = cast("Dataset", load_data(manifest, job, cast("Path", cache_dir)))
    return as_split(cast("NetworkOptions", job.options), job.seed, dataset)


def evaluate(job: TrainedJob, dataset: Dataset) -> Evaluation:
    """Predict the validation set with the engine that trained the job, so that the accuracy is the same to the bit.

    Args:
        job: The job with its weights.
        dataset: Its data set, from `data_of`.

    Raises:
        WeightsError: the network takes images of another size.
    """
    inputs, features = job.weights.layer_sizes[0], dataset.train.n_features
    if inputs != features:
        raise WeightsError(f"The network takes {inputs} values; an image of the data set has {features}")
    options = cast("NetworkOptions", job.job.options)
    engine = make_engine(options.engine, job.weights, loss=options.loss, rule=options.rule)
    confidences = engine.predict_proba(dataset.validation)
    return assess(confidences, dataset.validation, dataset.order[len(dataset.train) :])


def assess(confidences: NDArray[Any], validation: Samples, positions: NDArray[np.int64]) -> Evaluation:
    """Compare predicted probabilities with the labels.

    Args:
        confidences: shape (n_samples, n_classes): the probability of each class.
        validation: The samples with their labels.
        positions: int64, shape (n_samples,): the index of each sample in the whole data set.
    """
    # Like `Engine.predict`: the lowest class of a tie, and 0 for NaN.
    predicted = np.argmax(confidences, axis=1)
    labels = validation.labels
    n_classes = confidences.shape[1]
    confusion = np.bincount(labels * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
    wrong = np.flatnonzero(predicted != labels)
    given = confidences[wrong, predicted[wrong]].astype(np.float64)
    order = np.argsort(-np.nan_to_num(given), kind="stable")
    mistakes = [
        Mistake(
            index=int(wrong[i]),
            image=int(positions[wrong[i]]),
            true=int(labels[wrong[i]]),
            predicted=int(predicted[wrong[i]]),
            probability=float(given[i]) if np.isfinite(given[i]) else None,
        )
        for i in order
    ]
    return Evaluation(confusion.astype(np.int64), mistakes)
