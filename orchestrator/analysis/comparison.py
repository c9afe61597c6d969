"""Compares two configurations: their difference, its uncertainty, and how many seeds would decide."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from nn.errors import InvalidInputError
from orchestrator.analysis.leaderboard.judgement import ALPHA, by_margin, check_within, in_full
from orchestrator.analysis.leaderboard.scores import LAST
from orchestrator.analysis.lookup import FIELD, Chosen, choose
from orchestrator.analysis.statistics.difference import Difference, more_seeds, win_probability, within
from orchestrator.analysis.statistics.difference import compare as compare_scores
from orchestrator.analysis.statistics.images import new_images_difference
from orchestrator.analysis.statistics.intervals import Interval, ends_by_name
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import IncomparableError
from orchestrator.text import counted
from worker.trainers.protocol import Metric

#: Most seeds that are worth advising.
MOST_SEEDS = 10_000

#: What the difference is known to be: larger than the tolerance, smaller, or neither.
Outcome = Literal["apart", "within", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """Two configurations, a and b.

    Attributes:
        a: The first.
        b: The second.
        metric: What was measured.
        tolerance: The largest difference that does not matter; 0 if every difference does.
        difference: The mean of a minus that of b, in the metric's unit; over the common seeds if paired. None, like
            `win_probability` and `new_images`, if no job of a side trained.
        win_probability: The probability that a random seed of a is better (ties count half); None without an interval.
        new_images: The interval for the difference on new samples; None if the answers are not known, after a
            look, or if each seed has its own samples.
        outcome: The difference against the tolerance.
        seeds_to_decide: About how many more seeds each would decide, if the estimate is right; None if decided, or
            without an estimate.
    """

    a: Chosen
    b: Chosen
    metric: Metric
    tolerance: float
    difference: Difference | None
    win_probability: float | None
    new_images: Interval | None
    outcome: Outcome
    seeds_to_decide: int | None

    def __str__(self) -> str:
        """Return the comparison in words: one to three sentences, on one line."""
        parts = [_conclusion(self), *_reservations(self.a), *_reservations(self.b)]
        return " ".join(f"{part}." for part in parts)

    @property
    def decided(self) -> bool:
        """Whether the configurations differ, or differ by less than the tolerance."""
        return self.outcome != "undecided"

    @property
    def better(self) -> Chosen | None:
        """The side with the better mean; None if they are equal or one has none."""
        if self.difference is None or self.difference.mean == 0:
            return None
        return self.a if (self.difference.mean > 0) == self.metric.higher_is_better else self.b

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        found, better = self.difference, self.better
        return {
            "sentence": str(self),
            "outcome": self.outcome,
            "decided": self.decided,
            "better": None if better is None else "a" if better is self.a else "b",
            "difference": None if found is None else found.mean,
            **ends_by_name(None if found is None else found.interval),
            "method": None if found is None else found.method,
            "n": 0 if found is None else found.n,
            **ends_by_name(self.new_images, "_new"),
            "win_probability": self.win_probability,
            "tolerance": self.tolerance or None,
            "seeds_to_decide": self.seeds_to_decide,
            "metric": self.metric.name,
            "higher_is_better": self.metric.higher_is_better,
            "a": _side_as_dict(self.a),
            "b": _side_as_dict(self.b),
        }


def compare(
    one: Sweep,
    other: Sweep,
    first_words: Sequence[str] = (),
    second_words: Sequence[str] = (),
    *,
    tolerance: float = 0.0,
) -> Comparison:
    """Compare a configuration of one sweep with one of another, or of the same.

    Args:
        one: The first sweep.
        other: The second sweep, judged in the same way; it may be the first one.
        first_words: Name a configuration of the first sweep (`orchestrator.analysis.selection`); none for its leader.
        second_words: Likewise, of the second sweep.
        tolerance: The largest difference that does not matter, in the metric's unit; 0 if every one does.

    Raises:
        SweepNotFoundError: a leader is wanted and there is none.
        IncomparableError: the sweeps have different data sets, metrics, or kinds of splits.
        InvalidInputError: words fit no configuration or several; both are the same configuration; or the tolerance is
            out of range.
    """
    _check_sweeps(one, other)
    a, b = choose(one, first_words), choose(other, second_words)
    if tolerance:
        check_within(tolerance, one.names.metric)
    if a.configuration == b.configuration:
        allowed = "two different ones: both are the same, of which any difference is chance"
        raise InvalidInputError(FIELD, a.words or a.sweep.name, allowed)
    if a.scored.draws_split != b.scored.draws_split:
        own, same = (one, other) if a.scored.draws_split else (other, one)
        raise IncomparableError(
            f"The sweeps {one.name} and {other.name} cannot be compared: each seed of {own.name} draws its own "
            f"split, and all seeds of {same.name} have the same"
        )
    return comparison(a, b, tolerance)


def _check_sweeps(a: Sweep, b: Sweep) -> None:
    names = f"The sweeps {a.name} and {b.name} cannot be compared"
    manifests = (a.manifest, b.manifest)
    if a.manifest.dataset != b.manifest.dataset:
        sets = [f"{each.specification.data} ({each.dataset[:12]})" for each in manifests]
        raise IncomparableError(f"{names}: they have the data sets {sets[0]} and {sets[1]}")
    metrics = (a.names.metric, b.names.metric)
    if metrics[0].name != metrics[1].name:
        raise IncomparableError(f"{names}: they have the metrics {metrics[0].name} and {metrics[1].name}")
    if metrics[0] != metrics[1]:
        trainers = " and ".join(each.specification.trainer for each in manifests)
        raise IncomparableError(f"{names}: the trainers {trainers} mean different things by {metrics[0].name}")


def comparison(first: Chosen, second: Chosen, tolerance: float = 0.0) -> Comparison:
    """Compare two configurations with the same metric and the same data set.

    If one of their sweeps runs, or was extended after a look, the interval holds at all looks together.

    Args:
        first: The configuration a.
        second: The configuration b.
        tolerance: The largest difference that does not matter, in the metric's unit; at least 0.
    """
    sequential = first.sweep.judgement.sequential or second.sweep.judgement.sequential
    a, b = (replace(each, alias=name) for each, name in zip((first, second), _names(first, second), strict=True))
    metric = first.sweep.names.metric
    scores = a.scored.oriented, b.scored.oriented
    if not all(scores):
        return Comparison(a, b, metric, tolerance, None, None, None, "undecided", None)
    resolution = max(each.sweep.judgement.resolution for each in (first, second))
    x, y = (first.scored.in_order, second.scored.in_order) if sequential else scores
    early = not x or not y  # The first job of a side is missing, so that nothing can be compared yet.
    if early:
        x, y = scores
    timed = x, y
    if sequential and first.sweep is second.sweep and not early:
        p, q = (each.scored.places for each in (first, second))
        later = {seed: max(p[seed], q[seed]) for seed in p.keys() & q.keys()}
        # By the later job of each pair; NaN for a job that is still to come.
        one, other = (sorted(each, key=lambda seed: later.get(seed, 0)) for each in (p, q))
        timed = {seed: x.get(seed, math.nan) for seed in one}, {seed: y.get(seed, math.nan) for seed in other}
    # A leader was chosen for its results: the interval allows for all that could have been.
    alpha = ALPHA / math.prod(each.sweep.judgement.considered for each in (first, second) if each.is_leader)
    found = compare_scores(*timed, 1 - alpha, sequential=sequential, resolution=resolution)
    if early:
        found = replace(found, interval=None)
    outcome = within(found, tolerance)
    further = None if outcome != "undecided" else more_seeds(found, x, y, alpha, tolerance, resolution)
    return Comparison(
        a=a,
        b=b,
        metric=metric,
        tolerance=tolerance,
        difference=found if metric.higher_is_better else found.negated(),
        win_probability=None if found.interval is None else win_probability(*scores),
        # It is valid for one look only.
        new_images=None if sequential else _on_new_images(first, second, alpha),
        outcome=outcome,
        seeds_to_decide=further,
    )


def _names(first: Chosen, second: Chosen) -> tuple[str, str]:
    """Return names that tell the two apart: the options that vary, and the sweep if there are two."""
    if first.sweep is second.sweep:
        return first.name, second.name
    same = first.sweep.name == second.sweep.name
    sweeps = [str(each.sweep.folder.path.resolve()) if same else each.sweep.name for each in (first, second)]
    a, b = (
        f"{each.name} of {sweep}" if each.words else sweep for each, sweep in zip((first, second), sweeps, strict=True)
    )
    return a, b


def _on_new_images(first: Chosen, second: Chosen, alpha: float) -> Interval | None:
    if first.sweep.scoring != LAST:
        return None
    a, b = (each.scored.answers(each.sweep.rows) for each in (first, second))
    if not a or not b or len({next(iter(side.values())).shape for side in (a, b)}) != 1:
        return None
    return new_images_difference(a, b, alpha)


# What people read


def _conclusion(found: Comparison) -> str:
    if found.difference is None:
        empty = found.b if found.a.scored.trained else found.a
        why = "all its jobs with a result diverged" if empty.scored.diverged else "no job has a result"
        return f"Undecided: {empty.name} has no mean, because {why}"
    interval, further = found.difference.interval, _would_decide(found)
    if interval is None:
        means = [f"{side.name} has {found.metric.shown(side.scored.mean or 0.0)}" for side in (found.a, found.b)]
        few = "so few seeds tell nothing about the difference"
        return f"Undecided: {' and '.join(means)}; {few}{further}"
    by = by_margin(found.metric, abs(found.difference.mean), interval.half_width)
    tolerance, both = in_full(found.metric, found.tolerance), f"{found.a.name} and {found.b.name}"
    if found.outcome == "within" and not found.tolerance:
        return f"Decided: {both} have the same {found.metric.name} under all seeds that count"
    if found.outcome == "within":
        return f"Decided: {both} differ by less than {tolerance}, by {by}"
    better = found.better
    if better is None:
        return f"Undecided: {both} have the same mean, ± {by.partition('± ')[2]}{further}"
    worse = found.b if better is found.a else found.a
    if found.outcome == "apart":
        more = f", which is more than {tolerance}" if found.tolerance else ""
        return f"Decided: {better.name} is better than {worse.name} by {by}{more}"
    chance = f"more or less than {tolerance}" if found.tolerance else "chance"
    return f"Undecided: {better.name} seems better than {worse.name} by {by}, which may be {chance}{further}"


def _would_decide(found: Comparison) -> str:
    seeds = found.seeds_to_decide
    if seeds is None:
        return ""
    if seeds > MOST_SEEDS:
        return f"; {MOST_SEEDS:,} more seeds each would not decide"
    return f"; about {counted(seeds, 'more seed')} each would probably decide"


def _reservations(side: Chosen) -> list[str]:
    scored = side.scored
    if not scored.diverged or not scored.trained:
        return []
    of = len(scored.trained) + scored.diverged
    return [f"{scored.diverged} of {of} jobs of {side.name} diverged, and its mean is that of the others"]


def _side_as_dict(side: Chosen) -> dict[str, Any]:
    scored = side.scored
    return {
        "sweep": side.sweep.name,
        "name": side.name,
        "leader": side.is_leader,
        "options": side.configuration.options.model_dump(mode="json"),
        "n": len(scored.trained),
        "planned": len(scored.entries),
        "mean": scored.mean if scored.mean is None or math.isfinite(scored.mean) else None,
        **ends_by_name(side.interval),
        "method": None if side.interval is None else side.interval.method,
        "honest_mean": side.honest_mean,
        "diverged": scored.diverged,
        "failed": scored.count("failed"),
        "cancelled": scored.count("cancelled"),
    }
