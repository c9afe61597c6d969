"""Evaluates a trained job: the probabilities for one picture, and its mistakes on the validation set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import reference
from nn.datasets.mnist import load_mnist
from nn.engine import Engine
from nn.errors import DatasetError, WeightsError
from nn.samples import Samples, pack_bytes
from nn.weights import Weights
from orchestrator.analysis.lookup import TrainedJob


@dataclass(frozen=True)
class Mistake:
    """A validation image that the network takes for something else.

    Attributes:
        index: Its place in the validation set.
        image: Its place in the data set: MNIST's 70,000 in OpenML's order.
        true: The class that it is.
        predicted: The class that the network names.
        probability: What the network gives that class; None if it is not a number.
    """

    index: int
    image: int
    true: int
    predicted: int
    probability: float | None


@dataclass(frozen=True)
class Evaluation:
    """What a network does on the validation set.

    Attributes:
        confusion: int64, shape (n_classes, n_classes): how many images of class i (row) are taken for class j (column).
        mistakes: The wrong answers, the most confident first; of equals, the first in the validation set.
    """

    confusion: NDArray[np.int64]
    mistakes: list[Mistake]

    @property
    def accuracy(self) -> float:
        """The share of all images that is classified right."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def class_accuracy(self) -> list[float | None]:
        """For each class, the share of its images that is classified right; None for a class without images."""
        totals = self.confusion.sum(axis=1)
        return [
            float(right / total) if total else None
            for right, total in zip(np.diag(self.confusion), totals, strict=True)
        ]


def probabilities(weights: Weights, picture: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the probability of each class for one picture of shape (28, 28), as `picture.read_picture` returns it.

    Raises:
        WeightsError: the network takes images of another size.
    """
    if weights.layer_sizes[0] != picture.size:
        raise WeightsError(f"The network takes {weights.layer_sizes[0]} values; a picture has {picture.size}")
    packed = pack_bytes(picture.reshape(1, -1), np.zeros(1))
    with np.errstate(over="ignore", invalid="ignore"):
        return reference.forward(weights, packed.dense(0, weights.W1.dtype)).A3


def evaluate(job: TrainedJob, cache_dir: Path) -> Evaluation:
    """Predict the whole validation set by the engine that trained the job.

    Raises:
        DatasetError: the sweep's data set is missing, or is not the one that it was trained on.
        WeightsError: the network takes other images.
    """
    source = job.manifest.specification.data
    dataset = load_mnist(source, cache_dir=cache_dir)
    if dataset.digest != job.manifest.dataset:
        raise DatasetError(
            f"The data set {source} is now {dataset.digest[:12]}; the sweep was trained on {job.manifest.dataset[:12]}"
        )
    inputs, features = job.weights.layer_sizes[0], dataset.train.n_features
    if inputs != features:
        raise WeightsError(f"The network takes {inputs} values; an image of the data set has {features}")
    confidences = _engine(job).predict_proba(dataset.validation)
    positions = dataset.order[len(dataset.train) :]
    return assess(confidences, dataset.validation, positions)


def assess(confidences: NDArray[Any], validation: Samples, positions: NDArray[np.int64]) -> Evaluation:
    """Compare probabilities with labels.

    Args:
        confidences: shape (n_samples, n_classes): the probability of each class.
        validation: The samples with their labels.
        positions: shape (n_samples,): where each stands in the data set.
    """
    # As `Engine.predict`: the lowest of equals, and 0 for NaN.
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


def _engine(job: TrainedJob) -> Engine:
    if job.job.engine == "numpy":
        return reference.NumPyEngine(job.weights, loss=job.job.loss)
    # Imported where it is used: it loads a compiler.
    from nn.kernel.engine import CompiledEngine

    return CompiledEngine(job.weights, loss=job.job.loss)
