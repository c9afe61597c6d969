"""The probability that a configuration is the best, by a hierarchical normal model without sampling.

The means of the configurations are normal around a common mean; their spread, in standard deviations of one score, has
a half-Cauchy prior (Gelman, Bayesian Analysis 1, 2006), of which a grid of quantiles stands for the whole. Variances
are moderated towards each other: Smyth, Statistical Applications in Genetics and Molecular Biology 3 (2004). Noise is
Student's t. The probability follows by numerical integration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.analysis.statistics.intervals import t_quantile
from orchestrator.analysis.statistics.pairs import Floats, Scores, as_array, moments

#: Below, no method is calibrated, and none is given.
LEAST_SEEDS = 5
#: Quantiles of the prior of the spread.
SPREADS = 15
#: Points of the numerical integration.
POINTS = 600
#: A spread whose posterior weight is lower does not matter.
LEAST_WEIGHT = 1e-4


@dataclass(frozen=True)
class Posterior:
    """What the model says about the means, given one spread; each of shape (K,) but the weight.

    Attributes:
        weight: Posterior probability of the spread.
        location: The means, shrunk towards each other.
        scale: Their standard errors.
        df: Degrees of freedom of their t distributions; may be infinite.
    """

    weight: float
    location: Floats
    scale: Floats
    df: Floats


def p_best(scores: Sequence[Scores]) -> tuple[float | None, ...]:
    """Return for each configuration the probability that its mean is the highest; None for one with under 5 seeds.

    All that have a score are in the model, also those for which None is returned. It is calibrated from about 10 seeds
    on, and rough below.
    """
    values = as_array(scores)
    n = moments(values).n
    if not (n >= LEAST_SEEDS).any():
        return (None,) * len(scores)
    known = np.flatnonzero(n > 0)
    probabilities = dict(zip(known.tolist(), _probabilities(values[known]).tolist(), strict=True))
    return tuple(probabilities[i] if n[i] >= LEAST_SEEDS else None for i in range(len(scores)))


def moderated_variances(n: Floats, variances: Floats) -> tuple[Floats, Floats]:
    """Return variances that are drawn towards each other, and their degrees of freedom: Smyth (2004), section 6.2.

    Args:
        n: Numbers of scores, at least one each.
        variances: With divisor n - 1; without meaning where n is 1.
    """
    from scipy.special import digamma, polygamma

    df = n - 1
    usable = (df > 0) & (variances > 0)
    if not usable.any():
        return np.zeros_like(df), np.where(df > 0, df, np.inf)
    half = df[usable] / 2
    logs = np.log(variances[usable]) - digamma(half) + np.log(half)
    excess = logs.var(ddof=1) - polygamma(1, half).mean() if len(logs) > 1 else 0.0
    if excess <= 0:
        return np.full_like(df, np.exp(logs.mean())), np.full_like(df, np.inf)
    prior = 2 * _inverse_trigamma(float(excess))
    prior_variance = np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2))
    moderated = (prior * prior_variance + df * np.where(df > 0, variances, 0)) / (prior + df)
    return moderated, prior + df


def posteriors(values: Floats) -> Iterator[Posterior]:
    """Yield what each spread that matters says about the means.

    Args:
        values: Scores, shape (K, n_seeds), with NaN for a missing one and at least one each; they vary.
    """
    of = moments(values)
    variances, df = moderated_variances(of.n, of.variance)
    error = variances / of.n
    quantiles = (np.arange(SPREADS) + 0.5) / SPREADS
    spreads = variances.mean() * np.tan(np.pi / 2 * quantiles) ** 2
    precision = 1 / (error + spreads[:, None])
    center = (precision * of.mean).sum(axis=1, keepdims=True) / precision.sum(axis=1, keepdims=True)
    likelihood = (np.log(precision) - precision * (of.mean - center) ** 2).sum(axis=1)
    likelihood = (likelihood - np.log(precision.sum(axis=1))) / 2
    weights = np.exp(likelihood - likelihood.max())
    weights = np.where(weights < LEAST_WEIGHT * weights.sum(), 0, weights)
    weights /= weights.sum()
    for k in np.flatnonzero(weights):
        kept = spreads[k] * precision[k]
        yield Posterior(float(weights[k]), kept * of.mean + (1 - kept) * center[k], np.sqrt(kept * error), df)


def _probabilities(values: Floats) -> Floats:
    of = moments(values)
    if not np.nanmax(of.variance, initial=0) > 0:
        # Nothing varies: the highest are the best, in equal parts.
        highest = of.mean == of.mean.max()
        return np.asarray(highest / highest.sum(), dtype=np.float64)
    total = sum(each.weight * _highest(each) for each in posteriors(values))
    return np.asarray(total, dtype=np.float64)


def _highest(of: Posterior) -> Floats:
    """Return the probability that each is the highest, shape (K,)."""
    from scipy.special import stdtr

    df = of.df[:, None]
    tails = np.concatenate([np.geomspace(1e-6, 0.02, 10), np.linspace(0.03, 0.5, 20)])
    levels = np.unique(np.concatenate([tails, 1 - tails]))
    standard = np.array([t_quantile(float(level), of.df) for level in levels]).T
    points = np.sort((of.location[:, None] + of.scale[:, None] * standard).ravel())
    # What lies below each one's lowest quantile cannot be the highest.
    points = points[points >= (of.location + of.scale * standard[:, 0]).max()]
    points = points[np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int)]
    cdf = np.clip(stdtr(df, (points - of.location[:, None]) / of.scale[:, None]), 1e-300, 1)
    others = np.exp(np.log(cdf).sum(axis=0) - np.log(cdf))
    probability = (np.diff(cdf) * (others[:, 1:] + others[:, :-1]) / 2).sum(axis=1)
    return np.asarray(probability / probability.sum(), dtype=np.float64)


def _inverse_trigamma(value: float) -> float:
    """Return where the trigamma function has a value, by Newton's method on its reciprocal (Smyth, appendix)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x
