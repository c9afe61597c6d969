"""Estimates the noise from the choice of validation images, from one bit per job and image."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.statistics.intervals import LEAST_EQUAL, Interval, t_quantile, tails

Floats = NDArray[np.float64]


def new_images_interval(correct: Iterable[NDArray[Any]], *, chosen_of: int = 1) -> Interval | None:
    """Return an interval at 95 % for the accuracy on new images, by other seeds.

    Seeds and images are crossed random effects: Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1 (2007).

    Args:
        correct: For each seed, bool, shape (n_images,): whether the job answered the image correctly. Those of one seed
            are asked for at a time.
        chosen_of: As for `intervals.t_interval`.

    Returns:
        The interval; None for fewer than two seeds or images, or fewer than five seeds that are all equal.
    """
    return _interval([_Side.of(correct)], chosen_of=chosen_of)


def new_images_difference(
    a: Mapping[int, NDArray[Any]], b: Mapping[int, NDArray[Any]], alpha: float = 0.05
) -> Interval | None:
    """Return an interval for the difference of two accuracies, a - b, on the same new images.

    Always paired over images. Paired over seeds if at least two are common; else with Welch's degrees of freedom.

    Args:
        a: For each seed, bool, shape (n_images,): whether the job answered the image correctly.
        b: Likewise, on the same images.
        alpha: The probability that it does not contain the difference.

    Returns:
        The interval; None if a side has fewer than two seeds, or five if no score varies, or for fewer than two images.
    """
    common = sorted(a.keys() & b.keys())
    if len(common) >= 2:
        return _interval([_Side.of(np.subtract(a[seed], b[seed], dtype=np.int8) for seed in common)], alpha)
    return _interval([_Side.of(side[seed] for seed in sorted(side)) for side in (a, b)], alpha)


class _Side(NamedTuple):
    """Values -1, 0 and 1, or bool, by their means over the images of each seed, and over the seeds for each image."""

    seeds: Floats
    mean: Floats
    #: That of the absolute values, which are also the squares.
    size: Floats

    @classmethod
    def of(cls, several: Iterable[NDArray[Any]]) -> _Side:
        seeds, total, size = [], np.zeros(()), np.zeros(())
        for values in several:
            seeds.append(values.mean())
            total, size = total + values, size + np.abs(values)
        return cls(np.array(seeds), total / max(len(seeds), 1), size / max(len(seeds), 1))


def _interval(sides: list[_Side], alpha: float = 0.05, chosen_of: int = 1) -> Interval | None:
    """Return the interval for a mean over seeds and images; None as `new_images_interval` says.

    Args:
        sides: One, or two with independent seeds, whose difference it is for.
        alpha: The probability that it does not contain the mean.
        chosen_of: As for `intervals.t_interval`.
    """
    # For each image, over the seeds.
    difference = functools.reduce(operator.sub, (side.mean for side in sides))
    least = 2 if any(len(set(side.seeds.tolist())) > 1 for side in sides) else LEAST_EQUAL
    if min(len(side.seeds) for side in sides) < least or len(difference) < 2:
        return None
    seeds = np.array([side.seeds.var(ddof=1) / len(side.seeds) for side in sides])
    # The mean over images of the variance over seeds.
    within = sum((side.size - side.mean**2).mean() / (len(side.seeds) - 1) for side in sides)
    # Part of the variance over images is noise: each image's mean is over few seeds.
    images = max(difference.var(ddof=1) - within, 0.0) / len(difference)
    freedom = np.array([len(side.seeds) - 1 for side in sides])
    df = seeds.sum() ** 2 / (seeds**2 / freedom).sum() if seeds.sum() > 0 else freedom.min()
    covered = 1 - tails(alpha, chosen_of)
    below, above = np.sqrt(t_quantile(covered, df) ** 2 * seeds.sum() + t_quantile(covered, np.inf) ** 2 * images)
    mean = difference.mean()
    return Interval(float(mean - below), float(mean + above), "seeds and images")
