"""Measure the statistics of `orchestrator/analysis/statistics/` on thousands of simulated sweeps with known truth.

An interval that says 95 % should contain the truth in 95 % of the sweeps; a set of contenders should contain the best.
Every figure is of the functions that the commands use. `--write` puts each table between its marks in a document, such
as `<!-- coverage: mean -->`. Same arguments, same figures.

Example:
    .venv/bin/python benchmarks/coverage.py --sweeps 4000 --write docs/statistics.md
"""

from __future__ import annotations

import argparse
import json
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

from orchestrator.analysis.statistics.best import p_best
from orchestrator.analysis.statistics.comparison import compare, forecast
from orchestrator.analysis.statistics.honest import honest_mean
from orchestrator.analysis.statistics.images import new_images_difference, new_images_interval, validation_noise
from orchestrator.analysis.statistics.intervals import (
    Interval,
    clopper_pearson,
    sequence_factor,
    t_interval,
    t_quantile,
)
from orchestrator.analysis.statistics.pairs import lower_bounds
from orchestrator.analysis.statistics.race import Race, look, plan, start

if __name__ == "coverage":
    # Run beside this file, the other benchmarks import numba, which would take it for the package of this name.
    raise ImportError("this is a benchmark, and not the package coverage")

Floats = NDArray[np.float64]
Row = dict[str, Any]
Rule = Callable[[Sequence[float]], Interval | None]

#: Configurations as `docs/results.md` finds them for six learning rates, in points of accuracy.
SIX_MEANS = (93.42, 96.00, 97.21, 97.35, 97.40, 97.05)
SIX_SDS = (0.11, 0.09, 0.09, 0.13, 0.13, 0.25)
#: Standard deviation of the true means of configurations, in standard deviations of one score: from close to apart.
SPREADS = (0.2, 0.4, 0.8, 1.6)
TIED = ((0.0,) * 6, (1.0,) * 6)
TIED_AND_WIDE = ((0.0, 0.0, -0.5), (1.0, 1.0, 3.0))
SETTINGS = {
    "6 tied": TIED,
    "6 rates": (SIX_MEANS, SIX_SDS),
    "2 tied, 1 lower and wide": TIED_AND_WIDE,
    "6 tied, wide and narrow": ((0.0,) * 6, (1.0, 1.0, 1.0, 3.0, 3.0, 3.0)),
}


def draws(random: Generator, shape: tuple[int, ...], skew: float = 0.0) -> Floats:
    """Return values of mean 0 and standard deviation 1: normal, or from a gamma distribution of this skew."""
    if skew == 0:
        return random.standard_normal(shape)
    order = 4 / skew**2
    return np.asarray(np.sign(skew) * (random.standard_gamma(order, shape) - order) / np.sqrt(order))


def sweep(random: Generator, setting: tuple[Sequence[float], Sequence[float]], shape: tuple[int, ...]) -> Floats:
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


def judged(
    values: Floats, setting: tuple[Sequence[float], Sequence[float]], alpha: float
) -> tuple[float, float, float]:
    """Return how often the best is kept, how many are kept on average, and how often rank intervals are right.

    Args:
        values: shape (n_sweeps, K, n_seeds).
        setting: The true means and standard deviations.
        alpha: The level of each comparison.
    """
    means = np.asarray(setting[0])
    beats = lower_bounds(values, alpha) > 0
    kept = ~np.asarray(beats.any(axis=-2))
    low, high = 1 + beats.sum(axis=-2), len(means) - beats.sum(axis=-1)
    # Equal means share their ranks.
    first, last = 1 + (means > means[:, None]).sum(axis=1), (means >= means[:, None]).sum(axis=1)
    return (
        float(kept[:, means.argmax()].mean()),
        float(kept.sum(axis=-1).mean()),
        float(((low <= last) & (high >= first)).mean()),
    )


def contenders(random: Generator, sweeps: int) -> list[Row]:
    """The contenders: alpha divided by the number of rivals, beside no correction."""
    rows = []
    for name, setting in SETTINGS.items():
        for n in (5, 10):
            values = sweep(random, setting, (5 * sweeps, n))
            kept, left, ranks = judged(values, setting, 0.05 / (len(setting[0]) - 1))
            row = {"configurations": name, "seeds": n, "best kept": kept, "contenders": left, "rank intervals": ranks}
            rows.append({**row, "best kept, uncorrected": judged(values, setting, 0.05)[0]})
    return rows


def looking(random: Generator, sweeps: int) -> list[Row]:
    """Contenders at each look from 2 to 50 seeds: how often the best is kept at all of them."""
    values = sweep(random, TIED, (sweeps // 2, 50))
    rules = {
        "t, uncorrected": (0.05, False),
        "t, corrected for rivals": (0.01, False),
        "sequence, corrected for rivals": (0.01, True),
    }
    rows = []
    for name, (alpha, sequential) in rules.items():
        lost = np.zeros(len(values), dtype=np.bool_)
        for n in range(2, 51):
            lost |= (lower_bounds(values[..., :n], alpha, sequential=sequential)[:, :, 0] > 0).any(axis=1)
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
        ("6 rates", (SIX_MEANS, SIX_SDS), (5,) * 6),
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
        for sequential in (False, True):
            n = forecast(1.0, 1.0, gap, sequential=sequential) or 0
            values = sweep(random, ((gap, 0.0), (1.0, 1.0)), (sweeps, n))
            alpha = 0.05 if sequential else 0.025
            found = lower_bounds(values, alpha, sequential=sequential)[:, 0, 1] > 0
            rows.append({"gap in sd": gap, "by": "sequence" if sequential else "t", "seeds each": n,
                         "separated": float(found.mean())})  # fmt: skip
    return rows


def raced(random: Generator, setting: tuple[Sequence[float], Sequence[float]], budget: int, tolerance: float) -> Race:
    """Return a race on one simulated sweep, after its end."""
    race = start(plan((0,) * len(setting[0]), budget, tolerance))
    # The last look is more than the budget can pay for.
    return finished(race, scores(sweep(random, setting, (race.rules.looks[-2],))))


def finished(race: Race, values: Sequence[dict[int, float]]) -> Race:
    """Return a race after its end."""
    while race.next_look is not None:
        race = look(race, [dict(list(each.items())[: race.next_look]) for each in values])
    return race


def races(random: Generator, sweeps: int) -> list[Row]:
    """Races of at most 300 jobs, with and without a tolerance: is the best kept, how do they end, what do they need."""
    rows = []
    for name, setting, tolerance in (
        ("6 tied", TIED, 0.0),
        ("6 tied, tolerance 1 sd", TIED, 1.0),
        ("6 rates", (SIX_MEANS, SIX_SDS), 0.0),
        ("6 rates, tolerance 0.1 points", (SIX_MEANS, SIX_SDS), 0.1),
        ("6 rates, tolerance 0.04 points", (SIX_MEANS, SIX_SDS), 0.04),
    ):
        ended = [raced(random, setting, 300, tolerance) for _ in range(max(sweeps // 2, 200))]
        truth = np.asarray(setting[0])
        top = int(truth.argmax())
        # A claim is wrong if the leader is worse than the best by more than the tolerance.
        wrong = [race.ended != "budget" and truth[top] - truth[race.leader or 0] > tolerance for race in ended]
        rows.append({
            "configurations": name,
            "best kept": float(np.mean([top in race.active for race in ended])),
            "separated": float(np.mean([race.ended == "separated" for race in ended])),
            "within": float(np.mean([race.ended == "within" for race in ended])),
            "wrong claims": float(np.mean(wrong)),
            "jobs": round(float(np.mean([race.jobs for race in ended]))),
        })  # fmt: skip
    return rows


def coarse(random: Generator, sweeps: int) -> list[Row]:
    """Accuracies of a few images, which take few values: how often t intervals and contenders are right."""
    rows = []
    for n_images in (20, 100, 1000):
        for n in (2, 5, 10):
            values = random.binomial(n_images, 0.95, (sweeps, 6, n)) / n_images
            kept, _, _ = judged(values, TIED, 0.01)
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
    "contenders": contenders,
    "best": best,
    "sequence": sequence,
    "looking": looking,
    "honest": honest,
    "races": races,
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
    "spread in sd", "tolerance in sd", "diverges", "true share", "median", "images", "0 seen: up to",
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
