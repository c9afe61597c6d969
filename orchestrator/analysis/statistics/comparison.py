"""Two configurations: their difference, the probability that one wins, and how many seeds would decide."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from orchestrator.analysis.statistics.intervals import Interval, sequence_factor, t_quantile
from orchestrator.analysis.statistics.pairs import Scores, as_array, differences, margin, moments

Method = Literal["paired t", "Welch t", "confidence sequence"]

#: A gap that needs more seeds than this counts as none.
MOST_SEEDS = 1_000_000


@dataclass(frozen=True)
class Difference:
    """The difference of the means of two configurations, a - b.

    Attributes:
        mean: The estimate: over the common seeds if paired.
        interval: Its interval; None with one seed on a side, and with fewer than five if nothing varies.
        p_greater: One-sided p-value against "a is not better than b"; None without an interval, and for a sequence.
        p_less: One-sided p-value against "b is not better than a".
        method: "paired t", "Welch t", or "confidence sequence".
        n: Number of pairs, or the smaller number of seeds if not paired.
        sd: Standard deviation of the difference between two seeds; None if a side has only one.
        paired: Whether they are compared on their common seeds.
    """

    mean: float
    interval: Interval | None
    p_greater: float | None
    p_less: float | None
    method: Method
    n: int
    sd: float | None
    paired: bool

    @property
    def is_separated(self) -> bool:
        """Whether the two are proven to differ."""
        return self.interval is not None and 0 not in self.interval

    def negated(self) -> Difference:
        """Return it for a metric where lower is better: the p-values still say which configuration is better."""
        interval = self.interval and Interval(-self.interval.high, -self.interval.low, self.interval.method)
        return replace(self, mean=-self.mean, interval=interval)


def compare(a: Scores, b: Scores, confidence: float = 0.95, *, sequential: bool = False) -> Difference:
    """Compare two configurations with at least one score each.

    Paired on common seeds if at least two, and at least half of the smaller side, are common; else by Welch's test
    (Biometrika 34, 1947).

    Args:
        a: Scores by seed.
        b: Scores by seed.
        confidence: The interval's confidence.
        sequential: Use the confidence sequence, which stays valid however often one looks.
    """
    values = as_array([a, b])
    row = differences(values, moments(values), 0)
    alpha = 1 - confidence
    mean, error, df = float(row.mean[1]), float(row.error[1]), float(row.df[1])
    half = float(margin(row, alpha if sequential else alpha / 2, sequential=sequential)[1])
    method: Method = "confidence sequence" if sequential else "paired t" if row.paired[1] else "Welch t"
    tested = math.isfinite(half) and not sequential
    return Difference(
        mean=mean,
        interval=Interval(mean - half, mean + half, method) if math.isfinite(half) else None,
        p_greater=_p_value(mean, error, df) if tested else None,
        p_less=_p_value(-mean, error, df) if tested else None,
        method=method,
        n=int(row.n[1]),
        sd=None if min(len(a), len(b)) < 2 else math.hypot(*(statistics.stdev(side.values()) for side in (a, b))),
        paired=bool(row.paired[1]),
    )


def _p_value(mean: float, error: float, df: float) -> float:
    """Return the probability of such a mean or a higher one if the true one is zero."""
    from scipy.special import stdtr

    if error == 0:
        return 0.5 if mean == 0 else float(mean < 0)
    return float(stdtr(df, -mean / error))


def win_probability(a: Scores, b: Scores) -> float:
    """Return the probability that a random seed of a scores higher than one of b, where ties count half.

    It is U / (n_a n_b), the statistic of Mann and Whitney (Annals of Mathematical Statistics 18, 1947).
    """
    ordered = np.sort(list(b.values()))
    below, not_above = (np.searchsorted(ordered, list(a.values()), side) for side in ("left", "right"))
    return float((below.sum() + not_above.sum()) / (2 * len(a) * len(b)))


def within(difference: Difference, tolerance: float) -> Literal["within", "apart", "undecided"]:
    """Return whether a difference is proven smaller than a tolerance, or proven larger.

    Its interval must be inside, or outside, the region of practical equivalence: Benavoli et al., JMLR 18 (2017).
    """
    interval = difference.interval
    if interval is None:
        return "undecided"
    if -tolerance <= interval.low and interval.high <= tolerance:
        return "within"
    return "apart" if interval.low > tolerance or interval.high < -tolerance else "undecided"


def forecast(
    sd_a: float, sd_b: float, gap: float, alpha: float = 0.05, power: float = 0.8, *, sequential: bool = False
) -> int | None:
    """Return how many seeds each of two configurations needs in all to be separated; None if none suffices.

    The formula is (z + z_power)^2 (sd_a^2 + sd_b^2) / gap^2, with quantiles of t instead of z, which gives too
    few if they are few.

    Args:
        sd_a: Standard deviation over seeds.
        sd_b: Standard deviation over seeds.
        gap: The difference of the true means.
        alpha: The probability of separating two that are equal, in both directions together.
        power: The probability of separating these two.
        sequential: They are to be separated by a confidence sequence.
    """
    sd = math.hypot(sd_a, sd_b)

    def suffices(n: int) -> bool:
        factor = sequence_factor(n, alpha) if sequential else t_quantile(1 - alpha / 2, n - 1) / math.sqrt(n)
        return bool((factor + t_quantile(power, n - 1) / math.sqrt(n)) * sd <= abs(gap))

    if gap == 0 or not suffices(MOST_SEEDS):
        return None
    return 2 + bisect_left(range(2, MOST_SEEDS), True, key=suffices)


def more_seeds(
    a: Scores,
    b: Scores,
    found: Difference,
    alpha: float = 0.05,
    tolerance: float = 0.0,
    *,
    sequential: bool = False,
) -> int | None:
    """Return about how many more seeds each would decide whether two configurations differ by more than a tolerance.

    The interval must exclude the nearer end of the tolerance, from inside or outside. The estimate is taken as true.

    Args:
        a: Scores by seed.
        b: Scores by seed.
        found: Their difference, which is undecided.
        alpha: As for `forecast`. Contenders are separated at 2 * alpha / (K - 1), or by sequences at alpha / (K - 1).
        tolerance: The largest difference that does not matter.
        sequential: They are to be separated by a confidence sequence.

    Returns:
        At least 1; None if it cannot be estimated: a side has fewer than two seeds, or there is no gap.
    """
    if min(len(a), len(b)) < 2:
        return None
    gap = abs(abs(found.mean) - tolerance)
    needed = forecast(statistics.stdev(a.values()), statistics.stdev(b.values()), gap, alpha, sequential=sequential)
    return None if needed is None else max(1, needed - found.n)
