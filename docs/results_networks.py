"""What the notebook's rule did to each network of a sweep, from its weights and those that it started with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from nn.datasets.mnist import Dataset
from nn.notebook import notebook_accuracy
from nn.weights import Weights, initial_weights, load
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder


@dataclass(frozen=True)
class Forward:
    """What a network does with the validation set.

    Attributes:
        of_each: shape (n_classes,). How many images are predicted as each class.
        printed: What the notebook would print as accuracy.
        saturated: Share of the hidden nodes' activations that are below 0.01 or above 0.99.
    """

    of_each: NDArray[np.int64]
    printed: float
    saturated: float


@dataclass(frozen=True)
class Network:
    """One network before and after training.

    Attributes:
        unevenness: The most by which the change of a weight differs from the mean change of its layer.
        output_layer_effect: Images that are predicted otherwise with the output layer's trained weights than with
            its initial ones.
    """

    seed: int
    before: Forward
    after: Forward
    unevenness: float
    output_layer_effect: int


def examine(folder: SweepFolder, rows: list[Row], dataset: Dataset) -> list[Network]:
    """Look at each network of a sweep that trained float64 networks of the notebook's shape."""
    images = dataset.x_validation.astype(np.float64)
    return [_network(folder, row, images, dataset.y_validation) for row in rows]


def _network(folder: SweepFolder, row: Row, images: NDArray[Any], labels: NDArray[np.int64]) -> Network:
    trained = load(folder.weights_path(str(row.weights_sha256)))
    initial = initial_weights(trained.layer_sizes, np.random.RandomState(row.seed), str(trained.W1.dtype))
    changes = [after - before for before, after in zip(initial, trained, strict=True)]
    hidden = _hidden(trained, images)
    moved = _predictions(hidden[1], trained.W3) != _predictions(hidden[1], initial.W3)
    return Network(
        seed=row.seed,
        before=_forward(_hidden(initial, images), initial.W3, labels),
        after=_forward(hidden, trained.W3, labels),
        unevenness=max(float(np.abs(change - change.mean()).max()) for change in changes),
        output_layer_effect=int(moved.sum()),
    )


def _hidden(weights: Weights, images: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both hidden layers' activations for every image."""
    first = expit(images @ weights.W1.T)
    return first, expit(first @ weights.W2.T)


def _predictions(hidden: NDArray[Any], output_weights: NDArray[Any]) -> NDArray[np.int64]:
    named: NDArray[np.int64] = np.argmax(softmax(hidden @ output_weights.T, axis=1), axis=1)
    return named


def _forward(
    hidden: tuple[NDArray[Any], NDArray[Any]], output_weights: NDArray[Any], labels: NDArray[np.int64]
) -> Forward:
    n_classes = len(output_weights)
    predictions = _predictions(hidden[1], output_weights)
    saturated = [(layer < 0.01) | (layer > 0.99) for layer in hidden]
    return Forward(
        of_each=np.bincount(predictions, minlength=n_classes),
        printed=notebook_accuracy(predictions, labels, n_classes),
        saturated=sum(int(part.sum()) for part in saturated) / sum(part.size for part in saturated),
    )
