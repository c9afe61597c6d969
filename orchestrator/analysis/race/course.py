"""The course of a race: what it decided at each look, and what it needs for the next one.

It follows from the sweep's manifest and rows alone, so whoever goes on with a race makes the same decisions again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from orchestrator.analysis.race.field import Field, unfit
from orchestrator.analysis.statistics import race
from orchestrator.folder.rows import Row
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.rounds import Round

#: Why a race ended: the leader beats all others; no other is better by more than the tolerance; the next look takes
#: more jobs than the budget has left; the sweep was cancelled; no configuration trains.
Ending = Literal["separated", "within", "budget", "cancelled", "nothing trains"]


@dataclass(frozen=True)
class Terms:
    """When a race ends.

    Attributes:
        within: The tolerance, in the unit of the metric. A leader is good enough if no configuration is better by more.
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
        beaten: The configurations that left the race because another one is better.
        unfit: Those that left it because their jobs diverged or failed.
        staying: Those that stayed: each may be the best.
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
        field: Who takes part.
        state: The state of the rules.
        looks: The looks, in order.
        ended: Why the race ended; None while it goes on.
        round: The further jobs that the next look needs; None if it needs none, or if the race ended.
    """

    field: Field
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

    @cached_property
    def seeds(self) -> int:
        """The number of seeds of each configuration at the last look; 0 before the first."""
        return 0 if self.last is None else self.last.seeds

    @property
    def full_grid(self) -> int:
        """The number of jobs of all configurations under as many seeds as the race ended with."""
        return len(self.field.configurations) * self.seeds

    @property
    def saved(self) -> int:
        """The number of these jobs that the race did without."""
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
        return Course(field, state, tuple(looks), ended, further)

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
