"""What may be said about the configurations of a sweep: how good each is, which may be the best, and the verdict.

This is the only place that decides it, in numbers and in words. The methods are those of
`orchestrator.analysis.statistics`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from orchestrator.analysis.leaderboard.scores import LAST, Scored, Scoring, worst_of
from orchestrator.analysis.statistics.best import p_best
from orchestrator.analysis.statistics.comparison import Difference, compare, more_seeds
from orchestrator.analysis.statistics.honest import honest_mean
from orchestrator.analysis.statistics.images import new_images_interval
from orchestrator.analysis.statistics.intervals import Interval, confidence_sequence, t_interval
from orchestrator.analysis.statistics.pairs import beats
from orchestrator.folder.rows import Row
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted, listed
from worker.trainers.protocol import Metric

#: The probability that the best configuration is dropped from the contenders.
ALPHA = 0.05
#: With more configurations, not all pairs are compared: each is compared with the first ones, and with its neighbours.
MOST_IN_PAIRS = 1000
FIRST_ONES = 100
#: Most configurations in the model of P(best), by rank.
MOST_IN_MODEL = 1000
#: Most seeds that are worth advising.
MOST_SEEDS = 10_000
#: Most contenders with a forecast, those closest to the leader: each forecast takes a while.
MOST_FORECAST = 5
#: Significant digits of floating-point results: further digits depend on the processor.
DIGITS = 10
#: Most contenders that a sentence names, if their names are short.
MOST_NAMED = 3
#: Decimals beyond which a number is written with an exponent.
MOST_PLACES = 8

#: How jobs without a result ended: the words for one job, and for several.
_ENDS = {
    "missing": ("has no result yet", "have no result yet"),
    "failed": ("failed", "failed"),
    "cancelled": ("was cancelled", "were cancelled"),
}


@dataclass(frozen=True)
class Place:
    """What comparisons say about one configuration.

    Attributes:
        rank: Its rank, from 1.
        rank_low: The best rank that it may have: 1, and one more for each configuration that beats it. None if it is
            not a candidate: no result, or most of its jobs diverged.
        rank_high: The worst rank that it may have.
        contender: Whether it may be the best: no other one beats it.
        beaten_by_leader: Whether the first configuration beats it.
        p_best: The probability that it is the best; None without an estimate.
    """

    rank: int
    rank_low: int | None
    rank_high: int | None
    contender: bool
    beaten_by_leader: bool
    p_best: float | None


class Beaten(BaseModel):
    """The first configuration, by rank, that the leader beats.

    Attributes:
        options: The options that vary.
        difference: By how much the leader is better; over the common seeds if the two are paired.
        margin: The half-width of the difference's interval at the level of the comparison: less than `difference`.
    """

    model_config = ConfigDict(frozen=True)

    options: dict[str, Any]
    difference: float
    margin: float


class Verdict(BaseModel):
    """Which configuration of a sweep to use.

    Attributes:
        sentence: The verdict in words.
        decided: Whether one configuration alone can be the best.
        leader: The varying options of the first contender; None if no configuration can be recommended.
        contenders: The varying options of each configuration that can be the best, by rank, the leader included.
        beaten: The first configuration that the leader beats; None if it beats none.
        seeds_to_decide: About how many more seeds each would separate the leader from the other contenders, if the
            estimated differences are right; None if nothing is left to decide, or if it cannot be estimated.
    """

    model_config = ConfigDict(frozen=True)

    sentence: str
    decided: bool
    leader: dict[str, Any] | None
    contenders: list[dict[str, Any]]
    beaten: Beaten | None
    seeds_to_decide: int | None

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Judgement:
    """What may be said about the configurations of a sweep. Everything is computed on first use, and kept.

    Attributes:
        scored: The configurations by rank.
        rows: Rows by job key.
        scoring: How a job is scored.
        sequential: Whether the sweep was extended after a look at its results: intervals and comparisons then stay
            valid however often one looks.
    """

    scored: Sequence[Scored]
    rows: Mapping[str, Row]
    scoring: Scoring = LAST
    sequential: bool = False

    # Each configuration

    def interval(self, scored: Scored) -> Interval | None:
        """Return the interval for the mean over all seeds, at 95 %; None for too few seeds."""
        values = list(scored.trained.values())
        return confidence_sequence(values) if self.sequential else t_interval(values)

    def on_new_samples(self, scored: Scored) -> Interval | None:
        """Return the interval for the mean on new samples and seeds.

        None if a job's answers are missing. Answers are of the last epoch; the interval is valid for one look.
        """
        answers = None if self.sequential or self.scoring != LAST else scored.answers(self.rows)
        return new_images_interval(np.array(list(answers.values()))) if answers and len(answers) > 1 else None

    @cached_property
    def places(self) -> Sequence[Place]:
        """What comparisons say about each configuration, by rank."""
        k = len(self.candidates)
        found = [
            Place(rank, 1 + beaten_by, k - won, not beaten_by, by_leader, chance)
            for rank, ((beaten_by, won, by_leader), chance) in enumerate(
                zip(self._comparisons, self._p_best, strict=True), 1
            )
        ]
        return [*found, *(Place(rank + 1, None, None, False, False, None) for rank in range(k, len(self.scored)))]

    @cached_property
    def candidates(self) -> Sequence[Scored]:
        """The configurations that can be recommended, by rank: the first ones."""
        return [each for each in self.scored if each.is_candidate]

    @cached_property
    def _comparisons(self) -> list[tuple[int, int, bool]]:
        """For each candidate: how many beat it, how many it beats, and whether the first one beats it.

        One beats another if it ranks above it and wins the test on the jobs that trained, at `ALPHA` for all
        comparisons of one configuration together (`orchestrator.analysis.statistics.pairs.beats`). The rank changes
        nothing if nothing diverged and all have the same seeds. Otherwise it ensures that the first one is a
        contender; as it can only add contenders, the guarantee stands.
        """
        scores = [each.oriented for each in self.candidates]
        k = len(scores)
        beaten_by, won, by_leader = np.zeros(k, np.int64), np.zeros(k, np.int64), np.zeros(k, bool)
        if k > 1 and max(map(len, scores)) > 1:
            first = min(k, MOST_IN_PAIRS if k <= MOST_IN_PAIRS else FIRST_ONES)
            for start in range(0, k - first, MOST_IN_PAIRS) or range(1):
                chunk = np.r_[:first, first + start : min(k, first + start + MOST_IN_PAIRS)]
                level = ALPHA * (len(chunk) - 1) / (k - 1)
                wins = np.triu(beats([scores[i] for i in chunk], level, sequential=self.sequential), 1)
                fresh = slice(None) if start == 0 else slice(first, None)
                beaten_by[chunk[fresh]] += wins.sum(axis=0)[fresh]
                by_leader[chunk[fresh]] = wins[0][fresh]
                won[chunk] += wins[:, fresh].sum(axis=1)
        return list(zip(beaten_by.tolist(), won.tolist(), by_leader.tolist(), strict=True))

    @cached_property
    def _p_best(self) -> list[float | None]:
        """P(best) of each candidate; None without an estimate."""
        asked = [each.oriented for each in self._in_model]
        found = p_best(asked) if len(asked) > 1 else ()
        return [*found, *(None for _ in range(len(self.candidates) - len(found)))]

    @property
    def _in_model(self) -> Sequence[Scored]:
        return self.candidates[:MOST_IN_MODEL]

    # The leader

    @property
    def leader(self) -> Scored | None:
        """The first candidate; None if there is none."""
        return self.candidates[0] if self.candidates else None

    @cached_property
    def honest_mean(self) -> float | None:
        """The mean of the first configuration, corrected for its selection; None without an estimate.

        Each seed is left out of the choice for which its score counts. The choice goes by the ranking's mean, in which
        a job that diverged counts as the worst score of the sweep. With the scoring `best`, the choice of the epoch is
        part of the procedure, too. A leader with one seed has no such estimate: without that seed, it cannot be chosen.
        """
        candidates = self._in_model
        worst = worst_of(each.tally for each in self.scored)
        if not candidates or worst is None or len(candidates[0].trained) + candidates[0].diverged < 2:
            return None
        sign = 1.0 if candidates[0].higher_is_better else -1.0
        chosen = [(each, each.oriented) for each in candidates]
        if self.scoring.kind == "best":
            chosen = [(each, by_epoch) for each in candidates for by_epoch in self._by_epoch(each, sign)]
        merits = [
            {**scores, **{entry.seed: sign * worst for entry in each.entries if entry.status == "diverged"}}
            for each, scores in chosen
        ]
        value = honest_mean([scores for _, scores in chosen], merits)
        return None if value is None else sign * value

    def _by_epoch(self, scored: Scored, sign: float) -> list[dict[int, float]]:
        """Return for each epoch the metric of each seed that trained."""
        curves = {
            entry.seed: self.rows[key].validation_score
            for entry, key in zip(scored.entries, scored.keys, strict=True)
            if entry.status == "succeeded"
        }
        epochs = min(map(len, curves.values()))
        return [{seed: sign * curve[epoch] for seed, curve in curves.items()} for epoch in range(epochs)]

    # The leader against the others

    @property
    def level(self) -> float:
        """One minus the confidence of a difference's interval: it excludes 0 if one candidate beats another.

        A t-test is one-sided, so its alpha counts twice; a sequence covers both directions.
        """
        return (1 if self.sequential else 2) * ALPHA / max(len(self.candidates) - 1, 1)

    def difference(self, first: Scored, second: Scored) -> Difference:
        """Return by how much the first is better, whichever direction is better, at the level of the comparisons."""
        return compare(first.oriented, second.oriented, 1 - self.level, sequential=self.sequential)

    @cached_property
    def contenders(self) -> Sequence[Scored]:
        """The configurations besides the leader that may be the best, by rank."""
        return [each for each, place in zip(self.scored, self.places, strict=True) if place.contender][1:]

    @cached_property
    def unreliable(self) -> Sequence[Scored]:
        """The contenders with a better mean than the leader, which rank below it because jobs of theirs diverged."""
        return [] if self.leader is None else [each for each in self.contenders if _is_better(each, self.leader)]

    @cached_property
    def rivals(self) -> Sequence[Scored]:
        """The contenders except `unreliable`."""
        return [each for each in self.contenders if not any(each is other for other in self.unreliable)]

    @cached_property
    def beaten(self) -> Sequence[Scored]:
        """The configurations that the leader beats, by rank."""
        return [each for each, place in zip(self.scored, self.places, strict=True) if place.beaten_by_leader]

    @cached_property
    def lead(self) -> Difference | None:
        """By how much the leader beats `beaten[0]`; None if it beats none."""
        return None if self.leader is None or not self.beaten else self.difference(self.leader, self.beaten[0])

    @cached_property
    def seeds_to_decide(self) -> int | None:
        """About how many more seeds each would decide; None if nothing is left to decide, or without an estimate."""
        leader = self.leader
        if leader is None or not self.rivals:
            return None
        hardest = sorted(self.rivals, key=lambda each: _effect(leader, each))[:MOST_FORECAST]
        needed = [self._more_seeds(leader, each) for each in hardest]
        return None if None in needed else max(1, *(each or 0 for each in needed))

    def _more_seeds(self, leader: Scored, rival: Scored) -> int | None:
        found = self.difference(leader, rival)
        if found.is_separated:
            return 0  # By the test; the leader does not beat it by its rank.
        return more_seeds(leader.oriented, rival.oriented, found, self.level, sequential=self.sequential)

    @property
    def waits(self) -> bool:
        """Whether a configuration without any result has jobs that have not ended."""
        return any(not each.trained and not each.diverged and each.count("missing") for each in self.scored)

    @property
    def decided(self) -> bool:
        """Whether one configuration alone can be the best."""
        return self.leader is not None and not (self.contenders or self.waits)

    # The verdict

    def verdict(self, names: JobNames) -> Verdict:
        """Return the verdict.

        Args:
            names: Names the configurations, and has the metric.
        """
        beaten, lead = None, self.lead
        if lead is not None and lead.interval is not None:
            options = varying(self.beaten[0], names)
            beaten = Beaten(options=options, difference=rounded(lead.mean), margin=rounded(lead.interval.half_width))
        contenders = () if self.leader is None else (self.leader, *self.contenders)
        return Verdict(
            sentence=sentence(self, names),
            decided=self.decided,
            leader=None if self.leader is None else varying(self.leader, names),
            contenders=[varying(each, names) for each in contenders],
            beaten=beaten,
            seeds_to_decide=self.seeds_to_decide,
        )


def varying(scored: Scored, names: JobNames) -> dict[str, Any]:
    """Return the options of a configuration that vary."""
    return {name: getattr(scored.options, name) for name in names.varying}


def rounded(value: float) -> float:
    """Return a number to `DIGITS` significant digits."""
    return float(f"{value:.{DIGITS}g}")


def _effect(leader: Scored, scored: Scored) -> float:
    """Return the difference of two means in standard deviations: the smaller it is, the harder to tell them apart."""
    sides = [list(each.oriented.values()) for each in (leader, scored)]
    if min(map(len, sides)) < 2:
        return 0.0
    sd = math.hypot(*(float(np.std(side, ddof=1)) for side in sides))
    gap = abs(float(np.mean(sides[0]) - np.mean(sides[1])))
    return gap / sd if sd > 0 else (math.inf if gap else 0.0)


def _is_better(scored: Scored, leader: Scored) -> bool:
    """Return whether the mean of the jobs that trained is better than the leader's."""
    means = [sum(each.oriented.values()) / len(each.trained) for each in (scored, leader)]
    return scored.diverged > 0 and means[0] > means[1]


# The words of a verdict


def sentence(found: Judgement, names: JobNames) -> str:
    """Return the verdict in words: one to four sentences, on one line.

    Args:
        found: The judgement.
        names: Names the configurations, and has the metric.
    """
    parts = [*_conclusion(found, names), *_reservations(found, names)]
    return " ".join(f"{part}." for part in parts)


def _conclusion(found: Judgement, names: JobNames) -> list[str]:
    leader = found.leader
    if leader is None:
        return [_nothing(found)]
    if len(found.scored) == 1:
        return [_alone(leader, found.interval(leader), names.metric)]
    name = _named(leader, names, full=True)
    if found.lead is not None and found.lead.interval is not None:
        first = _named(found.beaten[0], names)
        by = by_margin(names.metric, found.lead.mean, found.lead.interval.half_width)
        more = f", and {counted(len(found.beaten) - 1, 'other')}" if len(found.beaten) > 1 else ""
        rest = [_tied(found, names)] if found.rivals else []
        return [f"Use {name}: it beats {first} by {by}{more}", *rest]
    if not found.contenders:
        others = counted(len(found.scored) - 1, "other")
        verb = "has" if len(found.scored) == 2 else "have"
        if any(each.trained for each in found.scored if each is not leader):
            jobs = "its jobs" if verb == "has" else "their jobs"
            return [f"Only {name} can be recommended; the {others} {verb} no mean, or most of {jobs} diverged"]
        return [f"Only {name} has a mean so far; the {others} {verb} none"]
    ahead = f"Undecided: {name} ranks first with a mean of {names.metric.shown(leader.mean or 0.0)}"
    if max(len(each.trained) for each in (leader, *found.contenders)) < 2:
        return [f"{ahead}, but one seed each cannot tell configurations apart; train at least 5"]
    return [f"{ahead}, but {_tied(found, names)}" if found.rivals else ahead]


def _nothing(found: Judgement) -> str:
    """Say why no configuration can be recommended."""
    if not any(each.trained or each.diverged for each in found.scored):
        return "No job has a result"
    if not any(each.trained for each in found.scored):
        return "All jobs that have a result diverged: no configuration can be recommended"
    return "Most jobs of each configuration diverged: none can be recommended"


def _alone(only: Scored, interval: Interval | None, metric: Metric) -> str:
    value = metric.shown(only.mean or 0.0)
    if interval is not None:
        value = f"{value} (95 % interval {metric.number(interval.low)} to {metric.shown(interval.high)})"
    seeds = counted(len(only.trained), "seed")
    return f"There is one configuration, so nothing to choose: its mean is {value} over {seeds}"


def _tied(found: Judgement, names: JobNames) -> str:
    """Say which configurations tie with the leader, and what would separate them."""
    rivals, seeds = found.rivals, found.seeds_to_decide
    if len(rivals) == 1 or (len(names.varying) == 1 and len(rivals) <= MOST_NAMED):
        who = listed(
            [_named(each, names) + (f" (of which {_diverged(each)})" if each.diverged else "") for each in rivals],
            "and",
        )
    else:
        who = f"{len(rivals)} others"
    text = f"{who} cannot be told from it"
    if seeds is None:
        return text
    if seeds > MOST_SEEDS:
        return f"{text}, nor would {MOST_SEEDS:,} more seeds each tell them apart"
    return f"{text}; about {counted(seeds, 'more seed')} each would probably decide"


def _reservations(found: Judgement, names: JobNames) -> list[str]:
    """Say what the reader should know before acting on the conclusion."""
    leader = found.leader
    told = [
        f"{_named(each, names)} has a better mean, {names.metric.shown(each.mean or 0.0)}, but {_diverged(each)}"
        for each in found.unreliable[:MOST_NAMED]
    ]
    if leader is not None and leader.diverged:
        told.append(f"Of {_named(leader, names)}, {_diverged(leader)}")
    counts = {name: sum(each.count(name) for each in found.scored) for name in _ENDS}
    ended = [f"{count} {_ENDS[name][count > 1]}" for name, count in counts.items() if count]
    if ended:
        jobs = sum(len(each.entries) for each in found.scored)
        told.append(f"Of {counted(jobs, 'job')}, {listed(ended, 'and')}")
    return told


def _named(scored: Scored, names: JobNames, *, full: bool = False) -> str:
    """Return a configuration's name: the value of the only option that varies, or words that other commands take.

    Args:
        scored: The configuration.
        names: Names it.
        full: Whether to name the only option, too.
    """
    if len(names.varying) != 1:
        return names.words(scored.options)
    return names.configuration(scored.options) if full else names.value(scored.options)


def _diverged(scored: Scored) -> str:
    return f"{scored.diverged} of {counted(len(scored.trained) + scored.diverged, 'job')} diverged"


def by_margin(metric: Metric, difference: float, margin: float) -> str:
    """Return a difference with its margin: `0.20 ± 0.12 points` for a share, else without a unit."""
    factor, unit = (100.0, " points") if metric.is_share else (1.0, "")
    value, around = factor * difference, factor * margin
    # Two significant digits of the margin, or two decimals for a share.
    places = 1 - math.floor(math.log10(around)) if around > 0 else 2
    if metric.is_share and around >= 0.01:
        places = 2
    if not 0 <= places <= MOST_PLACES:
        return f"{value:.3g} ± {around:.2g}{unit}"
    while value != around and f"{value:.{places}f}" == f"{around:.{places}f}" and places < MOST_PLACES:
        places += 1
    return f"{value:.{places}f} ± {around:.{places}f}{unit}"
