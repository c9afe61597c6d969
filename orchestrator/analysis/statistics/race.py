"""The rules of a race: configurations train on more seeds, and those that are beaten are eliminated.

A race is a fold over looks: `start` it, bring every active configuration to `next_look` seeds, pass their scores to
`look`, and repeat until it has `ended`. It depends only on the scores, so it can be replayed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.statistics.pairs import Floats, Scores, as_array, lower_bounds, moments

FIRST_LOOK = 5

End = Literal["separated", "within", "budget"]


@dataclass(frozen=True)
class Rules:
    """What is fixed before a race begins.

    Attributes:
        present: For each configuration, how many seeds it has already.
        budget: How many jobs the race may add.
        tolerance: The race also ends when the leader is proven at most this much worse than the best; 0 for never.
        alpha: The probability that the best is dropped, or that the tolerance is exceeded, at any look.
        looks: The numbers of seeds at which it looks, ascending; the last one is more than the budget can pay for.
        seen: How often the sweep was extended after a look at its results, before the race: each counts as a look.
    """

    present: tuple[int, ...]
    budget: int
    tolerance: float = 0.0
    alpha: float = 0.05
    looks: tuple[int, ...] = ()
    seen: int = 0


@dataclass(frozen=True)
class Race:
    """A race after some looks.

    Attributes:
        rules: What was fixed before.
        looks: How many looks were made.
        active: The indices of those that may be the best, ascending.
        leader: The index of the active one with the highest mean at the last look; None before the first.
        ended: Why it ended; None while it goes on.
        jobs: How many jobs the looks so far needed beyond those present.
    """

    rules: Rules
    looks: int
    active: tuple[int, ...]
    leader: int | None
    ended: End | None
    jobs: int

    @property
    def next_look(self) -> int | None:
        """The number of seeds that each active configuration needs for the next look; None if the race has ended."""
        return None if self.ended else self.rules.looks[self.looks]

    @property
    def next_jobs(self) -> int:
        """How many jobs the next look needs, even if the budget lacks them; 0 if the race is decided."""
        return 0 if self.ended in ("separated", "within") else _jobs(self.rules, self.active, self.looks)


def plan(present: Sequence[int], budget: int, tolerance: float = 0.0, alpha: float = 0.05, *, seen: int = 0) -> Rules:
    """Return the rules of a race: looks at 5, 10, 20, 40, ... seeds, from the first that no configuration has passed.

    The looks depend on neither scores nor budget: a race that goes on with a larger budget is the same race, and keeps
    its decisions.

    Args:
        present: For each configuration, how many seeds it has.
        budget: How many jobs the race may add.
        tolerance: As in `Rules`.
        alpha: As in `Rules`.
        seen: As in `Rules`.
    """
    n = FIRST_LOOK
    while n < min(present, default=0):
        n *= 2
    looks = [n]
    while looks[-1] <= max(present, default=0) + budget:
        looks.append(2 * looks[-1])
    return Rules(tuple(present), budget, tolerance, alpha, tuple(looks), seen)


def start(rules: Rules) -> Race:
    """Return a race before its first look. It has ended if there is one configuration, or no budget for a look."""
    active = tuple(range(len(rules.present)))
    ended: End | None = "separated" if len(active) < 2 else _out_of_budget(rules, active, 0, 0)
    return Race(rules, looks=0, active=active, leader=0 if len(active) == 1 else None, ended=ended, jobs=0)


def look(race: Race, scores: Sequence[Scores]) -> Race:
    """Return the race after its next look.

    A configuration is eliminated if another active one beats it at this look's share of alpha, divided by its K - 1
    rivals. The shares, 6 alpha / (pi l)^2 at look l, sum to alpha however many looks there are. If all bounds of
    differences to the best hold at every look, the best is never dropped, and one that is proven within the tolerance
    of all active ones is within that of the best. So both guarantees together fail with probability at most alpha.

    Args:
        race: A race that has not ended.
        scores: For every configuration, the scores that it has for its first `next_look` seeds. Those of eliminated
            configurations are not used.
    """
    if race.next_look is None:
        raise ValueError("The race has ended")
    rules = race.rules
    active = np.array(race.active)
    values = as_array([scores[i] for i in race.active])
    bounds = lower_bounds(values, spent(rules, race.looks + 1))
    lost = (bounds > 0).any(axis=0)
    # In theory, those with missing scores can beat each other in a circle.
    lost &= not lost.all()
    active, bounds, means = active[~lost], bounds[~lost][:, ~lost], moments(values).mean[~lost]
    close = _close(bounds, rules.tolerance)
    candidates = np.where(np.isnan(means) | (close.any() & ~close), -np.inf, means)
    jobs = race.jobs + race.next_jobs
    kept = tuple(active.tolist())
    return Race(
        rules=rules,
        looks=race.looks + 1,
        active=kept,
        leader=int(active[candidates.argmax()]),
        ended="separated"
        if len(kept) == 1
        else "within"
        if close.any()
        else _out_of_budget(rules, kept, race.looks + 1, jobs),
        jobs=jobs,
    )


def spent(rules: Rules, number: int) -> float:
    """Return the alpha of each comparison at a look of the race; looks are numbered from 1."""
    rivals = max(len(rules.present) - 1, 1)
    return 6 * rules.alpha / (math.pi * (rules.seen + number)) ** 2 / rivals


def _close(bounds: Floats, tolerance: float) -> NDArray[np.bool_]:
    """Return which are proven at most the tolerance worse than all others."""
    if tolerance <= 0:
        return np.zeros(len(bounds), dtype=np.bool_)
    others = ~np.eye(len(bounds), dtype=np.bool_)
    return np.asarray(((bounds > -tolerance) | ~others).all(axis=1))


def _out_of_budget(rules: Rules, active: Sequence[int], looks: int, jobs: int) -> End | None:
    fits = looks < len(rules.looks) and jobs + _jobs(rules, active, looks) <= rules.budget
    return None if fits else "budget"


def _jobs(rules: Rules, active: Sequence[int], looks: int) -> int:
    """Return how many jobs bring the active configurations to the look after `looks` looks."""
    before = rules.looks[looks - 1] if looks else 0
    return sum(max(0, rules.looks[looks] - max(before, rules.present[i])) for i in active)
