"""Intervals for a mean over seeds, and for a rate."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The variance of the mixture over effect sizes, in squared standard deviations: narrowest at 5 to 100 seeds.
MIXTURE_VARIANCE = 5.5
#: Scores that differ by at most this fraction of the larger one are equal: further digits show only rounding.
EQUAL = 1e-10
#: Fewest equal values that count as no variation: fewer may be chance, as a coarse metric takes few values.
LEAST_EQUAL = 5
#: What the name of a method ends with if the interval allows for the choice of the configuration.
CHOSEN = ", chosen"


@dataclass(frozen=True)
class Interval:
    """An interval that contains the true value with the requested confidence.

    Attributes:
        low: The lower end.
        high: The upper end.
        method: How it was computed: "t", "confidence sequence", "Clopper-Pearson", and others; with ", chosen" for a
            configuration that was chosen by the same values.
    """

    low: float
    high: float
    method: str

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def possible(self, *, is_share: bool) -> Interval:
        """Return the part of it that is possible: a share is from 0 to 1."""
        return Interval(max(self.low, 0.0), min(self.high, 1.0), self.method) if is_share else self

    @property
    def half_width(self) -> float:
        """Half of the distance between the ends."""
        return (self.high - self.low) / 2


def ends_by_name(interval: Interval | None, suffix: str = "") -> dict[str, float | None]:
    """Return the ends of an interval as the fields `low` and `high`, each with the suffix; None without one."""
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return {f"low{suffix}": low, f"high{suffix}": high}


def t_interval(values: Sequence[float], *, chosen_of: int = 1) -> Interval | None:
    """Return Student's t interval at 95 % for the mean of the values' distribution.

    The values are independent and about normal. Mean and deviation are exact, so that the order does not matter.

    The mean of a configuration that was chosen because it is the highest is flattered, so its lower end misses with
    2.5 % divided by `chosen_of`: by the union bound, it holds for all that could have been chosen. The
    upper end is as usual, because a configuration whose mean came out too low is chosen less often.

    Args:
        values: The values.
        chosen_of: The number of configurations of which this one was chosen by these values.

    Returns:
        The interval; None for fewer than two values, and for fewer than five that are equal.
    """
    if len(values) < 2:
        return None
    below, above = t_quantile(1 - tails(0.05, chosen_of), len(values) - 1) / math.sqrt(len(values))
    return _around(values, float(below), float(above), "t", chosen_of)


def confidence_sequence(values: Sequence[float], alpha: float = 0.05, *, chosen_of: int = 1) -> Interval | None:
    """Return an interval for the mean that stays valid however often one looks.

    The probability that it ever misses the mean, after any number of values, is at most `alpha` for normal values: Wang
    and Ramdas, arXiv:2310.03722, theorem 4.9 (a Gaussian mixture over the effect size, the right Haar prior over the
    standard deviation).

    Args:
        values: The values.
        alpha: The probability that it ever misses.
        chosen_of: As for `t_interval`.

    Returns:
        The interval; None while it is infinite (with fewer than 4 values at `alpha` = 0.05), and for fewer than five
        equal values.
    """
    below, above = (float(sequence_factor(len(values), 2 * tail)) for tail in tails(alpha, chosen_of))
    return _around(values, below, above, "confidence sequence", chosen_of)


def tails(alpha: float, chosen_of: int) -> NDArray[np.float64]:
    """Return the probabilities to miss on either side: below the lower end, above the upper one."""
    return np.array([alpha / 2 / chosen_of, alpha / 2])


def clopper_pearson(k: int, n: int) -> Interval:
    """Return the exact interval of Clopper and Pearson (1934) at 95 % for a rate, from k events in n trials.

    Without observations, it is from 0 to 1.
    """
    from scipy.special import betaincinv

    low = float(betaincinv(k, n - k + 1, 0.025)) if k > 0 else 0.0
    high = float(betaincinv(k + 1, n - k, 0.975)) if k < n else 1.0
    return Interval(low, high, "Clopper-Pearson")


def t_quantile(probability: NDArray[np.float64] | float, df: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return the quantile of Student's t distribution; the arguments broadcast, and `df` may be infinite."""
    from scipy.special import stdtrit

    quantile: Any = stdtrit(df, probability)
    return np.asarray(quantile, dtype=np.float64)


def chi_squared_quantile(probability: float, df: float) -> float:
    """Return the quantile of the chi-squared distribution."""
    from scipy.special import gammaincinv

    return float(2 * gammaincinv(df / 2, probability))


def sequence_factor(n: NDArray[np.float64] | float, alpha: float) -> NDArray[np.float64]:
    """Return the half-width of `confidence_sequence` in standard deviations of the values.

    Args:
        n: Number of values; broadcasts.
        alpha: The probability of ever missing.
    """
    n = np.maximum(np.asarray(n, dtype=np.float64), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = 1 + n * MIXTURE_VARIANCE
        k = np.exp(np.log(g / alpha**2) / n)
        half = np.sqrt((n - 1) / n * (k - 1) / (1 - k / g))
    return np.where((k < g) & (n > 1), half, np.inf)


def _around(values: Sequence[float], below: float, above: float, method: str, chosen_of: int) -> Interval | None:
    """Return the interval from `below` to `above` standard deviations around the mean, if any."""
    if len(values) < 2 or not math.isfinite(below):
        return None
    mean, sd = statistics.mean(values), statistics.stdev(values)
    if len(values) < LEAST_EQUAL and all(abs(each - mean) <= EQUAL * abs(each) for each in values):
        return None
    return Interval(mean - below * sd, mean + above * sd, method if chosen_of == 1 else method + CHOSEN)
