"""A race between a sweep's configurations: which take part, what each look decided, and the answer in words.

It depends only on the sweep's manifest and rows, so a resumed race repeats its earlier decisions. The rules are in
`orchestrator.analysis.statistics.race`, which knows only numbers.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from orchestrator.analysis.statistics import race
from orchestrator.folder.rows import Row
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from orchestrator.sweeps.rounds import Round
from orchestrator.text import counted, listed
from worker.job import Configuration
from worker.trainers.protocol import Metric

#: Why a race ended: the leader beats all others; no other is better by more than the tolerance; the next look takes
#: more jobs than the budget has left; the sweep was cancelled; no configuration trains.
Ending = Literal["separated", "within", "budget", "cancelled", "nothing trains"]

#: Most configurations that a sentence names.
MOST_NAMED = 4
#: One more than the largest seed.
_SEEDS = 2**32


# The configurations


class Field:
    """The configurations of a sweep.

    Args:
        manifest: The sweep.

    Attributes:
        configurations: The configurations, in the sweep's order. Elsewhere, an integer is an index into them.
        jobs: For each configuration, its job keys by seed.
        present: For each configuration, its number of seeds before the race.
        seen: How often the sweep was extended after a look, before the race.
        spent: The number of jobs that races have added.
        metric: What is measured.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._axes = manifest.axes
        jobs = manifest.jobs_by_key()
        found: dict[Configuration, dict[int, str]] = {}
        for key, job in jobs.items():
            found.setdefault(job.configuration, {})[job.seed] = key
        self.configurations = tuple(found)
        self.jobs: tuple[Mapping[int, str], ...] = tuple(found.values())
        self.metric = self.configurations[0].metric
        self._seeds = tuple(dict.fromkeys(job.seed for job in jobs.values()))
        added = added_by_races(manifest)
        self.present = tuple(sum(key not in added for key in each.values()) for each in self.jobs)
        self.spent = len(added)
        kinds = [each.command for each in manifest.looks]
        self.seen = kinds.index("decide") if "decide" in kinds else len(kinds)

    def options(self, configuration: int, names: Iterable[str]) -> dict[str, Any]:
        """Return the values of some options of a configuration."""
        return {name: getattr(self.configurations[configuration].options, name) for name in names}

    def seeds(self, count: int) -> tuple[int, ...]:
        """Return the first seeds of the race: those of the sweep in its order, then the integers after the largest."""
        return (*self._seeds, *self._further(count - len(self._seeds)))[:count]

    def _further(self, count: int) -> Iterator[int]:
        known, seed = set(self._seeds), max(self._seeds)
        while count > 0:
            seed = (seed + 1) % _SEEDS
            if seed not in known:
                count -= 1
                yield seed

    def lacking(self, racing: Iterable[int], seeds: Sequence[int]) -> dict[int, list[int]]:
        """Return the seeds that configurations lack, by configuration; one that has a job for each is left out."""
        lacking = {each: [seed for seed in seeds if seed not in self.jobs[each]] for each in racing}
        return {each: missing for each, missing in lacking.items() if missing}

    def round(self, lacking: Mapping[int, Sequence[int]]) -> Round:
        """Return the round that adds these jobs.

        Every configuration gets every seed that one of them lacks; a job that it already has keeps its key.
        """
        seeds = tuple(dict.fromkeys(seed for missing in lacking.values() for seed in missing))
        points = tuple(self.options(each, self._axes) for each in lacking)
        return Round(kind="decide", seeds=seeds, configurations=points)

    def rows(self, configuration: int, seeds: Iterable[int], rows: Mapping[str, Row]) -> dict[int, Row]:
        """Return the rows that a configuration has under these seeds, by seed."""
        keys = self.jobs[configuration]
        return {seed: rows[keys[seed]] for seed in seeds if seed in keys and keys[seed] in rows}

    def score(self, row: Row) -> float:
        """Return the last epoch's metric; higher is always better."""
        return row.validation_score[-1] if self.metric.higher_is_better else -row.validation_score[-1]

    def scores(self, configuration: int, seeds: Iterable[int], rows: Mapping[str, Row]) -> dict[int, float]:
        """Return the scores of the jobs that trained to their end, by seed. Those that diverged or failed have none."""
        found = self.rows(configuration, seeds, rows)
        return {seed: self.score(row) for seed, row in found.items() if row.status == "succeeded"}


def added_by_races(manifest: Manifest) -> frozenset[str]:
    """Return the keys of the jobs that races have added to a sweep."""
    if not any(each.kind == "decide" for each in manifest.rounds):
        return frozenset()
    added: set[str] = set()
    specification = manifest.specification
    known = set(specification.jobs_by_key(manifest.dataset))
    for each in manifest.rounds:
        new = {job.key for job in each.jobs(specification, manifest.dataset)} - known
        known |= new
        if each.kind == "decide":
            added |= new
        specification = each.extend(specification)
    return frozenset(added)


def unfit(field: Field, racing: Sequence[int], seeds: Sequence[int], rows: Mapping[str, Row]) -> tuple[int, ...]:
    """Return the configurations that a look eliminates without a test, because they do not train reliably.

    A configuration is unfit if fewer than half of its jobs trained to their end. So is one with a diverged job if its
    mean is behind that of a fit configuration without any. In its mean, a diverged job counts as the worst score at
    this look. Such a mean has no interval, so this is a rule, and the race's guarantee covers only the configurations
    that train.
    """
    found = {each: field.rows(each, seeds, rows) for each in racing}
    scores = {each: field.scores(each, seeds, rows) for each in racing}
    diverged = {each: sum(row.status == "diverged" for row in found[each].values()) for each in racing}
    fit = [each for each in racing if scores[each] and 2 * len(scores[each]) >= len(found[each])]
    results = [field.score(row) for each in racing for row in found[each].values() if row.accepted]
    reliable = [statistics.fmean(scores[each].values()) for each in fit if not diverged[each]]

    def is_behind(each: int) -> bool:
        counted = [*scores[each].values(), *[min(results)] * diverged[each]]
        return bool(diverged[each] and reliable) and statistics.fmean(counted) < max(reliable)

    return tuple(each for each in racing if each not in fit or is_behind(each))


# What was decided


@dataclass(frozen=True)
class Terms:
    """When a race ends.

    Attributes:
        within: The tolerance, in the metric's unit: a leader suffices if no configuration is better by more.
        budget: The most jobs that the race adds to the sweep, in all its sessions together.
    """

    within: float
    budget: int


@dataclass(frozen=True)
class Look:
    """What a race decided at one look.

    Attributes:
        seeds: The number of seeds of each configuration.
        leader: The configuration with the best mean.
        beaten: The configurations eliminated because another one is better.
        unfit: Those eliminated because their jobs diverged or failed.
        staying: Those that remain: each may be the best.
    """

    seeds: int
    leader: int
    beaten: tuple[int, ...]
    unfit: tuple[int, ...]
    staying: tuple[int, ...]


@dataclass(frozen=True)
class Course:
    """A race so far.

    Attributes:
        field: The configurations.
        rows: The sweep's rows, by job key.
        terms: When it ends.
        state: The state of the rules.
        looks: The looks, in order.
        ended: Why it ended; None while it goes on.
        round: The further jobs that the next look needs; None if it needs none, or if the race ended.
    """

    field: Field
    rows: Mapping[str, Row]
    terms: Terms
    state: race.Race
    looks: tuple[Look, ...]
    ended: Ending | None
    round: Round | None = None

    @property
    def last(self) -> Look | None:
        """The last look, if there was one."""
        return self.looks[-1] if self.looks else None

    @property
    def decided(self) -> bool:
        """Whether the race ended with an answer."""
        return self.ended in ("separated", "within")

    @property
    def left(self) -> int:
        """The number of jobs that are left in the budget."""
        return self.terms.budget - self.field.spent

    @property
    def seeds(self) -> int:
        """The number of seeds of each configuration at the last look; 0 before the first."""
        return 0 if self.last is None else self.last.seeds

    @property
    def full_grid(self) -> int:
        """The number of jobs if each configuration had as many seeds as at the last look."""
        return len(self.field.configurations) * self.seeds

    @property
    def saved(self) -> int:
        """The number of these jobs that the race skipped."""
        return sum(max(0, self.seeds - len(jobs)) for jobs in self.field.jobs)


def course(manifest: Manifest, rows: Mapping[str, Row], terms: Terms) -> Course:
    """Return the course of the race so far.

    Args:
        manifest: The sweep, of at least two configurations.
        rows: Its rows, by job key. A job without a row has not ended; the race waits for it.
        terms: When the race ends.
    """
    field = Field(manifest)
    state = race.start(race.plan(field.present, terms.budget, terms.within, seen=field.seen))
    looks: list[Look] = []

    def so_far(ended: Ending | None, further: Round | None = None) -> Course:
        return Course(field, rows, terms, state, tuple(looks), ended, further)

    while state.next_look is not None:
        seeds = field.seeds(state.next_look)
        lacking = field.lacking(state.active, seeds)
        if lacking:
            return so_far(None, field.round(lacking))
        found = {each: field.rows(each, seeds, rows) for each in state.active}
        if any(len(each) < len(seeds) for each in found.values()):
            return so_far(None)
        if any(row.status == "cancelled" for each in found.values() for row in each.values()):
            return so_far("cancelled")
        leaving = unfit(field, state.active, seeds, rows)
        if len(leaving) == len(state.active):
            return so_far("nothing trains")
        before = replace(state, active=tuple(each for each in state.active if each not in leaving))
        scores = [field.scores(each, seeds, rows) for each in range(len(field.configurations))]
        state = race.look(before, scores)
        beaten = tuple(each for each in before.active if each not in state.active)
        looks.append(Look(len(seeds), int(state.leader or 0), beaten, leaving, state.active))
    return so_far(state.ended)


# The words


@dataclass(frozen=True)
class Conclusion:
    """The answer of a race.

    Attributes:
        sentence: The answer.
        decided: Whether it is known which configuration to use.
        leader: The varying options of the configuration with the best mean; None before the first look.
        contenders: Those of all that may be the best, the leader's first.
    """

    sentence: str
    decided: bool
    leader: Mapping[str, Any] | None
    contenders: tuple[Mapping[str, Any], ...]

    def __str__(self) -> str:
        return self.sentence


class Wording:
    """Describes a race in words.

    Args:
        course: The race.
        names: Names the sweep's jobs.
    """

    def __init__(self, course: Course, names: JobNames) -> None:
        self._course = course
        self._field = course.field
        self._names = names

    def look(self, look: Look) -> str:
        """Return what a look decided, as a sentence without its full stop."""
        parts = [f"Look at {counted(look.seeds, 'seed')}: {self._name(look.leader)} leads"]
        if look.beaten:
            parts.append(f"{self._named(look.beaten)} leave{'s' if len(look.beaten) == 1 else ''}, beaten")
        parts += [f"{self._name(each)} leaves{self._trouble(each, look.seeds)}" for each in look.unfit[:MOST_NAMED]]
        if len(look.unfit) > MOST_NAMED:
            parts.append(f"{len(look.unfit) - MOST_NAMED} more leave, which diverged or failed")
        parts.append(f"{len(look.staying)} of {len(self._field.configurations)} configurations may be the best")
        return "; ".join(parts)

    def next_look(self) -> str:
        """Return what the next look takes, as a sentence without its full stop."""
        state = self._course.state
        told = f"The next look, at {state.next_look} seeds, takes {counted(state.next_jobs, 'job')}"
        return f"{told}; at most {self._course.left} are left in the budget"

    def conclusion(self) -> Conclusion:
        """Return the answer of a race that ended."""
        last = self._course.last
        if last is None:
            return Conclusion(self._nothing(), False, None, ())
        others = tuple(each for each in last.staying if each != last.leader)
        contenders = tuple(self._field.options(each, self._names.varying) for each in (last.leader, *others))
        return Conclusion(self._sentence(last, others), self._course.decided, contenders[0], contenders)

    def _sentence(self, last: Look, others: Sequence[int]) -> str:
        course = self._course
        leader, seeds = self._name(last.leader), counted(last.seeds, "seed")
        use = f"Use {leader}{self._trouble(last.leader, last.seeds)}"
        tolerance = difference(self._field.metric, course.terms.within)
        if course.ended == "separated":
            reliable = " that trains reliably" if any(look.unfit for look in course.looks) else ""
            return f"{use}: it beats every other configuration{reliable}, decided at {seeds}."
        if course.ended == "within":
            verb = "is" if len(others) == 1 else "are"
            rest = f"; {self._named(others)} {verb} not ruled out" if others else ""
            return f"{use}: no configuration is better by more than {tolerance}, decided at {seeds}{rest}."
        if course.ended == "cancelled":
            return f"Undecided: the sweep was cancelled, with {leader} in the lead at {seeds}."
        if course.ended == "nothing trains":
            since = "more than half of the jobs of every configuration in the race diverged or failed since"
            return f"Undecided: {leader} led at {seeds}, and {since}."
        needed, budget = course.state.next_jobs, course.terms.budget
        return (
            f"Tied: {self._named((last.leader, *others))} cannot be told apart within {tolerance} at {seeds}; the next "
            f"look takes {counted(needed, 'further job')}, and {course.left} of {budget} are left in the budget: a "
            f"budget of {self._field.spent + needed} goes on."
        )

    def _nothing(self) -> str:
        course = self._course
        if course.ended == "budget":
            needed = counted(course.state.next_jobs, "further job")
            return f"Undecided: the first look takes {needed}, more than the budget of {course.terms.budget}."
        if course.ended == "cancelled":
            return "Undecided: the sweep was cancelled before the first look."
        return "Undecided: more than half of the jobs of every configuration diverged or failed."

    def _name(self, configuration: int) -> str:
        """Return a configuration as words: `learning rate 0.03`."""
        return self._names.configuration(self._field.configurations[configuration].options)

    def _named(self, configurations: Sequence[int]) -> str:
        """Return configurations as a list: the first few named, the rest counted."""
        more = len(configurations) - MOST_NAMED
        return listed([*map(self._name, configurations[:MOST_NAMED]), *([f"{more} more"] if more > 0 else [])], "and")

    def _trouble(self, configuration: int, seeds: int) -> str:
        """Return which jobs of a configuration did not train at a look: ` (2 diverged of its 5 jobs)`, or nothing."""
        found = self._field.rows(configuration, self._field.seeds(seeds), self._course.rows).values()
        counts = {status: sum(row.status == status for row in found) for status in ("diverged", "failed")}
        told = [f"{count} {status}" for status, count in counts.items() if count]
        return f" ({' and '.join(told)} of its {counted(seeds, 'job')})" if told else ""


def difference(metric: Metric, value: float) -> str:
    """Return a difference of two metrics with its unit: `0.1 points` of a share in percent."""
    return f"{100 * value:.3g} points" if metric.is_share else f"{value:.3g}"
