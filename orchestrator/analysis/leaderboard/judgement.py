"""What may be said about the configurations of a sweep: how good each is, which may be the best, and the verdict.

This is the only place that decides it, in numbers and in words, at any moment of a sweep: while it runs, at its end,
after it was extended, and in a race. The methods are those of `orchestrator.analysis.statistics`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, FailFast

from nn.errors import InvalidInputError
from orchestrator.analysis.leaderboard.scores import LAST, Scored, Scoring, answers_of, worst_of
from orchestrator.analysis.statistics.best import honest_mean, p_best
from orchestrator.analysis.statistics.boundaries import FIRST_LOOK, LOOKS
from orchestrator.analysis.statistics.difference import forecast
from orchestrator.analysis.statistics.images import new_images_interval
from orchestrator.analysis.statistics.intervals import Interval, chi_squared_quantile, confidence_sequence, t_interval
from orchestrator.analysis.statistics.pairs import (
    IN_ORDER,
    Differences,
    as_array,
    differences,
    lower_bounds,
    may_be_best,
    moments,
    regrets,
)
from orchestrator.folder.rows import Row
from orchestrator.sweeps.fields import seeds_as_text
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted, listed
from worker.trainers.protocol import MAX_SCORE, Metric

#: How a sweep came to its rows: as first specified, by an extension after its results could be seen, or by a race.
History = Literal["fixed", "extended", "race"]
State = Literal["so far", "final", "race"]

#: The probability that something that the comparisons say is wrong.
ALPHA = 0.05
#: With more configurations, each is compared with the first ones only.
MOST_IN_PAIRS = 1000
FIRST_ONES = 100
#: Most configurations in the model of P(best), by rank.
MOST_IN_MODEL = 1000
#: Fewest seeds of each contender for P(best): below, no method is calibrated.
LEAST_SEEDS = 5
#: Most jobs that are worth advising.
MOST_JOBS = 10_000
#: Most configurations of a race: a look compares every pair.
MOST_CONFIGURATIONS = 2000
#: The least probability that an advised race decides within its budget (measured: docs/explanation/statistics.md).
SETTLES = 0.9
#: The probability with which the standard deviations are at most those for which its budget is computed.
CERTAINTY = 0.8
#: The same for the number of jobs that it takes if the differences are as they seem.
TYPICAL = 0.65
#: Significant digits of floating-point results: further digits depend on the processor.
DIGITS = 10
#: Most configurations that a sentence names, if their names are short.
MOST_NAMED = 3
#: Decimals beyond which a number is written with an exponent.
MOST_PLACES = 8

#: How jobs without a result ended: the words for one job, and for several.
_ENDS = {
    "missing": ("has no result yet", "have no result yet"),
    "failed": ("failed", "failed"),
    "cancelled": ("was cancelled", "were cancelled"),
}


class Rival(BaseModel, frozen=True, extra="forbid"):
    """A configuration besides the leader that may be the best.

    Attributes:
        options: The options that vary.
        difference: How much better the leader is, in the metric's unit, whichever direction is better; None without a
            comparison, and for one that trains less reliably than the leader.
        low: The lower end of the difference's interval; at most 0, because the rival may be better.
        high: Its upper end.
    """

    options: dict[str, Any]
    difference: float | None
    low: float | None
    high: float | None


class Advice(BaseModel, frozen=True, extra="forbid"):
    """The race that decides further, `orchestrator decide --within --budget`.

    Attributes:
        within: Its tolerance, in the metric's unit: about half of the regret.
        jobs: How many jobs it takes if the differences are what they seem.
        budget: How many suffice with a probability of at least 90 %, also if the contenders are equal.
    """

    within: float
    jobs: int
    budget: int


class Verdict(BaseModel, frozen=True, extra="forbid"):
    """Which configuration of a sweep to use.

    With a probability of at least 95 %, all of this is true at once: the best is one of the contenders, none that
    trains as reliably is better than the leader by more than the regret, and each difference is in its interval. The
    leader's own interval contains its mean with a probability of 95 %.

    Attributes:
        sentence: The verdict in words.
        state: `so far` while jobs are missing, `race` after a race, else `final`.
        decided: Whether it is known which configuration to use: the leader alone can be the best, or no other one is
            better by more than `within`.
        method: By which the configurations are compared: `t`, or `group-sequential t`, which holds at all looks.
        level: The probability that all comparisons are right.
        leader: The varying options of the first contender; None if no configuration can be recommended.
        leader_low: The lower end of the interval for the leader's mean, which allows for its choice.
        leader_high: Its upper end.
        regret: No other configuration that trains as reliably is better than the leader by more, in the metric's unit;
            0 if it is the best.
        within: The regret that suffices; None if none was asked for.
        contenders: The varying options of each configuration that can be the best, by rank, the leader included.
        rivals: The contenders besides the leader.
        advice: The race that decides further; None if it is decided, or cannot be told.
    """

    sentence: str
    state: State
    decided: bool
    method: str
    level: float
    leader: dict[str, Any] | None
    leader_low: float | None
    leader_high: float | None
    regret: float | None
    within: float | None
    contenders: Annotated[list[dict[str, Any]], FailFast()]
    rivals: Annotated[list[Rival], FailFast()]
    advice: Advice | None

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Judgement:
    """What may be said about the configurations of a sweep. Everything is computed on first use, and kept.

    Attributes:
        scored: The configurations by rank.
        rows: Rows by job key.
        names: Names the configurations, and has the metric.
        scoring: How a job is scored.
        history: How the sweep came to its rows.
        within: The regret that suffices; None if every difference counts.
        running: Whether the sweep has further jobs to come, perhaps of other configurations.
        whole: Whether these are all jobs of the sweep; if not, no race is advised, since a race has all of them.
        withdrawn: The seeds of each round that was withdrawn.
        further: How many more configurations the sweep will have.
    """

    scored: Sequence[Scored]
    rows: Mapping[str, Row]
    names: JobNames
    scoring: Scoring = LAST
    history: History = "fixed"
    within: float | None = None
    running: bool = False
    whole: bool = True
    withdrawn: Sequence[tuple[int, ...]] = ()
    further: int = 0

    # How it is judged

    @cached_property
    def state(self) -> State:
        """How far the sweep is."""
        if self.running or any(each.count("missing") or each.count("cancelled") for each in self.scored):
            return "so far"
        return "race" if self.history == "race" else "final"

    @property
    def sequential(self) -> bool:
        """Whether intervals and comparisons stay valid however often one looks: the sweep runs, or was extended."""
        return self.state == "so far" or self.history != "fixed"

    @cached_property
    def resolution(self) -> float:
        """The step between two values of a share over validation samples; 0 for other metrics.

        If no job's answers are known, it is the least difference between two scores; 1 if all are equal.
        """
        if not self.names.metric.is_share:
            return 0.0
        rows = self.rows.values() if self.scoring.metric is None else ()
        known = next((len(bits) for bits in map(answers_of, rows) if bits is not None), None)
        if known is not None:
            return 1 / known
        scores = sorted({score for each in self.scored for score in each.trained.values()})
        return min((after - before for before, after in pairwise(scores)), default=1.0)

    # Each configuration

    def interval(self, scored: Scored, after_epoch: Sequence[float] | None = None) -> Interval | None:
        """Return the interval for the mean over all seeds, at 95 %; None for too few seeds.

        That of the leader allows for its choice, which flatters it.

        Args:
            scored: The configuration.
            after_epoch: The metric of each seed after an epoch; None for the scores.
        """
        sign = 1.0 if scored.higher_is_better else -1.0
        values = [sign * value for value in (scored.trained.values() if after_epoch is None else after_epoch)]
        rule = confidence_sequence if self.sequential else t_interval
        found = rule(values, chosen_of=self._chosen_of(scored))
        if found is None:
            return None
        mean = statistics.fmean(values)
        low, high = min(found.low, mean - self.resolution), max(found.high, mean + self.resolution)
        if not scored.higher_is_better:
            low, high = -high, -low
        return Interval(low, high, found.method).possible(is_share=self.names.metric.is_share)

    def _chosen_of(self, scored: Scored) -> int:
        return self.considered if scored is self.leader else 1

    def on_new_samples(self, scored: Scored) -> Interval | None:
        """Return the interval for the mean on new samples and seeds.

        None if a job's answers are missing. Answers are of the last epoch; the interval is valid for one look.
        """
        answers = None if self.sequential or self.scoring != LAST else scored.answers(self.rows)
        if answers is None:
            return None
        found = new_images_interval(answers.values(), chosen_of=self._chosen_of(scored))
        return None if found is None else found.possible(is_share=self.names.metric.is_share)

    def contends(self, i: int) -> bool:
        """Return whether a configuration may be the best, by its index: a candidate that none above it beats."""
        return i < len(self._stays) and bool(self._stays[i])

    def regret_of(self, i: int) -> float | None:
        """Return how much worse than the best a configuration is at most, in the metric's unit; None if unknown."""
        # A contender that trains less reliably than the leader is not compared with it.
        return None if i >= len(self.candidates) or (self._stays[i] and not self._counts[i]) else self._regrets.get(i)

    def chance(self, i: int) -> float | None:
        """Return the probability that a configuration is the best; None without an estimate, and for no contender."""
        return self._p_best.get(i) if i < len(self.candidates) and self._counts[i] else None

    @cached_property
    def candidates(self) -> Sequence[Scored]:
        """The configurations that can be recommended, by rank: the first ones."""
        return [each for each in self.scored if each.is_candidate]

    @cached_property
    def considered(self) -> int:
        """How many configurations a verdict allows for: while the sweep runs, all that it has or will have."""
        return len(self.scored) + self.further if self.state == "so far" else len(self.candidates)

    @cached_property
    def _values(self) -> NDArray[np.float64]:
        """The scores of the candidates, shape (K, n_seeds).

        In a sequential comparison, those after a job that is still missing do not count: what has been compared must
        not change later.
        """
        if not self.sequential:
            return as_array([each.oriented for each in self.candidates])
        return as_array([{seed: each.in_order.get(seed, math.nan) for seed in each.places} for each in self.candidates])

    @cached_property
    def _when(self) -> NDArray[np.float64] | None:
        """When the sweep got each score, as `differences` has it."""
        if not self.sequential:
            return None
        when = as_array([each.places for each in self.candidates])
        # To sort the pairs of thousands of configurations takes longer than all the rest, and few sweeps need it.
        is_sorted = (when == np.fmax.accumulate(when, axis=-1)) | np.isnan(when)
        return IN_ORDER if is_sorted.all() else when

    @cached_property
    def _bounds(self) -> NDArray[np.float64]:
        """The lower bounds of the differences, of the first candidates, from all: at `ALPHA` for all together."""
        k = len(self.candidates)
        return lower_bounds(
            self._values,
            ALPHA / max(self.considered - 1, 1),
            self._when,
            resolution=self.resolution,
            rows=k if k <= MOST_IN_PAIRS else FIRST_ONES,
        )

    @cached_property
    def _stays(self) -> NDArray[np.bool_]:
        """Whether each candidate may be the best: none that trains as reliably as the leader is shown to be better."""
        return may_be_best(np.where(self._reliable[: len(self._bounds), None], self._bounds, -np.inf))

    @cached_property
    def _reliable(self) -> NDArray[np.bool_]:
        """Whether each candidate trains as reliably as the leader: no job diverged, if none of the leader's did."""
        found = [not each.diverged or self.candidates[0].diverged > 0 for each in self.candidates]
        return np.array(found, dtype=np.bool_)

    @cached_property
    def _counts(self) -> NDArray[np.bool_]:
        return self._stays & self._reliable

    @cached_property
    def _regrets(self) -> Mapping[int, float]:
        """The known regrets of candidates, by index: with alternatives that train as reliably as the leader."""
        most = 1.0 if self.names.metric.is_share else math.inf
        values = enumerate(regrets(self._bounds, self._counts).tolist())
        return {i: min(value, most) for i, value in values if math.isfinite(value)}

    @cached_property
    def _p_best(self) -> Mapping[int, float | None]:
        in_model = range(min(MOST_IN_MODEL, len(self.candidates)))
        asked = [i for i in in_model if self._counts[i] or not self._stays[i]]
        # All contenders have a probability, or none: it compares them with each other.
        is_known = len(asked) > 1 and min(len(self.candidates[i].trained) for i in (0, *self.rivals)) >= LEAST_SEEDS
        found = p_best([self.candidates[i].oriented for i in asked]) if is_known else ()
        return dict(zip(asked, found, strict=False))

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
        candidates = self.candidates[:MOST_IN_MODEL]
        worst = worst_of(self.scored)
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
            entry.seed: self.scoring.values(self.rows[entry.key])
            for entry in scored.entries
            if entry.status == "succeeded"
        }
        epochs = min(map(len, curves.values()))
        return [{seed: sign * curve[epoch] for seed, curve in curves.items()} for epoch in range(epochs)]

    # The leader against the others

    @property
    def regret(self) -> float | None:
        """No other configuration that trains as reliably is better than the leader by more; None if unknown."""
        return self.regret_of(0)

    @cached_property
    def rivals(self) -> Mapping[int, Scored]:
        """The contenders that train as reliably as the leader, by their index among the candidates.

        All of them if jobs of the leader diverged, too.
        """
        return {i: self.candidates[i] for i in np.flatnonzero(self._counts).tolist() if i > 0}

    @cached_property
    def unreliable(self) -> Sequence[Scored]:
        """The contenders of which jobs diverged, while none of the leader's did."""
        return [self.candidates[i] for i in np.flatnonzero(self._stays & ~self._counts).tolist()]

    def gap(self, other: int) -> tuple[float, float, float] | None:
        """Return how much better the leader is than another candidate, and the ends of that difference's interval.

        It follows from the regrets of the two: each is at least as good as the best less its regret. So the intervals
        of all differences are right together with everything else. None without a comparison, and for one that trains
        less reliably than the leader: the regrets leave it out.

        Args:
            other: The index of the candidate, from 1.
        """
        regret, theirs = self.regret, self.regret_of(other)
        if regret is None or theirs is None or not self._counts[other]:
            return None
        return float(self.from_leader.mean[other]), 0.0 - regret, theirs

    @cached_property
    def from_leader(self) -> Differences:
        """How much better the leader is than each candidate, shape (K,), as the comparisons have it."""
        return differences(self._values, moments(self._values), 0, self._when)

    @property
    def decided(self) -> bool:
        """Whether it is known which configuration to use."""
        if self.state == "so far" or self.leader is None or self.regret is None:
            return False
        return self.regret <= (self.within or 0.0)

    def blocking(self, within: float) -> dict[int, Scored]:
        """Return the rivals that may be better than the leader by more than a tolerance, as `rivals` has them."""
        return {i: each for i, each in self.rivals.items() if -self._bounds[0, i] > within}

    @cached_property
    def advice(self) -> Advice | None:
        """The race to the regret that was asked for, or else to half of what it is; None if neither is possible."""
        regret, is_ended = self.regret, self.state != "so far"
        if self.decided or not (regret and self.whole and is_ended) or len(self.scored) > MOST_CONFIGURATIONS:
            return None
        tolerances = [each for each in (self.within, float(f"{regret / 2:.1g}")) if each is not None]
        return next(filter(None, map(self._race_within, tolerances)), None)

    def _race_within(self, within: float) -> Advice | None:
        jobs = self._jobs_within(within, TYPICAL, seems=True)
        budget = self._jobs_within(within, CERTAINTY, seems=False)
        if not jobs or not budget or within < self.resolution or budget > MOST_JOBS:
            return None
        return Advice(within=within, jobs=jobs, budget=max(jobs, budget))

    @cached_property
    def _raced(self) -> Judgement:
        """The judgement of a race that begins now: it compares at all its looks, and may leave more rivals."""
        return self if self.sequential else replace(self, history="race")

    def _jobs_within(self, within: float, certainty: float, *, seems: bool) -> int | None:
        """Return how many jobs bring the regret within a tolerance; None if it cannot be told.

        The differences are what they seem or, unless `seems`, 0.
        """
        of, alpha, leader, last, jobs = self.from_leader, ALPHA / (len(self.candidates) - 1), self.candidates[0], 0, 0
        for i, each in (self.blocking(within) | self._raced.blocking(within)).items():
            df, sd = float(of.df[i]), float(of.error[i] * np.sqrt(of.n[i]))
            if not (df > 0 and math.isfinite(sd)):
                return None
            room = within + (float(of.mean[i]) if seems else 0.0)
            # The true standard deviation is not larger than this one, with this certainty.
            largest = sd * math.sqrt(df / chi_squared_quantile(1 - certainty, df))
            seeds = forecast(largest, room, 2 * alpha, power=0.5)
            both = [{entry.seed for entry in side.entries} for side in (each, leader)]
            common = each.trained.keys() & leader.trained.keys()
            # As many of the further jobs will train as did. A race ends if most do not, also by bad luck.
            fit = common and all(10 * len(side.trained) >= 7 * len(side.entries) for side in (each, leader))
            needed = seeds * len(both[0] & both[1]) / len(common) if fit and seeds is not None else math.inf
            looks = LOOKS[(min(map(len, both)) < LOOKS) & (needed <= LOOKS)]
            if not len(looks):
                return None
            last, jobs = max(last, int(looks[0])), jobs + max(0, int(looks[0]) - len(each.entries))
        return jobs + max(0, last - len(leader.entries))

    # The verdict

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict."""
        leader, stay = self.leader, np.flatnonzero(self._stays).tolist()
        low, high = ends(None if leader is None else self.interval(leader))
        return Verdict(
            sentence=" ".join(f"{part}." for part in [*_conclusion(self), *_reservations(self)]),
            state=self.state,
            decided=self.decided,
            method="group-sequential t" if self.sequential else "t",
            level=1 - ALPHA,
            leader=None if leader is None else self.varying(leader),
            leader_low=low,
            leader_high=high,
            regret=rounded(self.regret) if len(self.candidates) > 1 else None,
            within=self.within,
            contenders=[self.varying(self.candidates[i]) for i in stay],
            rivals=[self._rival(i) for i in stay if i > 0],
            advice=self.advice,
        )

    def _rival(self, i: int) -> Rival:
        difference, low, high = (None, None, None) if (gap := self.gap(i)) is None else map(rounded, gap)
        return Rival(options=self.varying(self.candidates[i]), difference=difference, low=low, high=high)

    def varying(self, scored: Scored) -> dict[str, Any]:
        """Return the options of a configuration that vary."""
        return {name: getattr(scored.options, name) for name in self.names.varying}


def check_within(within: float, metric: Metric) -> None:
    """Raise `InvalidInputError` for a tolerance that is not above 0, or not below 1 for a share, else `MAX_SCORE`."""
    most = 1.0 if metric.is_share else MAX_SCORE
    if not 0.0 < within < most:
        allowed = f"a number above 0 and below {most:g}"
        if metric.is_share:
            allowed += f", because {metric.name} is a share: 0.001 is {amount(metric, 0.001)}"
        raise InvalidInputError("within", within, allowed)


def rounded(value: float | None) -> float | None:
    """Return a number to `DIGITS` significant digits; None stays None."""
    return None if value is None else float(f"{value:.{DIGITS}g}")


def ends(interval: Interval | None) -> tuple[float | None, float | None]:
    """Return the ends of an interval, `rounded`; None without one."""
    return (None, None) if interval is None else (rounded(interval.low), rounded(interval.high))


# The words of a verdict


def _conclusion(found: Judgement) -> list[str]:
    leader, metric = found.leader, found.names.metric
    if leader is None:
        return [_nothing(found)]
    if len(found.scored) == 1:
        return [_alone(leader, found.interval(leader), metric)]
    name = _named(leader, found.names)
    if len(found.candidates) == 1:
        others = [each for each in found.scored if each is not leader]
        the_others = "the other" if len(others) == 1 else f"the {len(others)} others"
        if not any(each.trained for each in others):
            now = " so far" if found.state == "so far" else ""
            return [f"Only {name} has a mean{now}; {the_others} {'has' if len(others) == 1 else 'have'} none"]
        if all(each.diverged for each in others):
            return [f"Only {name} can be recommended; of {the_others}, more jobs diverged than trained"]
        return [f"Only {name} can be recommended; {the_others} have no mean, or more jobs diverged than trained"]
    if found.regret is None:
        few = f"{'So far' if found.state == 'so far' else 'Undecided'}, seeds are too few to compare"
        best = f"{name} has the best mean, {metric.shown(leader.mean or 0.0)}"
        # What is still to come may suffice.
        to_come = found.state == "so far" and min(len(each.places) for each in found.candidates) >= FIRST_LOOK
        return [f"{few}: {best}{'' if to_come else f'; train at least {FIRST_LOOK} seeds each'}"]
    best = "it is the best that trains reliably" if found.unreliable else f"it is the best of {len(found.candidates)}"
    which = "that trains as reliably " if found.unreliable else ""
    if any(not each.trained and not each.diverged for each in found.scored):
        best, which = f"{best} with a result", f"with a result {which}"
    regret = f"no other {which}is better"
    within = found.within if found.rivals and found.regret <= (found.within or 0.0) else None
    if found.regret:
        regret += f" by more than {at_most(metric, found.regret, within)}"
    if within is not None:
        regret += f", within the {in_full(metric, within)} asked for"
    told = regret if found.rivals else best
    first = f"So far, {name} leads: {told}" if found.state == "so far" else f"Use {name}: {told}"
    return [first, *_tied(found), *_ruled_out(found)]


def _nothing(found: Judgement) -> str:
    if not any(each.trained or each.diverged for each in found.scored):
        return "No job has a result"
    if not any(each.trained for each in found.scored):
        return "All jobs that have a result diverged: no configuration can be recommended"
    return "No configuration can be recommended: of those with a result, more jobs diverged than trained"


def _alone(only: Scored, interval: Interval | None, metric: Metric) -> str:
    value = metric.shown(only.mean or 0.0)
    if interval is not None:
        value = f"{value} (95 % interval {metric.number(interval.low)} to {metric.shown(interval.high)})"
    seeds = counted(len(only.trained), "seed")
    return f"There is one configuration, so nothing to choose: its mean is {value} over {seeds}"


def _tied(found: Judgement) -> list[str]:
    """Say which contenders are as good as the leader or better, as far as is known, and by how much."""
    rivals, metric = found.rivals, found.names.metric
    if not rivals:
        return []
    who = _several(list(rivals.values()), found.names)
    # By the common seeds, which may not be those of the leader's mean.
    is_beaten = any(found._bounds[i, 0] > 0 for i in rivals if i < len(found._bounds))
    if is_beaten and len(rivals) > 1:
        # Which one it is would be a statement about the rivals: those of a verdict are about the best.
        return [f"At least one of {who} is better"]
    told = f"{who} {'is' if len(rivals) == 1 else 'are'} "
    told += "as good or better" if is_beaten else "not distinguishable from it"
    gaps = [gap for gap in map(found.gap, rivals) if gap is not None]
    # Of pairs and of independent seeds, no clause could say over which seeds the differences are.
    if who.endswith("others") or len(gaps) < len(rivals) or len(set(found.from_leader.paired[[*rivals]])) > 1:
        return [told]
    # A sequential comparison waits for its next look.
    leader = found.scored[0].trained.keys()
    counts = {(int(found.from_leader.n[i]), len(leader & each.trained.keys())) for i, each in rivals.items()}
    over = ""
    if any(count < common for count, common in counts):
        over = " over their common seeds up to the last look"
        if len(counts) == 1:
            over = " over the first {} of {} common seeds".format(*counts.pop())
    if len(rivals) == 1:
        mean, low, high = gaps[0]
        around = by_margin(metric, mean, (high - low) / 2)
        if not math.isclose(mean - low, high - mean, rel_tol=1e-6):
            # It is cut at 100 points, or where the other one is shown to be better.
            around = f"{amount(metric, mean)}, between {amount(metric, low)} and {amount(metric, high)}"
        return [f"{told}: the difference is {around}{over}"]
    by = listed([f"{100 * mean:z.2f}" if metric.is_share else f"{mean:z.3g}" for mean, _, _ in gaps], "and")
    how = "they are behind by" if min(gaps)[0] >= 0 else "the differences are"
    return [f"{told}: {how} {by}{' points' if metric.is_share else ''}{over}"]


def _ruled_out(found: Judgement) -> list[str]:
    out = [each for i, each in enumerate(found.candidates) if not found.contends(i)]
    if not out or not found.rivals:
        return []
    return [f"{_several(out, found.names)} {'is' if len(out) == 1 else 'are'} ruled out"]


def _several(several: Sequence[Scored], names: JobNames) -> str:
    """Return the names of configurations: the values alone if one option varies, and the number if they are many."""
    if len(several) == 1 or (len(names.varying) == 1 and len(several) <= MOST_NAMED):
        return listed([_named(each, names, full=False) for each in several], "and")
    return f"{len(several)} others"


def _reservations(found: Judgement) -> list[str]:
    """Say what the reader should know before acting on the conclusion."""
    leader, names = found.leader, found.names
    told = [
        f"{_named(each, names, full=False)} may be better, with {found.names.metric.shown(each.mean or 0.0)}, but "
        f"{_diverged(each)}"
        for each in found.unreliable[:MOST_NAMED]
    ]
    if leader is not None and leader.diverged:
        of = f"Of {named}, " if (named := _named(leader, names, full=False)) else ""
        told.append(f"{of}{_diverged(leader)}")
    lost = [each for each in found.scored if each.diverged and not each.is_candidate and len(found.candidates) > 1]
    groups = [[each] for each in lost] if len(lost) <= MOST_NAMED else [lost]
    told += [f"Of {_several(each, names)}, {_diverged(*each)}" for each in groups]
    is_constant = all(len(each.trained) > 1 and len(set(each.trained.values())) == 1 for each in found.candidates)
    if len(found.candidates) > 1 and is_constant:
        told.append("No score depends on the seed")
    counts = {name: sum(each.count(name) for each in found.scored) for name in _ENDS}
    ended = [f"{count} {_ENDS[name][count > 1]}" for name, count in counts.items() if count]
    if ended:
        jobs = sum(len(each.entries) for each in found.scored)
        told.append(f"Of {counted(jobs, 'job')}, {listed(ended, 'and')}")
    if found.withdrawn:
        seeds = seeds_as_text(sorted({seed for each in found.withdrawn for seed in each}))
        told.append(f"{counted(len(found.withdrawn), 'round')} withdrawn{f' (seeds {seeds})' if seeds else ''}")
    return told


def _named(scored: Scored, names: JobNames, *, full: bool = True) -> str:
    """Return the options that vary with their values; unless `full`, the value alone if one option varies."""
    return names.phrase(scored.options) if full or len(names.varying) > 1 else names.value(scored.options)


def _diverged(*several: Scored) -> str:
    diverged = sum(each.diverged for each in several)
    return f"{diverged} of {counted(diverged + sum(len(each.trained) for each in several), 'job')} diverged"


def in_full(metric: Metric, tolerance: float) -> str:
    """Return a tolerance with its unit. Rounded, it could seem to be less than what is within it."""
    return amount(metric, tolerance, DIGITS)


def amount(metric: Metric, value: float, digits: int = 3) -> str:
    """Return a difference with its unit: `0.1 points` of a share in percent."""
    if not metric.is_share:
        return f"{value:.{digits}g}"
    points = f"{100 * value:.{digits}g}"
    return f"{points} point" if points == "1" else f"{points} points"


def at_most(metric: Metric, value: float, within: float | None = None) -> str:
    """Return an upper bound of a difference with its unit, rounded up to two significant digits or to `within`."""
    if not value > 0:
        return amount(metric, 0.0)
    bound = _up(value, 1 - math.floor(math.log10(value)))
    return in_full(metric, within) if within and value <= within < bound else amount(metric, bound)


def by_margin(metric: Metric, difference: float, margin: float) -> str:
    """Return a difference with its margin, rounded up: `0.20 ± 0.12 points` for a share, else without a unit."""
    factor, unit = (100.0, " points") if metric.is_share else (1.0, "")
    value, around = factor * difference, factor * margin
    if not around:
        return f"{value:z.{DIGITS}g} ± 0{unit}"
    # Two significant digits of the margin, or two decimals for a share.
    places = 1 - math.floor(math.log10(around))
    most = places + MOST_PLACES
    if metric.is_share and around >= 0.01:
        places = 2
    # As many more as it takes that the larger one of the two is shown to be.
    size = abs(value)
    while (
        not math.isclose(size, around)
        and np.sign(round(size, places) - _up(around, places)) != np.sign(size - around)
        and places < most
    ):
        places += 1
    bound = _up(around, places)
    if 0 <= places <= MOST_PLACES:
        return f"{value:z.{places}f} ± {bound:.{places}f}{unit}"
    # The last digit of the value is that of the margin.
    shown, digits = (places + 1 + math.floor(math.log10(each)) for each in (max(size, bound), bound))
    return f"{value:z.{shown}g} ± {bound:.{digits}g}{unit}"


def _up(value: float, places: int) -> float:
    # As decimals: powers of ten in binary are inexact, or too large. Digits beyond the tenth are noise.
    return float(Decimal(f"{value:.9e}").quantize(Decimal(1).scaleb(-places), ROUND_CEILING))
