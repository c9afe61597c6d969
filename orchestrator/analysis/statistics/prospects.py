"""How a race may go on: simulated continuations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.statistics.best import moderated_variances, posterior
from orchestrator.analysis.statistics.pairs import Floats, Moments, Scores, as_array, moments, quantiles
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
    runs = _Continuations(race, of, count)
    for number in range(race.looks, len(race.rules.looks)):
        runs.look(number)
    ends = {end: float((runs.ended == end).mean()) for end in ("separated", "within", "budget")}
    low, middle, high = (int(each) for each in np.quantile(runs.jobs, (0.1, 0.5, 0.9), method="nearest"))
    return Forecast(jobs=middle, jobs_low=low, jobs_high=high, **ends)


class _Continuations:
    """Many continuations of a race at once, by the moments of their scores."""

    def __init__(self, race: Race, of: Moments, count: int) -> None:
        self._rules: Rules = race.rules
        self._draw = np.random.Generator(np.random.PCG64(0))
        self._true = _draw_means(of, count, self._draw)
        self._variance = moderated_variances(of)[0] if (of.variance > 0).any() else of.variance
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

    def _judge(self, alpha: float) -> NDArray[np.bool_]:
        """Drop what is beaten; return where one is within the tolerance of all that remain."""
        error = self._squares / (self._n - 1) / self._n
        quantile = quantiles(1 - alpha, np.minimum(self._n[:, None], self._n) - 1)
        close = np.zeros(len(error), dtype=np.bool_)
        block = max(1, MOST_PAIRS // quantile.size)
        for first in range(0, len(error), block):
            some = slice(first, first + block)
            mean, active = self._mean[some], self._active[some]
            bounds = mean[:, :, None] - mean[:, None, :]
            bounds -= quantile * np.sqrt(error[some, :, None] + error[some, None, :])
            # As in the race, only active ones are compared.
            active &= ~((bounds > 0) & active[:, :, None]).any(axis=1)
            close[some] = self._close(bounds, active)
        return close

    def _close(self, bounds: Floats, active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self._rules.tolerance <= 0:
            return np.zeros(len(bounds), dtype=np.bool_)
        same = np.eye(bounds.shape[-1], dtype=np.bool_)
        near = (bounds > -self._rules.tolerance) | ~active[:, None, :] | same
        return np.asarray((near.all(axis=2) & active).any(axis=1))


def _draw_means(of: Moments, count: int, draw: np.random.Generator) -> Floats:
    """Return means from the posterior of the model, shape (count, K)."""
    if not (of.variance > 0).any():
        return np.broadcast_to(of.mean, (count, len(of.mean)))
    means = posterior(of)
    which = draw.choice(len(means.weight), count, p=means.weight)
    # NumPy takes no infinite degrees of freedom; so many are as good.
    noise = draw.standard_t(np.minimum(means.df, 1e9), (count, len(of.mean)))
    return np.asarray(means.location[which] + means.scale[which] * noise, dtype=np.float64)
