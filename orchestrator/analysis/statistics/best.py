"""The probability that a configuration is the best, and what the best one is worth.

The probability follows from a hierarchical normal model, without sampling. The means of the configurations are normal
around a common mean. Their spread, in standard deviations of one score, has a half-Cauchy prior (Gelman, Bayesian
Analysis 1, 2006), which some of its quantiles represent. Variances are moderated towards each other (Smyth, Statistical
Applications in Genetics and Molecular Biology 3, 2004), so the noise of a mean is Student's t. The probabilities follow
by numerical integration.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from orchestrator.analysis.statistics.intervals import EQUAL, t_quantile
from orchestrator.analysis.statistics.pairs import Floats, Moments, Scores, as_array, moments

#: Quantiles that represent the prior of the spread.
SPREADS = 15
#: Spreads with a lower posterior probability are dropped.
LEAST_WEIGHT = 1e-4
#: Points of the numerical integration.
POINTS = 128
#: Levels of the quantiles from which the points come: dense in the tails, where the maximum of many lies.
LEVELS = np.concatenate([np.geomspace(1e-6, 0.02, 12), np.linspace(0.03, 0.97, 33), 1 - np.geomspace(0.02, 1e-6, 12)])


@dataclass(frozen=True)
class Posterior:
    """The posterior of the means: a mixture of t distributions, one for each spread that matters.

    Attributes:
        weight: shape (n_spreads,): the probability of each spread.
        location: shape (n_spreads, K): the means, shrunk towards each other.
        scale: shape (n_spreads, K): their standard errors.
        df: shape (K,): the degrees of freedom; may be infinite.
    """

    weight: Floats
    location: Floats
    scale: Floats
    df: Floats


def p_best(scores: Sequence[Scores]) -> tuple[float | None, ...]:
    """Return for each configuration the probability that its mean is the highest; None for one without a score.

    The result is calibrated from about 10 seeds on, and rough below.
    """
    values = as_array(scores)
    of = moments(values)
    # A variance can overflow: such a configuration is not in the model.
    known = np.flatnonzero((of.n > 0) & ~np.isinf(of.variance))
    found = _probabilities(moments(values[known])).tolist() if len(known) else []
    return tuple(map(dict(zip(known.tolist(), found, strict=True)).get, range(len(scores))))


def posterior(of: Moments) -> Posterior:
    """Return the posterior of the means of K configurations; at least one has scores that vary."""
    variance, df = moderated_variances(of)
    error = variance / of.n
    quantiles = (np.arange(SPREADS) + 0.5) / SPREADS
    spread = variance.mean() * np.tan(np.pi / 2 * quantiles[:, None]) ** 2
    precision = 1 / (error + spread)
    center = (precision * of.mean).sum(axis=1, keepdims=True) / precision.sum(axis=1, keepdims=True)
    # The likelihood of a spread, with the common mean integrated out under a flat prior.
    twice = (np.log(precision) - precision * (of.mean - center) ** 2).sum(axis=1) - np.log(precision.sum(axis=1))
    weight = np.exp((twice - twice.max()) / 2)
    matters = weight >= LEAST_WEIGHT * weight.sum()
    share = (spread * precision)[matters]
    return Posterior(
        weight=weight[matters] / weight[matters].sum(),
        location=share * of.mean + (1 - share) * center[matters],
        scale=np.sqrt(share * error),
        df=df,
    )


def moderated_variances(of: Moments) -> tuple[Floats, Floats]:
    """Return variances that are drawn towards each other, and their degrees of freedom: Smyth (2004), section 6.2.

    A configuration with one score gets the typical variance of the others. At least one variance is positive.
    """
    from scipy.special import digamma, polygamma

    df = of.n - 1
    usable = (df > 0) & (of.variance > 0)
    half = df[usable] / 2
    logs = np.log(of.variance[usable]) - digamma(half) + np.log(half)
    excess = float(logs.var(ddof=1) - polygamma(1, half).mean()) if len(logs) > 1 else 0.0
    if excess <= 0:
        return np.full_like(df, np.exp(logs.mean())), np.full_like(df, np.inf)
    prior = 2 * _inverse_trigamma(excess)
    usual = np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2))
    return (prior * usual + df * np.where(df > 0, of.variance, 0)) / (prior + df), prior + df


def _probabilities(of: Moments) -> Floats:
    if not np.nanmax(of.variance, initial=0) > 0:
        # Nothing varies: the highest means share the probability equally.
        highest = of.mean >= (of.mean - EQUAL * np.abs(of.mean)).max()
        return np.asarray(highest / highest.sum(), dtype=np.float64)
    of_means = posterior(of)
    standard = t_quantile(LEVELS, of_means.df[:, None])
    each = [
        _highest(location, scale, of_means.df, standard)
        for location, scale in zip(of_means.location, of_means.scale, strict=True)
    ]
    return np.asarray(of_means.weight @ np.array(each), dtype=np.float64)


def _highest(location: Floats, scale: Floats, df: Floats, standard: Floats) -> Floats:
    """Return the probability that each of K independent t variables is the highest.

    `standard`, shape (K, n_levels), has the quantiles of their standard distributions at `LEVELS`.
    """
    from scipy.special import stdtr

    quantiles = location[:, None] + scale[:, None] * standard
    # A point below some variable's lowest quantile cannot be the maximum.
    points = np.unique(quantiles[quantiles >= quantiles[:, 0].max()])
    points = points[np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int)]
    cdf = np.maximum(stdtr(df[:, None], (points - location[:, None]) / scale[:, None]), 1e-300)
    logs = np.log(cdf)
    below = np.exp(logs.sum(axis=0) - logs)
    probability = (np.diff(cdf) * (below[:, 1:] + below[:, :-1]) / 2).sum(axis=1)
    if not probability.sum() > 0:
        # The maximum is so certain that only one point is left.
        probability = np.where(location == location.max(), 1.0, 0.0)
    return np.asarray(probability / probability.sum(), dtype=np.float64)


def _inverse_trigamma(value: float) -> float:
    """Return where the trigamma function is `value`, by Newton's method on its reciprocal (Smyth, appendix)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x


def honest_mean(scores: Sequence[Scores], merits: Sequence[Scores] | None = None) -> float | None:
    """Return the leave-one-seed-out estimate for the procedure that picks the configuration with the highest mean.

    The choice biases the leader's own mean. So for each seed, the leader is chosen by the means over the other seeds;
    its score at that seed, which had no part in the choice, counts. The estimate is the mean of the scores that count.
    Ties go to the first configuration. This is cross-validation of a selection (Cawley and Talbot, JMLR 11, 2010), and
    unbiased for the procedure.

    With unequal numbers of seeds, each configuration must have a score to leave out each time; otherwise the choice
    would decide which scores count. So the seeds of each are dealt, in order, into n parts, one left out at a time; n
    is the smallest number of seeds of a configuration. Configurations with one seed cannot be chosen. If the same
    configuration is chosen each time, the choice played no part, and the estimate is the mean of all its scores.

    Args:
        scores: The scores of each configuration.
        merits: The values by which the leader is chosen, if not the scores: for each seed of a configuration, also for
            seeds without a score, which add nothing to the estimate.

    Returns:
        The estimate; None if no configuration has two seeds, or if no score counts.
    """
    both = [
        (score, [(seed, Fraction(merit[seed])) for seed in sorted(merit)])
        for score, merit in zip(scores, scores if merits is None else merits, strict=True)
        if len(merit) > 1
    ]
    if not both:
        return None
    n_parts = min(len(merit) for _, merit in both)
    totals = [sum(value for _, value in merit) for _, merit in both]
    chosen, taken = set(), []
    for part in range(n_parts):
        parts = [merit[part::n_parts] for _, merit in both]
        # Exact, so that equal means are equal whatever the order of their sum.
        means = [
            (total - sum(value for _, value in left_out)) / (len(merit) - len(left_out))
            for total, (_, merit), left_out in zip(totals, both, parts, strict=True)
        ]
        first = means.index(max(means))
        chosen.add(first)
        score = both[first][0]
        found = [score[seed] for seed, _ in parts[first] if seed in score]
        taken += [statistics.mean(found)] if found else []
    if len(chosen) == 1:
        taken = list(both[chosen.pop()][0].values())
    return statistics.mean(taken) if taken else None
