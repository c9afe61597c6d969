"""Which share of the variance over seeds is due to the choice of validation images, from one bit per job and image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.statistics.intervals import Interval, chi_squared_quantile


@dataclass(frozen=True)
class ValidationNoise:
    """How much of the seeds' noise is the noise of this validation set.

    Attributes:
        share: The share of the variance over seeds, from 0 to 1.
        interval: Its interval at 95 %.
        sd_seeds: The standard deviation of the accuracy over seeds.
        sd_images: The part of it that an infinite validation set would not have.
    """

    share: float
    interval: Interval
    sd_seeds: float
    sd_images: float


def validation_noise(*correct: NDArray[Any]) -> ValidationNoise | None:
    """Return which share of the variance over seeds is due to the validation set.

    If a configuration's jobs err independently over images, the accuracy's variance over seeds is the mean over images
    of p (1 - p), divided by the number of images: Jordan, arXiv:2304.01910.

    Args:
        correct: For each configuration, bool, shape (n_seeds, n_images); their variances are pooled.

    Returns:
        The share; None if no configuration has two seeds, or if the accuracy does not vary.
    """
    several = [values for values in (np.asarray(each, dtype=np.float64) for each in correct) if len(values) > 1]
    if not several:
        return None
    df = np.array([len(values) - 1 for values in several])
    total = float(np.average([values.mean(axis=1).var(ddof=1) for values in several], weights=df))
    images = float(np.average([values.var(axis=0, ddof=1).mean() / values.shape[1] for values in several], weights=df))
    if total == 0:
        return None
    ratio, freedom = images / total, float(df.sum())
    ends = [min(1.0, ratio * chi_squared_quantile(tail, freedom) / freedom) for tail in (0.025, 0.975)]
    return ValidationNoise(min(1.0, ratio), Interval(ends[0], ends[1], "chi-squared"), total**0.5, images**0.5)
