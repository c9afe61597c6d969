"""Measure what the notebook's rule did to each network, from its initial and its trained weights."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from nn.datasets.mnist import Dataset
from nn.notebook import notebook_accuracy
from nn.weights import Weights, from_safetensors, initial_weights
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder


@dataclass(frozen=True)
class Forward:
    """A network's predictions and activations on the validation set.

    Attributes:
        of_each: shape (n_classes,). The number of images predicted as each class.
        printed: The accuracy that the notebook would print.
        saturated: The share of the hidden nodes' activations below 0.01 or above 0.99.
    """

    of_each: NDArray[np.int64]
    printed: float
    saturated: float


@dataclass(frozen=True)
class Network:
    """One network before and after training.

    Attributes:
        unevenness: The largest difference between a weight's change and the mean change of its layer.
        output_layer_effect: The number of images whose prediction changes if the output layer's initial weights
            replace the trained ones.
    """

    seed: int
    before: Forward
    after: Forward
    unevenness: float
    output_layer_effect: int


def examine(folder: SweepFolder, rows: list[Row], dataset: Dataset) -> list[Network]:
    """Return a `Network` for each row of a sweep of float64 networks of the notebook's shape."""
    images = dataset.validation.to_dense().astype(np.float64)
    return [_network(folder, row, images, dataset.validation.labels) for row in rows]


def _network(folder: SweepFolder, row: Row, images: NDArray[Any], labels: NDArray[np.int64]) -> Network:
    trained = from_safetensors(folder.weights_path(str(row.weights_sha256)).read_bytes())
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
    """Return the activations of both hidden layers, each of shape (n_images, n_nodes)."""
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
