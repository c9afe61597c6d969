"""The verdict: which configuration to use, which ones cannot be told from it, and how many seeds would tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from orchestrator.analysis.leaderboard.figures import ALPHA, Place, mean_interval, oriented
from orchestrator.analysis.leaderboard.scores import Scored
from orchestrator.analysis.statistics.comparison import compare, more_seeds
from orchestrator.analysis.statistics.intervals import Interval

#: More seeds than these are no advice.
MOST_SEEDS = 10_000
#: Of the contenders, only so many are forecast, those that are the hardest to tell from the leader: each takes a while.
MOST_FORECAST = 5


class Beaten(BaseModel):
    """The first configuration, by rank, that the leader beats.

    Attributes:
        options: The options that vary.
        difference: By how much the leader is better: on the seeds that both have, if the two are paired.
        margin: The half-width of the difference's interval at the level of the comparison: less than `difference`.
    """

    model_config = ConfigDict(frozen=True)

    options: dict[str, Any]
    difference: float
    margin: float


class Verdict(BaseModel):
    """What a sweep says about which configuration to use.

    Attributes:
        sentence: The verdict in words.
        decided: Whether one configuration alone can be the best.
        leader: Its options that vary, or those of the first of several contenders; None if none can be recommended.
        contenders: The options that vary of each configuration that can be the best, by rank, the leader among them.
        beaten: The first configuration that the leader beats; None if it beats none.
        seeds_to_decide: About how many more seeds each would separate the leader from the other contenders, if the
            differences are what they seem; None if nothing is left to decide, or if this cannot be told.
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
class Finding:
    """What the verdict is made of.

    Attributes:
        configurations: All, by rank.
        leader: The first candidate; None if there is none.
        interval: The interval for its mean; None if it has too few seeds.
        contenders: The other configurations that can be the best, by rank.
        rivals: Those of them whose mean is not better.
        unreliable: Those with a better mean, which rank below the leader because more of their jobs diverged.
        beaten: The configurations that the leader beats, by rank.
        difference: By how much it beats the first of them; None if it beats none.
        margin: The half-width of that difference's interval, at the level of the comparison.
        seeds: How many more seeds each would decide; None if unknown.
        waits: Whether configurations without any result have jobs that have not ended.
    """

    configurations: Sequence[Scored]
    leader: Scored | None
    interval: Interval | None
    contenders: Sequence[Scored]
    rivals: Sequence[Scored]
    unreliable: Sequence[Scored]
    beaten: Sequence[Scored]
    difference: float | None
    margin: float | None
    seeds: int | None
    waits: bool

    @property
    def decided(self) -> bool:
        """Whether one configuration alone can be the best."""
        return self.leader is not None and not (self.contenders or self.waits)


def find(configurations: Sequence[Scored], found: Sequence[Place | None], *, sequential: bool) -> Finding:
    """Draw the conclusion.

    Args:
        configurations: By rank.
        found: What comparisons say about each (`orchestrator.analysis.leaderboard.figures.places`).
        sequential: Whether they were made by confidence sequences.
    """
    placed = [(each, place) for each, place in zip(configurations, found, strict=True) if place is not None]
    leader = placed[0][0] if placed else None
    contenders = [each for each, place in placed[1:] if place.contender]
    unreliable = [each for each in contenders if leader is not None and _is_better(each, leader)]
    rivals = [each for each in contenders if not any(each is other for other in unreliable)]
    beaten = [each for each, place in placed[1:] if place.beaten_by_leader]
    difference = margin = seeds = None
    level = comparison_level(len(placed), sequential=sequential)
    if leader is not None and beaten:
        compared = compare(oriented(leader), oriented(beaten[0]), 1 - level, sequential=sequential)
        difference, margin = compared.mean, compared.interval.half_width if compared.interval else None
    if leader is not None and rivals:
        hardest = sorted(rivals, key=lambda each: _effect(leader, each))[:MOST_FORECAST]
        needed = [more_seeds(oriented(leader), oriented(each), level, sequential=sequential) for each in hardest]
        # Zero: they are separated by the test, and the leader does not beat them by its rank.
        seeds = None if None in needed else max(1, *(each or 0 for each in needed))
    waits = any(not each.trained and not each.diverged and each.count("missing") for each in configurations)
    interval = None if leader is None else mean_interval(leader, sequential=sequential)
    return Finding(
        configurations, leader, interval, contenders, rivals, unreliable, beaten, difference, margin, seeds, waits
    )


def comparison_level(candidates: int, *, sequential: bool) -> float:
    """Return one minus the confidence of the interval for a difference, at which one candidate beats another.

    It is that of the comparisons themselves: t in either direction, sequences in both at once.

    Args:
        candidates: How many there are.
        sequential: Whether they are compared by confidence sequences.
    """
    return (1 if sequential else 2) * ALPHA / max(candidates - 1, 1)


def _effect(leader: Scored, scored: Scored) -> float:
    """Return the difference of two means in standard deviations: the smaller it is, the harder to tell them apart."""
    sides = [list(oriented(each).values()) for each in (leader, scored)]
    if min(map(len, sides)) < 2:
        return 0.0
    sd = math.hypot(*(float(np.std(side, ddof=1)) for side in sides))
    gap = abs(float(np.mean(sides[0]) - np.mean(sides[1])))
    return gap / sd if sd > 0 else (math.inf if gap else 0.0)


def _is_better(scored: Scored, leader: Scored) -> bool:
    """Return whether the mean of the jobs that trained is better than the leader's."""
    means = [sum(oriented(each).values()) / len(each.trained) for each in (scored, leader)]
    return scored.diverged > 0 and means[0] > means[1]
