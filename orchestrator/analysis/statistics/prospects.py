"""How a race may go on: simulated continuations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.analysis.statistics.best import moderated_variances, posteriors
from orchestrator.analysis.statistics.intervals import t_quantile
from orchestrator.analysis.statistics.pairs import Floats, Moments, Scores, as_array, moments
from orchestrator.analysis.statistics.race import Race, Rules, spent

#: Comparisons of pairs that a forecast makes at a look, at most: with many configurations, it simulates less.
MOST_PAIRS = 4_000_000
LEAST_SIMULATIONS = 20


@dataclass(frozen=True)
class Forecast:
    """How a race may go on, from simulated continuations.

    Attributes:
        jobs: The median number of jobs from here to its end.
        jobs_low: The 10 % quantile.
        jobs_high: The 90 % quantile.
        separated: The probability that it ends separated.
        within: The probability that it ends within the tolerance.
        budget: The probability that the budget ends it.
    """

    jobs: int
    jobs_low: int
    jobs_high: int
    separated: float
    within: float
    budget: float


def forecast_race(race: Race, scores: Sequence[Scores], simulations: int = 400) -> Forecast | None:
    """Return how the race may go on; None if an active configuration has fewer than two scores, or the race has ended.

    Means are drawn from the model of `best`, further scores from normal distributions around them.

    Args:
        race: The race.
        scores: For every configuration, all its scores so far.
        simulations: How many continuations are simulated, always from the same random numbers.
    """
    values = as_array([scores[i] for i in race.active])
    of = moments(values)
    if race.ended or (of.n < 2).any():
        return None
    count = max(LEAST_SIMULATIONS, min(simulations, MOST_PAIRS // len(race.active) ** 2))
    runs = _Continuations(race, values, of, count)
    for number in range(race.looks, len(race.rules.looks)):
        runs.look(number)
    ends = {end: float((runs.ended == end).mean()) for end in ("separated", "within", "budget")}
    low, middle, high = (int(each) for each in np.quantile(runs.jobs, (0.1, 0.5, 0.9), method="nearest"))
    return Forecast(jobs=middle, jobs_low=low, jobs_high=high, **ends)


class _Continuations:
    """Many continuations of a race at once, by the moments of their scores."""

    def __init__(self, race: Race, values: Floats, of: Moments, count: int) -> None:
        self._rules: Rules = race.rules
        self._draw = np.random.Generator(np.random.PCG64(0))
        self._true = _draw_means(values, of, count, self._draw)
        self._variance, _ = moderated_variances(of.n, of.variance)
        shape = (count, len(race.active))
        self._n = of.n.copy()
        self._mean = np.broadcast_to(of.mean, shape).copy()
        self._squares = np.broadcast_to(of.variance * (of.n - 1), shape).copy()
        self._present = np.array([race.rules.present[i] for i in race.active])
        self._before = race.rules.looks[race.looks - 1] if race.looks else 0
        self._left = race.rules.budget - race.jobs
        self._active = np.ones(shape, dtype=np.bool_)
        self.ended = np.full(count, "", dtype="U9")
        self.jobs = np.zeros(count, dtype=np.int64)

    def look(self, number: int) -> None:
        """Bring what is active to a look, and judge; `number` is the count of looks before."""
        n = self._rules.looks[number]
        missing = np.maximum(0, n - np.maximum(self._before, self._present))
        cost = (self._active * missing).sum(axis=1)
        self.ended[(self.ended == "") & (self.jobs + cost > self._left)] = "budget"
        going = self.ended == ""
        self.jobs += np.where(going, cost, 0)
        self._before = n
        self._extend(np.maximum(0, n - self._n))
        close = self._judge(spent(self._rules, number + 1))
        self.ended[going & (self._active.sum(axis=1) == 1)] = "separated"
        self.ended[(self.ended == "") & close] = "within"
        if number + 1 == len(self._rules.looks):
            self.ended[self.ended == ""] = "budget"

    def _extend(self, more: Floats) -> None:
        """Add scores to the moments, by the formula of Chan, Golub and LeVeque (1983)."""
        some = np.maximum(more, 1)
        noise = self._draw.standard_normal(self._mean.shape)
        mean = self._true + noise * np.sqrt(self._variance / some)
        squares = self._variance * 2 * self._draw.standard_gamma(np.maximum(more - 1, 0) / 2, self._mean.shape)
        share = more / (self._n + some)
        shift = mean - self._mean
        self._squares += np.where(more > 0, squares + shift**2 * self._n * share, 0)
        self._mean += np.where(more > 0, shift * share, 0)
        self._n += more

    def _judge(self, alpha: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Drop what is beaten; return where one is within the tolerance of all that remain."""
        error = self._squares / (self._n - 1) / self._n
        n = np.minimum(self._n[:, None], self._n)
        half = t_quantile(1 - alpha, n - 1) * np.sqrt(error[:, :, None] + error[:, None, :])
        bounds = self._mean[:, :, None] - self._mean[:, None, :] - half
        bounds[~self._active] = -np.inf
        self._active &= ~(bounds > 0).any(axis=1)
        if self._rules.tolerance <= 0:
            return np.zeros(len(error), dtype=np.bool_)
        near = (bounds > -self._rules.tolerance) | ~self._active[:, None, :] | np.eye(len(n), dtype=np.bool_)
        return np.asarray((near.all(axis=2) & self._active).any(axis=1))


def _draw_means(values: Floats, of: Moments, count: int, draw: np.random.Generator) -> Floats:
    """Return means from the posterior of the model, shape (count, K)."""
    if not (of.variance > 0).any():
        return np.broadcast_to(of.mean, (count, len(of.mean)))
    each = list(posteriors(values))
    which = draw.choice(len(each), count, p=[one.weight for one in each])
    location, scale = (np.array([getattr(one, name) for one in each])[which] for name in ("location", "scale"))
    df = np.where(np.isfinite(each[0].df), each[0].df, 1e6)
    return np.asarray(location + scale * draw.standard_t(df, location.shape))
