"""`show` and `predict`: what a job learned, and what its network makes of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.evaluation import Evaluation, evaluate, probabilities
from orchestrator.analysis.lookup import TrainedJob, trained_job
from orchestrator.analysis.picture import read_picture
from orchestrator.folder.sweep_folder import SweepFolder


@dataclass(frozen=True)
class JobView:
    """A job, and its network on the validation set.

    Attributes:
        trained: The job with its row and its weights.
        evaluation: The predictions on the validation set.
    """

    trained: TrainedJob
    evaluation: Evaluation


@dataclass(frozen=True)
class Prediction:
    """A job's network on one picture.

    Attributes:
        trained: The job with its row and its weights.
        picture: What the network saw: shape (28, 28), 0 for the background, 255 for the digit.
        probabilities: Of each digit; None where the network's output is not finite.
    """

    trained: TrainedJob
    picture: NDArray[np.uint8]
    probabilities: tuple[float | None, ...]

    @property
    def ranked(self) -> list[int]:
        """The digits, the most probable one first."""
        return sorted(range(len(self.probabilities)), key=lambda digit: -(self.probabilities[digit] or 0.0))


def show(folder: SweepFolder, words: Sequence[str], *, cache_dir: Path) -> JobView:
    """Evaluate a job's network on the validation set.

    Args:
        folder: The sweep's folder.
        words: Name the job (`orchestrator.analysis.selection`), such as `hidden=256,64` and `seed=3`.
        cache_dir: Where prepared data sets are kept.

    Raises:
        SeedsweepError: the folder, the job, its weights or its data set cannot be used (see `trained_job`, `evaluate`).
    """
    trained = trained_job(folder, words)
    return JobView(trained, evaluate(trained, cache_dir))


def predict(folder: SweepFolder, image: Path, words: Sequence[str] = ()) -> Prediction:
    """Let a job's network predict the digit in a picture.

    Args:
        folder: The sweep's folder.
        image: A picture of one digit, 28x28 pixels or larger, dark on light or light on dark.
        words: Name the job, as for `show`; none for the leaderboard's best.

    Raises:
        PictureError: the file is not such a picture.
        SeedsweepError: the folder, the job or its weights cannot be used (see `trained_job`).
    """
    picture = read_picture(image)
    trained = trained_job(folder, words)
    found = probabilities(trained.weights, picture)
    return Prediction(trained, picture, tuple(float(p) if math.isfinite(p) else None for p in found))
