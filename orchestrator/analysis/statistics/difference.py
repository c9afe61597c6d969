"""Two configurations: their difference, the probability that one wins, and how many seeds would decide."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from orchestrator.analysis.statistics.boundaries import LOOKS, levels
from orchestrator.analysis.statistics.intervals import Interval, t_quantile
from orchestrator.analysis.statistics.pairs import Scores, as_array, differences, margin, moments

#: The probability with which as many seeds as are forecast separate two configurations.
POWER = 0.8

Method = Literal["paired t", "Welch t", "group-sequential t", "confidence sequence"]


@dataclass(frozen=True)
class Difference:
    """The difference of the means of two configurations, a - b.

    Attributes:
        mean: The estimate: over the common seeds if paired.
        interval: Its interval; None with one seed on a side, and with fewer than five if nothing varies.
        method: "paired t", "Welch t"; at several looks, "group-sequential t" or "confidence sequence".
        n: Number of pairs that count, or the smaller number of seeds if not paired.
        sd: Standard deviation of the difference between two seeds; None if a side has only one.
    """

    mean: float
    interval: Interval | None
    method: Method
    n: int
    sd: float | None

    def negated(self) -> Difference:
        """Return the difference of the metrics, for a metric where lower is better."""
        interval = self.interval and Interval(-self.interval.high, -self.interval.low, self.interval.method)
        return replace(self, mean=-self.mean, interval=interval)


def compare(
    a: Scores, b: Scores, confidence: float = 0.95, *, sequential: bool = False, resolution: float = 0.0
) -> Difference:
    """Compare two configurations with at least one score each.

    Paired on common seeds if at least two, and at least half of the smaller side, are common; else by Welch's test
    (Biometrika 34, 1947).

    Args:
        a: Scores by seed; if sequential, in the order in which the seeds came, with NaN for one that is still to come.
        b: Scores by seed.
        confidence: The interval's confidence.
        sequential: Use an interval that holds at all looks together: at the first 5, 8, 12, 18, ... common seeds
            (`boundaries.levels`), or, without common seeds in the same order, the confidence sequence.
        resolution: The least margin (`pairs.margin`).
    """
    if sequential and [seed for seed in a if seed in b] != [seed for seed in b if seed in a]:
        # Which pairs are the first could change with the next seed: there is no pair then.
        b = {-1 - seed: score for seed, score in b.items()}
    values, when = as_array([a, b]), as_array([{seed: i for i, seed in enumerate(side)} for side in (a, b)])
    row = differences(values, moments(values), 0, when if sequential else None)
    alpha = 1 - confidence
    mean, error, paired = float(row.mean[1]), float(row.error[1]), bool(row.paired[1])
    tail = alpha if sequential and not paired else alpha / 2
    half = float(margin(row, tail, resolution)[1])
    method: Method = "group-sequential t" if sequential else "paired t"
    sd: float | None = error * math.sqrt(float(row.n[1]))
    if not paired:
        method = "confidence sequence" if sequential else "Welch t"
        (own, n), (others, m) = row.own
        sd = math.hypot(float(own[0]), float(others[1])) if min(n[0], m[1]) > 1 else None
    return Difference(
        mean=mean,
        interval=Interval(mean - half, mean + half, method) if math.isfinite(half) else None,
        method=method,
        n=int(row.n[1]),
        sd=sd,
    )


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


def forecast(sd: float, gap: float, alpha: float = 0.05, power: float = POWER, resolution: float = 0.0) -> int | None:
    """Return how many seeds each of two configurations needs in all to be separated; None if none suffices.

    It is the first of the numbers of seeds at which a sequential comparison looks (`boundaries.LOOKS`) at which the
    boundary and the quantile of the power are together within the gap: the comparison that applies to a sweep that is
    extended after a look.

    Args:
        sd: Standard deviation of the difference between two seeds.
        gap: The difference of the true means, above 0. With a power of one half, the margin of error is below it.
        alpha: The probability of separating two that are equal, in both directions together.
        power: The probability of separating these two.
        resolution: The least margin (`pairs.margin`): a gap that is no larger is never separated.
    """
    error = sd / np.sqrt(LOOKS)
    boundary = np.maximum(-t_quantile(levels(alpha / 2), LOOKS - 1.0) * error, resolution)
    enough = LOOKS[boundary + t_quantile(power, LOOKS - 1.0) * error < gap]
    return int(enough[0]) if gap > 0 and len(enough) else None


def more_seeds(
    found: Difference, a: Scores, b: Scores, alpha: float = 0.05, tolerance: float = 0.0, resolution: float = 0.0
) -> int | None:
    """Return about how many more seeds each would decide whether two configurations differ by more than a tolerance.

    The interval must exclude the nearer end of the tolerance, from inside or outside. The estimate is taken as true.
    Both get the same seeds.

    Args:
        found: Their difference, which is undecided.
        a: The scores by seed of which it is.
        b: Likewise.
        alpha: As for `forecast`.
        tolerance: The largest difference that does not matter.
        resolution: As for `forecast`.

    Returns:
        At least 1; None if it cannot be estimated: a side has one seed, no number of seeds suffices, or common seeds
        are no pairs.
    """
    gap = abs(abs(found.mean) - tolerance)
    needed = None if found.sd is None else forecast(found.sd, gap, alpha, resolution=resolution)
    if needed is None or (found.method == "confidence sequence" and a.keys() & b.keys()):
        return None
    common, present = len(a.keys() & b.keys()), min(len(a), len(b))
    more = needed - present
    # Only common seeds count if they are half of those of a side (`compare`), perhaps with these.
    return max(1, needed - common if 2 * (common + max(more, 0)) >= present + max(more, 0) else more)
