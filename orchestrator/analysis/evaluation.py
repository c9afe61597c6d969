"""Looks into what a sweep kept: a job by its key or its coordinates, its network, and what that network gets wrong."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import reference
from nn.datasets.idx import N_CLASSES
from nn.datasets.mnist import load_mnist
from nn.engine import Engine
from nn.errors import DatasetError, InvalidInputError, WeightsError
from nn.samples import Samples, pack_bytes
from nn.weights import Weights, load
from orchestrator.analysis.leaderboard import leaderboard
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import RunFolder
from orchestrator.sweeps.manifest import Manifest, is_name
from worker.job import Job

_KEY_PREFIX = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
_COORDINATES = re.compile(r"(?P<seed>\d{1,10}):(?P<learning_rate>[0-9.eE+-]{1,30})", re.ASCII)
JOB_WORDS = "the first digits of a job's key, or SEED:LEARNING_RATE such as 3:0.01"


@dataclass(frozen=True)
class Trained:
    """A job of a sweep with what came of it."""

    manifest: Manifest
    job: Job
    row: Row
    weights: Weights


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


def open_run(argument: str, output: Path) -> RunFolder:
    """Return the folder of a sweep.

    Args:
        argument: The folder's path, or the name of a sweep under `output`.
        output: Where sweeps are kept.

    Raises:
        SweepNotFoundError: neither is there.
    """
    path = Path(argument)
    try:
        if argument and (path / "sweep.json").is_file():
            path = path.resolve()
            return RunFolder(path.parent, path.name)
        if is_name(argument) and (output / argument / "sweep.json").is_file():
            return RunFolder(output, argument)
    except (OSError, ValueError):
        pass  # not a path at all
    raise SweepNotFoundError(f"There is no sweep {argument!r}: neither a sweep's folder nor a name in {output}")


def trained(folder: RunFolder, chosen: str | None = None) -> Trained:
    """Return a job of a sweep with its row and its weights.

    Args:
        folder: The sweep's folder.
        chosen: A prefix of its key, or `SEED:LEARNING_RATE`; None for the best job of the leaderboard's first place.

    Raises:
        SweepNotFoundError: the folder holds no sweep, or no result yet.
        InvalidInputError: `chosen` names no job of the sweep, or more than one.
        WeightsError: the job has no weights, or they are missing, damaged, or not those of such a network.
    """
    manifest = folder.manifest()
    jobs = {job.key: job for job in manifest.specification.jobs(manifest.dataset)}
    rows = folder.rows_of(jobs)
    key = _best(folder, jobs, rows) if chosen is None else _find(folder, jobs, chosen)
    row = rows.get(key)
    if row is None or row.weights_sha256 is None:
        why = "it has no result yet" if row is None else f"it is {row.status} ({row.error})"
        raise WeightsError(f"Job {key[:12]} ({jobs[key]}) has no weights: {why}")
    path = folder.weights_path(row.weights_sha256)
    if not folder.has_weights(row.weights_sha256):
        raise WeightsError(f"{path} is missing or damaged: resume the sweep {folder.name} to train the job again")
    weights = load(path)
    expected = (*jobs[key].hidden_layer_sizes, N_CLASSES)
    if weights.layer_sizes[1:] != expected:
        raise WeightsError(f"{path} has layers of {_sizes(weights.layer_sizes[1:])}; the job's have {_sizes(expected)}")
    return Trained(manifest, jobs[key], row, weights)


def _sizes(layers: tuple[int, ...]) -> str:
    return ", ".join(map(str, layers))


def _best(folder: RunFolder, jobs: dict[str, Job], rows: dict[str, Row]) -> str:
    first = leaderboard(jobs.values(), rows)[0]
    if first.best_seed is None:
        raise SweepNotFoundError(f"The sweep {folder.name} has no result yet")
    coordinates = (first.best_seed, first.learning_rate)
    return next(key for key, job in jobs.items() if (job.seed, job.learning_rate) == coordinates)


def _find(folder: RunFolder, jobs: dict[str, Job], chosen: str) -> str:
    if match := _COORDINATES.fullmatch(chosen):
        coordinates = (int(match["seed"]), _number(match["learning_rate"]))
        found = [key for key, job in jobs.items() if (job.seed, job.learning_rate) == coordinates]
    elif _KEY_PREFIX.fullmatch(chosen):
        found = [key for key in jobs if key.startswith(chosen)]
    else:
        raise InvalidInputError("the job", chosen, JOB_WORDS)
    if len(found) != 1:
        count = f"{len(found)} jobs begin so" if found else f"the sweep {folder.name} has no such job"
        raise InvalidInputError("the job", chosen, f"{JOB_WORDS} ({count})")
    return found[0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


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


def evaluate(job: Trained, cache_dir: Path) -> Evaluation:
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


def _engine(job: Trained) -> Engine:
    if job.job.engine == "numpy":
        return reference.NumPyEngine(job.weights, loss=job.job.loss)
    # Imported where it is used: it loads a compiler.
    from nn.kernel.engine import CompiledEngine

    return CompiledEngine(job.weights, loss=job.job.loss)
