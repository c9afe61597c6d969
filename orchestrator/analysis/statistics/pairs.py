"""Compares all pairs of configurations: their differences, margins of error, and which may be the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.statistics.boundaries import LOOKS, levels, looks_made
from orchestrator.analysis.statistics.intervals import EQUAL, LEAST_EQUAL, sequence_factor, t_quantile

#: A configuration's scores by seed: higher is better, and all are finite.
Scores = Mapping[int, float]
Floats = NDArray[np.float64]

#: For several looks at scores that all came in the order of the seeds.
IN_ORDER: Floats = np.empty(0)


@dataclass(frozen=True)
class Moments:
    """Number of scores, mean and variance (divisor n - 1) of configurations; each of shape (..., K)."""

    n: Floats
    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class Differences:
    """A configuration against K others; each attribute has the shape (..., K).

    Attributes:
        mean: The difference of the means: over the pairs, if they are paired.
        n: Number of pairs that count, or the smaller number of seeds if not paired.
        error: Standard error of the mean; NaN without enough scores.
        df: Degrees of freedom of the error.
        paired: Whether the two are compared on their common seeds.
        own: Standard deviation and number of seeds of each side, if not paired.
        sequential: Whether they are for several looks.
    """

    mean: Floats
    n: Floats
    error: Floats
    df: Floats
    paired: NDArray[np.bool_]
    own: tuple[tuple[Floats, Floats], tuple[Floats, Floats]]
    sequential: bool


def as_array(scores: Sequence[Scores]) -> Floats:
    """Return the scores of configurations as float64, shape (n_configurations, n_seeds), with NaN for a missing one."""
    seeds = sorted(set().union(*scores))
    rows = [[each.get(seed, np.nan) for seed in seeds] for each in scores]
    return np.array(rows, dtype=np.float64).reshape(len(scores), len(seeds))


def moments(values: Floats, present: NDArray[Any] | None = None, size: Floats | None = None) -> Moments:
    """Return the moments of configurations.

    Args:
        values: Scores, shape (..., K, n_seeds), with NaN for a missing one.
        present: Which of them count; None for all that are not missing.
        size: What each was computed from, of the same shape; None for the values themselves. If each is off the mean by
            at most `EQUAL` times its size, they do not vary: the variance is 0.
    """
    present = ~np.isnan(values) if present is None else present
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if present.all() and values.shape[-1] > 1:
            # The same, faster: thousands of configurations have millions of pairs.
            mean = values.mean(axis=-1)
            deviations, count = values - mean[..., None], np.full(mean.shape, float(values.shape[-1]))
            variance = np.einsum("...s,...s->...", deviations, deviations) / (count - 1)
        else:
            count = present.sum(axis=-1).astype(np.float64)
            mean = np.where(present, values, 0).sum(axis=-1) / count
            deviations = np.where(present, values - mean[..., None], 0)
            variance = np.where(count > 1, (deviations**2).sum(axis=-1) / (count - 1), np.nan)
        varies = (np.abs(deviations) > EQUAL * (np.abs(values) if size is None else size)).any(axis=-1)
        return Moments(count, mean, variance * varies)


def differences(values: Floats, of: Moments, i: int, when: Floats | None = None) -> Differences:
    """Compare configuration `i` with each one.

    Two are paired on their common seeds if at least two, and at least half of those of the smaller side, are common.
    Otherwise they count as independent, with the degrees of freedom of Welch (Biometrika 34, 1947).

    Args:
        values: Scores, shape (..., K, n_seeds), with NaN for a missing one.
        of: Their moments.
        i: Index of the configuration.
        when: None for one look. For several, the time of each score, of the shape of `values`, or `IN_ORDER`: only the
            first pairs count, up to the last of `LOOKS` that there are enough of. A pair is as late as the later of its
            two; a missing score that has a time is still to come, and so are later pairs.
    """
    one = Moments(*(each[..., i : i + 1] for each in (of.n, of.mean, of.variance)))
    own = values[..., i : i + 1, :]
    gaps = own - values
    larger = np.maximum(np.abs(own), np.abs(values))
    gaps = np.where(np.abs(gaps) <= EQUAL * larger, 0.0, gaps)
    present = ~np.isnan(gaps)
    if when is not None and when.size:
        later = np.maximum(when[..., i : i + 1, :], when)
        order, ordered = later.argsort(axis=-1), (gaps, larger, present, later)
        gaps, larger, present, later = (np.take_along_axis(each, order, -1) for each in ordered)
        present &= np.logical_and.accumulate(present | np.isnan(later), axis=-1)
    pairs, smaller = present.sum(axis=-1), np.minimum(one.n, of.n)
    paired = (pairs >= 2) & (2 * pairs >= smaller)
    if when is not None:
        made = looks_made(pairs)
        last = np.where(made > 0, LOOKS[made - 1], pairs)
        present &= present.cumsum(axis=-1) <= last[..., None]
    common = moments(gaps, present, larger)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        a, b = one.variance / one.n, of.variance / of.n
        # Shares, because the square of a variance may be too large or too small.
        share, other = a / (a + b), b / (a + b)
        welch = np.where(a + b > 0, 1 / (share**2 / (one.n - 1) + other**2 / (of.n - 1)), smaller - 1)
        return Differences(
            mean=np.where(paired, common.mean, one.mean - of.mean),
            n=np.where(paired, common.n, smaller),
            error=np.sqrt(np.where(paired, common.variance / common.n, a + b)),
            df=np.where(paired, common.n - 1, welch),
            paired=paired,
            own=((np.sqrt(one.variance), one.n), (np.sqrt(of.variance), of.n)),
            sequential=when is not None,
        )


def margin(of: Differences, alpha: float, resolution: float) -> Floats:
    """Return the one-sided margin of error of each difference, shape (..., K); NaN or infinite without a bound.

    There is no bound for fewer than two scores, nor for fewer than five if nothing varies: a metric that takes few
    values is often equal by chance. At several looks, it holds at all together (`boundaries.levels`), which needs
    `FIRST_LOOK` pairs; if not paired, each side's confidence sequence gets half of alpha.

    Args:
        of: The differences.
        alpha: The probability that the difference is off by more, in that direction.
        resolution: The least margin: the step between two values of a metric that takes few.
    """
    with np.errstate(invalid="ignore"):
        if of.sequential:
            apart = sum(sequence_factor(n, alpha / 2) * sd for sd, n in of.own)
            # NaN before the first look.
            at_looks = np.append(-t_quantile(levels(alpha), LOOKS - 1.0), np.nan)
            half = np.where(of.paired, at_looks[looks_made(of.n) - 1] * of.error, apart)
        else:
            # Each computed once: most pairs have the same degrees of freedom.
            different, which = np.unique(of.df, return_inverse=True)
            half = t_quantile(1 - alpha, different)[which].reshape(of.df.shape) * of.error
    return np.where((of.error > 0) | (of.n >= LEAST_EQUAL), np.maximum(half, resolution), np.nan)


def lower_bounds(
    values: Floats,
    alpha: float,
    when: Floats | None = None,
    *,
    resolution: float = 0.0,
    rows: int | None = None,
) -> Floats:
    """Return the lower confidence bounds of the differences between configurations.

    With alpha / (K - 1), all K - 1 bounds of a difference to the best hold together with probability 1 - alpha, by the
    union bound: neither equal variances nor equal numbers of seeds are needed. Then, whichever configurations are
    looked at, one that another one's bound shows to be worse is not the best, and no configuration i is worse than the
    best by more than the largest of `-bounds[i, j]` over the j that may be the best. These are multiple comparisons
    with the best: Gupta (Technometrics 7, 1965), Hsu (Annals of Statistics 12, 1984).

    Args:
        values: Scores, shape (..., K, n_seeds), with NaN for a missing one.
        alpha: The probability that a difference is below its bound.
        when: As for `differences`.
        resolution: As for `margin`.
        rows: How many rows to return, the first ones; None for all.

    Returns:
        Shape (..., rows, K): the bound of the row's mean less the column's; minus infinity if there is none.
    """
    of, found = moments(values), []
    for i in range(values.shape[-2] if rows is None else rows):
        row = differences(values, of, i, when)
        half = margin(row, alpha, resolution)
        with np.errstate(invalid="ignore"):
            bounds = row.mean - half
            bounds = np.where(np.abs(bounds) < EQUAL * half, 0.0, bounds)
        found.append(np.where(np.isnan(bounds), -np.inf, bounds))
    return np.stack(found, axis=-2) if found else np.empty((*values.shape[:-2], 0, 0))


def may_be_best(bounds: Floats) -> NDArray[np.bool_]:
    """Return which configurations may be the best: none that ranks above one is shown to be better.

    The rank changes nothing if all have the same seeds. Otherwise it ensures that the first one may be the best; as it
    can only keep more, the guarantee stands.

    Args:
        bounds: Lower bounds of configurations by rank, shape (..., rows, K).

    Returns:
        shape (..., K).
    """
    return np.asarray(~(np.triu(bounds, 1) > 0).any(axis=-2))


def regrets(bounds: Floats, best: NDArray[np.bool_]) -> Floats:
    """Return how much worse than the best each configuration is at most; infinite without a bound.

    Args:
        bounds: Lower bounds, shape (..., rows, K).
        best: Which may be the best, shape (..., K).

    Returns:
        shape (..., rows).
    """
    others = best[..., None, :] & ~np.eye(*bounds.shape[-2:], dtype=np.bool_)
    return np.asarray(0.0 - np.where(others, bounds, 0.0).min(axis=-1, initial=0.0))
