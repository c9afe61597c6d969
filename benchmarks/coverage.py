"""Measure the statistics of `orchestrator/analysis/statistics/` on thousands of simulated sweeps with known truth.

An interval that says 95 % should contain the truth in 95 % of the sweeps; a set of contenders should contain the best.
Every figure is of the functions that the commands use. `--write` puts each table between its marks in a document, such
as `<!-- coverage: mean -->`. Same arguments, same figures.

Example:
    .venv/bin/python benchmarks/coverage.py --sweeps 4000 --write docs/explanation/statistics.md
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from validation_noise import validation_noise

from nn.options.network import NetworkOptions
from orchestrator.analysis.leaderboard.judgement import Judgement
from orchestrator.analysis.leaderboard.scores import Entry, Scored
from orchestrator.analysis.statistics.best import honest_mean, p_best
from orchestrator.analysis.statistics.boundaries import LOOKS
from orchestrator.analysis.statistics.difference import compare, forecast
from orchestrator.analysis.statistics.images import new_images_difference, new_images_interval
from orchestrator.analysis.statistics.intervals import (
    Interval,
    clopper_pearson,
    sequence_factor,
    t_interval,
    t_quantile,
)
from orchestrator.analysis.statistics.pairs import IN_ORDER, lower_bounds, may_be_best, moments, regrets
from orchestrator.sweeps.names import JobNames
from worker.job import Job
from worker.trainers.protocol import Metric

if __name__ == "coverage":
    # Run beside this file, the other benchmarks import numba, which would take it for the package of this name.
    raise ImportError("this is a benchmark, and not the package coverage")

Floats = NDArray[np.float64]
Setting = tuple[Sequence[float], Sequence[float]]
Row = dict[str, Any]
Rule = Callable[[Sequence[float]], Interval | None]

#: Configurations as `docs/results/index.md` finds them for six learning rates, in points of accuracy.
SIX_MEANS = (93.42, 96.00, 97.21, 97.35, 97.40, 97.05)
SIX_SDS = (0.11, 0.09, 0.09, 0.13, 0.13, 0.25)
#: Standard deviation of the true means of configurations, in standard deviations of one score: from close to apart.
SPREADS = (0.2, 0.4, 0.8, 1.6)
#: By how much one of equals is the best, so that it alone can be lost.
NOTHING = 1e-6
TIED = ((NOTHING, *(0.0,) * 5), (1.0,) * 6)
RATES = (SIX_MEANS, SIX_SDS)
TIED_AND_WIDE = ((NOTHING, 0.0, -0.5), (1.0, 1.0, 3.0))
SETTINGS = {
    "6 tied": TIED,
    "6 rates": RATES,
    "2 tied, 1 lower and wide": TIED_AND_WIDE,
    "6 tied, wide and narrow": ((NOTHING, *(0.0,) * 5), (1.0, 1.0, 1.0, 3.0, 3.0, 3.0)),
}


def draws(random: Generator, shape: tuple[int, ...], skew: float = 0.0) -> Floats:
    """Return values of mean 0 and standard deviation 1: normal, or from a gamma distribution of this skew."""
    if skew == 0:
        return random.standard_normal(shape)
    order = 4 / skew**2
    return np.asarray(np.sign(skew) * (random.standard_gamma(order, shape) - order) / np.sqrt(order))


def sweep(random: Generator, setting: Setting, shape: tuple[int, ...]) -> Floats:
    """Return scores of configurations with given means and standard deviations, shape (..., K, n_seeds)."""
    means, sds = (np.asarray(each)[:, None] for each in setting)
    return means + sds * random.standard_normal((*shape[:-1], len(means), shape[-1]))


def scores(values: Floats) -> list[dict[int, float]]:
    """Return what the statistics take: for each configuration, its scores by seed."""
    return [dict(enumerate(row)) for row in values.tolist()]


def z_interval(values: Sequence[float]) -> Interval:
    """Return the interval that is common and wrong: with the quantile of the normal distribution."""
    half = 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Interval(float(np.mean(values)) - half, float(np.mean(values)) + half, "z")


def covered(rule: Rule, samples: Floats, truth: float = 0.0) -> float:
    """Return the share of the samples, shape (n_sweeps, n), whose interval contains the truth."""
    intervals = (rule(sample) for sample in samples.tolist())
    return float(np.mean([interval is None or truth in interval for interval in intervals]))


def mean(random: Generator, sweeps: int) -> list[Row]:
    """The t interval of a mean over seeds, beside the z interval."""
    return [
        {
            "skew": skew,
            "seeds": n,
            "t": covered(t_interval, samples),
            "z": covered(z_interval, samples),
            "half-width in sd": float(t_quantile(0.975, n - 1)) / n**0.5,
        }
        for skew in (0.0, -0.5, -1.5)
        for n in (2, 3, 5, 10, 20)
        for samples in [draws(random, (sweeps, n), skew)]
    ]


def missed(values: Floats, factor: Callable[[Floats], Floats]) -> float:
    """Return the share of the sequences whose interval misses 0 at some look; a look follows each value from the 2nd.

    Args:
        values: shape (n_sweeps, n_looks).
        factor: The half-width, in standard deviations, after so many values.
    """
    n = np.arange(1.0, values.shape[1] + 1)
    means = values.cumsum(axis=1) / n
    with np.errstate(invalid="ignore", divide="ignore"):
        sds = np.sqrt(np.maximum((values**2).cumsum(axis=1) - n * means**2, 0) / (n - 1))
        return float((np.abs(means) > factor(n) * sds)[:, 1:].any(axis=1).mean())


def t_factor(n: Floats) -> Floats:
    """Return the half-width of the t interval in standard deviations; NaN for one value."""
    with np.errstate(invalid="ignore"):
        return np.asarray(t_quantile(0.975, n - 1) / np.sqrt(n))


def s_factor(n: Floats) -> Floats:
    """Return the half-width of the confidence sequence in standard deviations."""
    return sequence_factor(n, 0.05)


def sequence(random: Generator, sweeps: int) -> list[Row]:
    """How often an interval ever misses if one looks after each seed."""
    return [
        {
            "skew": skew,
            "looks up to": n,
            "t": missed(values[:, :n], t_factor),
            "sequence": missed(values[:, :n], s_factor),
            "times as wide as t": float(s_factor(np.array(n)) / t_factor(np.array(n))),
        }
        for skew in (0.0, -0.5, -1.5)
        for values in [draws(random, (sweeps, 100), skew)]
        for n in (5, 10, 20, 50, 100)
    ]


def rate(random: Generator, sweeps: int) -> list[Row]:
    """The interval of a rate: exact, by the binomial distribution, at 99 true rates."""
    del random, sweeps
    from scipy.special import comb

    rows = []
    true = np.arange(1, 100) / 100
    for n in (5, 10, 20):
        k = np.arange(n + 1)
        intervals = [clopper_pearson(int(each), n) for each in k]
        inside = np.array([[rate in interval for interval in intervals] for rate in true])
        coverage = (inside * comb(n, k) * true[:, None] ** k * (1 - true[:, None]) ** (n - k)).sum(axis=1)
        rows.append({"seeds": n, "least": float(coverage.min()), "mean": float(coverage.mean()),
                     "0 seen: up to": intervals[0].high})  # fmt: skip
    return rows


def divergence(random: Generator, sweeps: int) -> list[Row]:
    """Jobs that diverge with some probability: t on all of them, and t on those that trained."""
    rows = []
    for share in (0.02, 0.1):
        for n in (5, 10):
            values = 0.974 + 0.0013 * random.standard_normal((sweeps, n))
            diverged = random.random((sweeps, n)) < share
            everything = np.where(diverged, 0.0986, values)
            trained = [sample[~lost].tolist() for sample, lost in zip(values, diverged, strict=True)]
            survivors = [interval for interval in map(t_interval, trained) if interval]
            rows.append({
                "diverges": share,
                "seeds": n,
                "t of all": covered(t_interval, everything, share * 0.0986 + (1 - share) * 0.974),
                "t of those that trained": float(np.mean([0.974 in interval for interval in survivors])),
            })  # fmt: skip
    return rows


def answers(random: Generator, shape: tuple[int, int, int], ease: Floats, skill: float) -> NDArray[np.bool_]:
    """Return right answers of configurations x seeds x images; an image is as easy for all, a seed as good on all."""
    good = skill * random.standard_normal((*shape[:2], 1))
    return np.asarray(random.random(shape) < 1 / (1 + np.exp(-(ease + good))))


def images(random: Generator, sweeps: int) -> list[Row]:
    """Intervals for new images: of an accuracy, and of the difference of two configurations of equal accuracy."""
    n_images, skill = 2000, 0.1
    population = answers(random, (1, 4000, 2000), 5 + 2 * random.standard_normal(2000), skill)
    truth = float(population.mean())
    rows = []
    for n in (5, 10):
        hits = []
        for _ in range(max(sweeps // 8, 100)):
            a, b = answers(random, (2, n, n_images), 5 + 2 * random.standard_normal(n_images), skill)
            means = [each.mean(axis=1) for each in (a, b)]
            hits.append([
                truth in _of(t_interval(means[0].tolist())),
                truth in _of(new_images_interval(a)),
                0 in _of(t_interval((means[0] - means[1]).tolist())),
                0 in _of(new_images_difference(dict(enumerate(a)), dict(enumerate(b)))),
            ])  # fmt: skip
        names = ("accuracy: t", "accuracy: seeds and images", "difference: t", "difference: seeds and images")
        rows.append({"seeds": n, **dict(zip(names, np.mean(hits, axis=0).tolist(), strict=True))})
    return rows


def noise(random: Generator, sweeps: int) -> list[Row]:
    """The share of the seeds' variance that is the validation set's: its mean estimate, and its interval."""
    n_images = 2000
    rows = []
    for skill in (0.0, 0.15):
        ease = 5 + 2 * random.standard_normal(n_images)
        many = answers(random, (1, 4000, n_images), ease, skill)[0]
        truth = float((many.mean(axis=0) * (1 - many.mean(axis=0))).mean() / n_images / many.mean(axis=1).var())
        for n in (5, 10, 20):
            found = [validation_noise(answers(random, (1, n, n_images), ease, skill)[0])
                     for _ in range(max(sweeps // 8, 100))]  # fmt: skip
            known = [each for each in found if each]
            rows.append({
                "true share": min(truth, 1.0),
                "seeds": n,
                "median": float(np.median([each.share for each in known])),
                "interval": float(np.mean([min(truth, 1.0) in each.interval for each in known])),
            })  # fmt: skip
    return rows


def difference(random: Generator, sweeps: int) -> list[Row]:
    """The interval of the difference of two configurations."""
    rows = []
    for name, sds, n, correlation in (
        ("common seeds", (1, 1), (5, 5), 0.0),
        ("common seeds, correlated", (1, 1), (5, 5), 0.5),
        ("common seeds, one three times as wide", (1, 3), (5, 5), 0.0),
        ("other seeds", (1, 1), (5, 5), 0.0),
        ("other seeds, one three times as wide", (1, 3), (5, 10), 0.0),
        ("5 of 25 seeds common", (1, 1), (5, 25), 0.0),
    ):
        together = np.sqrt(correlation) * random.standard_normal((sweeps, max(n)))
        apart = 100 if "other" in name else 0
        hits = []
        for shared in together:
            own = [sd * (shared[:size] + np.sqrt(1 - correlation) * random.standard_normal(size))
                   for sd, size in zip(sds, n, strict=True)]  # fmt: skip
            a, b = dict(enumerate(own[0].tolist())), dict(enumerate(own[1].tolist(), apart))
            hits.append([0 in _of(compare(a, b).interval), 0 in _of(compare(a, b, sequential=True).interval)])
        t, s = np.mean(hits, axis=0).tolist()
        rows.append({"two configurations": name, "seeds": f"{n[0]}, {n[1]}", "t": t, "sequence": s})
    return rows


def by_rank(values: Floats, setting: Setting) -> tuple[Floats, Floats]:
    """Return scores with their true means, the highest mean of a sweep first.

    Args:
        values: shape (n_sweeps, K, n_seeds).
        setting: The true means and standard deviations.
    """
    order = np.argsort(-values.mean(axis=-1), axis=-1, kind="stable")
    return np.take_along_axis(values, order[..., None], axis=-2), np.asarray(setting[0])[order]


def judged(values: Floats, setting: Setting, alpha: float, resolution: float = 0.0) -> Row:
    """Return how often what comparisons say is true, and how much they say.

    Args:
        values: shape (n_sweeps, K, n_seeds).
        setting: The true means and standard deviations.
        alpha: The level of each comparison.
        resolution: The least margin.
    """
    values, means = by_rank(values, setting)
    bounds = lower_bounds(values, alpha, resolution=resolution)
    best, top = may_be_best(bounds), means == means.max(axis=-1, keepdims=True)
    regret = regrets(bounds, best)
    kept = (best & top).any(axis=-1)
    # A little room for the rounding of means that are equal.
    good = (means.max(axis=-1, keepdims=True) - means <= regret + 1e-9).all(axis=-1)
    first = np.argmax(bounds[..., 0, :] > 0, axis=-1)
    claims = (bounds[..., 0, :] > 0).any(axis=-1)
    beaten = np.take_along_axis(means, first[:, None], axis=-1)[:, 0]
    sizes = moments(values)
    sd = float(np.sqrt(np.median(sizes.variance)))
    return {
        "all true": float((kept & good).mean()),
        "best kept": float(kept.mean()),
        "contenders": float(best.sum(axis=-1).mean()),
        "regret in sd": float(np.median(regret[..., 0])) / sd,
        "a false pair": float((claims & (means[:, 0] <= beaten + NOTHING)).mean()),
    }


#: Fields for what a verdict says at once: the setting, the skew of the noise, and the images of a coarse metric.
FIELDS: dict[str, tuple[Setting, float, int]] = {
    "4 tied": (((NOTHING, *(0.0,) * 3), (1.0,) * 4), 0.0, 0),
    "6 tied": (TIED, 0.0, 0),
    "20 tied": (((NOTHING, *(0.0,) * 19), (1.0,) * 20), 0.0, 0),
    "50 tied": (((NOTHING, *(0.0,) * 49), (1.0,) * 50), 0.0, 0),
    "20 spaced by 0.3 sd": ((tuple(-0.3 * i for i in range(20)), (1.0,) * 20), 0.0, 0),
    "6 rates": (RATES, 0.0, 0),
    "6 tied, wide and narrow": (SETTINGS["6 tied, wide and narrow"], 0.0, 0),
    "2 tied, 1 lower and wide": (TIED_AND_WIDE, 0.0, 0),
    "6 spaced by 0.5 sd, skew -0.5": ((tuple(-0.5 * i for i in range(6)), (1.0,) * 6), -0.5, 0),
    "6 spaced by 0.5 sd, skew -1.5": ((tuple(-0.5 * i for i in range(6)), (1.0,) * 6), -1.5, 0),
    "6 shares of 100 images": ((tuple(0.95 - 0.01 * i for i in range(6)), (1.0,) * 6), 0.0, 100),
}


def field(random: Generator, name: str, sweeps: int, n: int) -> tuple[Floats, Setting, float]:
    """Return the scores of sweeps of a field, shape (n_sweeps, K, n_seeds), with its setting and resolution."""
    setting, skew, n_images = FIELDS[name]
    means, sds = (np.asarray(each)[:, None] for each in setting)
    if n_images:
        return random.binomial(n_images, means, (sweeps, len(means), n)) / n_images, setting, 1 / n_images
    return means + sds * draws(random, (sweeps, len(means), n), skew), setting, 0.0


def together(random: Generator, sweeps: int) -> list[Row]:
    """All that the comparisons of a verdict say at once, beside "the leader beats the next" at the same level."""
    rows = []
    for name in FIELDS:
        for n in (5, 10):
            values, setting, resolution = field(random, name, sweeps, n)
            row = judged(values, setting, 0.05 / (len(setting[0]) - 1), resolution)
            rows.append({"configurations": name, "seeds": n, **row})
    return rows


def leader(random: Generator, sweeps: int) -> list[Row]:
    """The interval of the leader's mean: Student's t, and the one that allows for the choice."""
    rows = []
    for name in FIELDS:
        for n in (5, 10):
            values, means = by_rank(*field(random, name, sweeps, n)[:2])
            found = {"t": 1, "chosen": values.shape[1]}
            hits: dict[str, float] = {}
            for rule, k in found.items():
                intervals = [_of(t_interval(first, chosen_of=k)) for first in values[:, 0].tolist()]
                hits[rule] = float(np.mean([mean in each for mean, each in zip(means[:, 0], intervals, strict=True)]))
            wide, narrow = (_of(t_interval(values[0, 0].tolist(), chosen_of=k)) for k in (values.shape[1], 1))
            row = {"configurations": name, "seeds": n, "Student's t": hits["t"], "of a chosen one": hits["chosen"]}
            rows.append({**row, "times as wide": wide.half_width / narrow.half_width})
    return rows


def contenders(random: Generator, sweeps: int) -> list[Row]:
    """The contenders: alpha divided by the number of rivals, beside no correction."""
    rows = []
    for name, setting in SETTINGS.items():
        for n in (5, 10):
            values = sweep(random, setting, (5 * sweeps, n))
            row = judged(values, setting, 0.05 / (len(setting[0]) - 1))
            shown = {name: row[name] for name in ("best kept", "contenders")}
            wrong = judged(values, setting, 0.05)["best kept"]
            rows.append({"configurations": name, "seeds": n, **shown, "best kept, uncorrected": wrong})
    return rows


def power(random: Generator, sweeps: int) -> list[Row]:
    """One configuration ahead of the others: how many contenders are left, and the regret of the leader."""
    rows = []
    for k in (4, 20):
        for gap in (0.0, 0.5, 1.0, 2.0):
            row: Row = {"configurations": f"{k}, one ahead", "gap in sd": gap}
            for n in (5, 10, 20):
                setting = ((gap,) + (0.0,) * (k - 1), (1.0,) * k)
                found = judged(sweep(random, setting, (sweeps // 4, n)), setting, 0.05 / (k - 1))
                row[f"{n} seeds: contenders, regret in sd"] = f"{found['contenders']:.1f}, {found['regret in sd']:.2f}"
            rows.append(row)
    return rows


def looking(random: Generator, sweeps: int) -> list[Row]:
    """Contenders at each look from 2 to 50 seeds: how often the best is kept at all of them."""
    values = sweep(random, TIED, (sweeps // 2, 50))
    rules = {
        "t, uncorrected": (0.05, None),
        "t, corrected for rivals": (0.01, None),
        "group-sequential, corrected for rivals": (0.01, IN_ORDER),
    }
    rows = []
    for name, (alpha, when) in rules.items():
        lost = np.zeros(len(values), dtype=np.bool_)
        for n in range(2, 51):
            lost |= (lower_bounds(values[..., :n], alpha, when)[:, :, 0] > 0).any(axis=1)
        rows.append({"6 tied, looked at after each seed up to 50": name, "best kept": 1 - float(lost.mean())})
    return rows


def chances(random: Generator, spread: float, n: int, sweeps: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return P(best) of each of six configurations, and whether it is the best; both of shape (n_sweeps, 6)."""
    said, right = [], []
    for _ in range(sweeps):
        means = spread * random.standard_normal(6)
        probabilities = p_best(scores(sweep(random, (means.tolist(), (1.0,) * 6), (n,))))
        said.append([np.nan if each is None else each for each in probabilities])
        right.append(means == means.max())
    return np.array(said), np.array(right)


def best(random: Generator, sweeps: int) -> list[Row]:
    """P(best) of the likeliest of six: what is said on average, and how often it is right."""
    rows = []
    for n in (5, 10, 20):
        several = {spread: chances(random, spread, n, max(sweeps // 4, 100)) for spread in SPREADS}
        together = [np.concatenate(each) for each in zip(*several.values(), strict=True)]
        for spread, (said, right) in [*several.items(), ("all", together)]:
            likeliest = said == said.max(axis=1, keepdims=True)
            row: Row = {"seeds": n, "spread in sd": str(spread)}
            rows.append({**row, **calibration(said[likeliest], right[likeliest])})
    return rows


def calibration(said: Floats, right: NDArray[np.bool_]) -> Row:
    """Return what probabilities say and how often they are right, in ranges of what is said."""
    edges = (0.0, 0.4, 0.6, 0.8, 0.95, 1.0)
    row = {"any": f"{said.mean():.2f} → {right.mean():.2f}"}
    for low, high in pairwise(edges):
        chosen = (said >= low) & ((said < high) | (high == 1))
        few = chosen.sum() < 50
        row[f"{low:g} to {high:g}"] = "-" if few else f"{said[chosen].mean():.2f} → {right[chosen].mean():.2f}"
    return row


def honest(random: Generator, sweeps: int) -> list[Row]:
    """How far the mean of the leader, and the honest mean, are off what the leader is worth, in standard deviations."""
    rows = []
    for name, setting, sizes in (
        ("6 tied", TIED, (5,) * 6),
        ("6 tied", TIED, (10,) * 6),
        ("6 rates", RATES, (5,) * 6),
        ("6 tied, 3 with more seeds", TIED, (25, 25, 25, 5, 5, 5)),
        ("6 tied, 1 with fewer seeds", TIED, (5, 5, 5, 5, 5, 3)),
    ):
        off = []
        for values in sweep(random, setting, (sweeps, max(sizes))):
            seen = [dict(list(one.items())[:size]) for one, size in zip(scores(values), sizes, strict=True)]
            means = [float(np.mean(list(each.values()))) for each in seen]
            leader = int(np.argmax(means))
            twin = honest_mean(seen)
            if twin is not None:
                off.append((means[leader] - setting[0][leader], twin - setting[0][leader]))
        flattered, twins = (np.mean(off, axis=0) / max(setting[1][2:5])).tolist()
        rows.append({"configurations": name, "seeds": ", ".join(map(str, sorted(set(sizes), reverse=True))),
                     "leader's mean": f"{flattered:+.2f}", "honest mean": f"{twins:+.2f}"})  # fmt: skip
    return rows


def forecasts(random: Generator, sweeps: int) -> list[Row]:
    """How often the number of seeds that is forecast separates two configurations: 80 % is meant."""
    rows = []
    for gap in (2.0, 1.0, 0.5):
        n = forecast(math.sqrt(2), gap) or 0
        values = sweep(random, ((gap, 0.0), (1.0, 1.0)), (sweeps, n))
        found = lower_bounds(values, 0.025, IN_ORDER)[:, 0, 1] > 0
        rows.append({"gap in sd": gap, "seeds each": n, "separated": float(found.mean())})
    return rows


class Race:
    """A race on one simulated sweep, as `orchestrator.analysis.race` runs it.

    Args:
        values: The scores that it may train, shape (K, n_seeds).
        tolerance: When it ends.
        sizes: How many seeds each configuration has before.
    """

    def __init__(self, values: Floats, tolerance: float, sizes: Sequence[int] | None = None) -> None:
        self.values, self.tolerance = values, tolerance
        self.alpha = 0.05 / (len(values) - 1)
        self.before = np.array(sizes if sizes is not None else [0] * len(values))
        self.sizes = self.before.copy()

    @property
    def jobs(self) -> int:
        """The number of jobs that it added."""
        return int((self.sizes - self.before).sum())

    def run(self, budget: int) -> Race:
        """Train until it has ended, or until the budget has no room for the next look."""
        self.judge()
        while self.blocking.any():
            racing = self.blocking | (np.arange(len(self.values)) == self.first)
            look = int(LOOKS[np.searchsorted(LOOKS, self.sizes[racing].min(), side="right") :][0])
            if look > self.values.shape[1] or self.jobs + np.maximum(look - self.sizes[racing], 0).sum() > budget:
                break
            self.sizes[racing] = np.maximum(self.sizes[racing], look)
            self.judge()
        return self

    def judge(self, *, sequential: bool = True) -> None:
        """Find the leader, those that may be the best, and those that may be too much better than the leader."""
        most = max(int(self.sizes.max()), 1)
        known = np.where(np.arange(most) < self.sizes[:, None], self.values[:, :most], np.nan)
        means = moments(known).mean
        order = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")
        bounds = lower_bounds(known[order], self.alpha, IN_ORDER if sequential else None)
        self.first, best = int(order[0]), may_be_best(bounds)
        self.best, self.blocking = np.zeros((2, len(order)), dtype=np.bool_)
        self.best[order] = best
        self.blocking[order[1:]] = best[1:] & (-bounds[0, 1:] > self.tolerance)

    @property
    def decided(self) -> bool:
        """Whether it ended with an answer."""
        return not self.blocking.any()


def plain_race(values: Floats, tolerance: float, budget: int) -> tuple[bool, int]:
    """Return whether a plain race decides, and its jobs: looks at 5, 10, 20, ... with a union bound over looks.

    All that are not beaten train on. It is the baseline.

    Args:
        values: shape (K, n_seeds).
        tolerance: When it ends.
        budget: The most jobs.
    """
    k, n, jobs, active = len(values), 5, 0, values
    for number in range(1, 100):
        before = 0 if n == 5 else n // 2
        if jobs + (n - before) * len(active) > budget or n > values.shape[1]:
            return False, jobs
        jobs += (n - before) * len(active)
        bounds = lower_bounds(active[:, :n], 6 * 0.05 / (np.pi * number) ** 2 / (k - 1))
        stays = ~(bounds > 0).any(axis=0)
        active, bounds = active[stays], bounds[stays][:, stays]
        others = ~np.eye(len(active), dtype=np.bool_)
        if ((bounds > -tolerance) | ~others).all(axis=1).any():
            return True, jobs
        n *= 2
    return False, jobs


RACES: dict[str, tuple[Setting, float, int]] = {
    "6 tied, tolerance 1 sd": (TIED, 1.0, 600),
    "6 tied, tolerance 0.5 sd": (TIED, 0.5, 1500),
    "6 rates, tolerance 0.1 points": (RATES, 0.1, 600),
    "6 rates, tolerance 0.04 points": (RATES, 0.04, 1000),
    "2 tied, 1 lower and wide, tolerance 0.5 sd": (TIED_AND_WIDE, 0.5, 2500),
    "2 tied, tolerance 0.3 sd": (((NOTHING, 0.0), (1.0, 1.0)), 0.3, 1500),
    "20 spaced by 0.3 sd, tolerance 0.3 sd": (FIELDS["20 spaced by 0.3 sd"][0], 0.3, 5000),
}


def raced(random: Generator, name: str, count: int) -> Row:
    """Return how races end: is the best kept, is what they say true, what do they need, and what a plain race."""
    setting, tolerance, budget = RACES[name]
    truth = np.asarray(setting[0])
    found, plain = [], []
    for _ in range(count):
        values = sweep(random, setting, (budget // 2,))
        found.append(Race(values, tolerance).run(budget))
        plain.append(plain_race(values, tolerance, budget)[1])
    wrong = [race.decided and truth.max() - truth[race.first] > tolerance for race in found]
    jobs = float(np.median([race.jobs for race in found]))
    return {
        "configurations": name,
        "best kept": float(np.mean([race.best[truth == truth.max()].any() for race in found])),
        "decided": float(np.mean([race.decided for race in found])),
        "wrong claims": float(np.mean(wrong)),
        "jobs": round(jobs),
        "of a plain race": jobs / float(np.median(plain)),
    }


def races(random: Generator, sweeps: int) -> list[Row]:
    """Races: is the best kept, is what they say true, what do they need, and what does a plain race need."""
    return [raced(random, name, max(sweeps // 8, 200)) for name in RACES]


def decided(random: Generator, others: int, tolerance: float, n: int, count: int) -> Row:
    """Return how `decide` ends if the best is better than others, which are equal, by hardly more than the tolerance.

    A sweep whose own verdict of one look suffices keeps it. Any leader but the best is wrong.
    """
    setting = ((tolerance + NOTHING, *(0.0,) * others), (1.0,) * (others + 1))
    kept, found = [], []
    for values in sweep(random, setting, (count, 200)):
        race = Race(values, tolerance, [n] * len(values))
        race.judge(sequential=False)
        kept.append(race.decided)
        found.append(race if race.decided else race.run(100 * len(values)))
    wrong = np.array([race.decided and race.first > 0 for race in found])
    return {
        "others": others,
        "tolerance in sd": tolerance,
        "seeds": n,
        "needs no job": float(np.mean(kept)),
        "decided": float(np.mean([race.decided for race in found])),
        "wrong without a job": float((wrong & np.array(kept)).mean()),
        "wrong": float(wrong.mean()),
    }


def deciding(random: Generator, sweeps: int) -> list[Row]:
    """`decide`, which keeps a verdict of one look that suffices, and races otherwise: how often is it wrong?"""
    cases = ((1, 0.5), (1, 1.0), (5, 0.5), (5, 1.0), (19, 1.0))
    return [decided(random, *case, n, max(sweeps // 4, 50)) for case in cases for n in (5, 10)]


def advised(random: Generator, name: str, n: int, count: int) -> Row:
    """Return how often the race that a verdict advises decides, and how much of its budget it takes."""
    setting = FIELDS[name][0]
    k = len(setting[0])
    job = Job(version=1, dataset="0" * 64, options=NetworkOptions(learning_rate=0.1, epochs=1), seed=0)
    names = JobNames([job], metric=Metric(name="score"))
    decided, used = [], []
    for values in sweep(random, setting, (count, 1000)):
        order = np.argsort(-values[:, :n].mean(axis=1), kind="stable")
        scored = [
            Scored(job.options, tuple(Entry(seed=seed, status="succeeded", score=score, weights_sha256=None)
                                      for seed, score in enumerate(own)))
            for own in values[order, :n].tolist()
        ]  # fmt: skip
        told = Judgement(scored, {}, names).advice
        if told is None:
            continue
        race = Race(values, told.within, [n] * k).run(told.budget)
        decided.append(race.decided)
        used.append((race.jobs / told.budget, race.jobs / told.jobs))
    return {
        "configurations": name,
        "seeds": n,
        "decided": float(np.mean(decided)),
        "of the budget": float(np.median([of_budget for of_budget, _ in used])),
        "of what is told": float(np.median([of_told for _, of_told in used])),
    }


def advice(random: Generator, sweeps: int) -> list[Row]:
    """The race that a verdict advises: half of the regret as tolerance, and its budget. How often does it decide?"""
    names = ("4 tied", "6 tied", "20 tied", "6 rates", "6 tied, wide and narrow", "2 tied, 1 lower and wide")
    return [advised(random, name, n, max(sweeps // 10, 50)) for name in names for n in (5, 10)]


def coarse(random: Generator, sweeps: int) -> list[Row]:
    """Accuracies of a few images, which take few values: how often t intervals and contenders are right."""
    rows = []
    for n_images in (20, 100, 1000):
        for n in (2, 5, 10):
            values = random.binomial(n_images, 0.95, (sweeps, 6, n)) / n_images
            kept = judged(values, ((0.95 + NOTHING, *(0.95,) * 5), TIED[1]), 0.01, 1 / n_images)["best kept"]
            rows.append(
                {"images": n_images, "seeds": n, "t": covered(t_interval, values[:, 0], 0.95), "best kept": kept}
            )
    return rows


STUDIES: dict[str, Callable[[Generator, int], list[Row]]] = {
    "mean": mean,
    "coarse": coarse,
    "divergence": divergence,
    "rate": rate,
    "images": images,
    "noise": noise,
    "difference": difference,
    "forecasts": forecasts,
    "together": together,
    "contenders": contenders,
    "power": power,
    "leader": leader,
    "best": best,
    "sequence": sequence,
    "looking": looking,
    "honest": honest,
    "races": races,
    "deciding": deciding,
    "advice": advice,
}


def study(name: str, sweeps: int) -> list[Row]:
    """Return the figures of a study: the same for the same number of sweeps, whatever else is measured."""
    return STUDIES[name](np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))), sweeps)


def _of(interval: Interval | None) -> Interval:
    """Return an interval; one that is not there covers everything."""
    return interval or Interval(-np.inf, np.inf, "none")


#: Columns that are no share of the sweeps.
PLAIN = (
    "skew", "seeds", "half-width in sd", "times as wide as t", "contenders", "looks up to", "seeds each", "gap in sd",
    "spread in sd", "regret in sd", "times as wide", "of a plain race", "of the budget", "of what is told", "diverges",
    "true share", "median", "images", "0 seen: up to", "tolerance in sd",
)  # fmt: skip


def shown(name: str, value: object) -> str:
    """Return a figure as the tables show it: shares in percent."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if name in PLAIN else f"{100 * value:.1f} %"


def table(rows: Sequence[Row]) -> str:
    """Return figures as a table in Markdown."""
    lines = [[shown(name, value) for name, value in row.items()] for row in rows]
    head = ["---" if any(isinstance(row[name], str) for row in rows) else "---:" for name in rows[0]]
    return "\n".join(f"| {' | '.join(line)} |" for line in (list(rows[0]), head, *lines))


def put(document: str, name: str, text: str) -> str:
    """Return a document with a table between its marks."""
    block = re.compile(rf"(<!-- coverage: {name} -->\n).*?(<!-- /coverage -->)", re.DOTALL)
    return block.sub(lambda marks: f"{marks[1]}{text}\n{marks[2]}", document)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=f"which: {', '.join(STUDIES)} (default: all)")
    parser.add_argument("--sweeps", type=int, default=4000, help="simulated sweeps of a row (default: %(default)s)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also put the tables into a document")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    options = parser.parse_args(arguments)
    if unknown := set(options.studies) - STUDIES.keys():
        parser.error(f"no such study: {', '.join(sorted(unknown))}; there are {', '.join(STUDIES)}")
    if options.sweeps < 100:
        parser.error(f"--sweeps must be at least 100, not {options.sweeps}")
    return options


def main(arguments: list[str]) -> None:
    """Measure, and print the tables."""
    options = parse(arguments)
    figures = {}
    for name in options.studies or STUDIES:
        figures[name] = study(name, options.sweeps)
        print(f"{name}: {STUDIES[name].__doc__}\n\n{table(figures[name])}\n", flush=True)
    if options.write:
        document = options.write.read_text()
        for name, rows in figures.items():
            document = put(document, name, table(rows))
        options.write.write_text(document)
    if options.json:
        options.json.write_text(json.dumps({"sweeps": options.sweeps, **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
