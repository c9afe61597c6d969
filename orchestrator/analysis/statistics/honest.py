"""What "take the leader" is worth: the leader's own mean is flattered, because it was chosen for it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from fractions import Fraction

from orchestrator.analysis.statistics.pairs import Scores


def honest_mean(scores: Sequence[Scores]) -> float | None:
    """Return the leave-one-seed-out estimate for the procedure that picks the configuration with the highest mean.

    For each seed, the leader is chosen by the means over the other seeds, and its score at that seed is taken: that
    score had no part in the choice. A seed that this leader lacks is left out. The estimate is the mean of what was
    taken. Equal means go to the first configuration.

    Returns:
        The estimate; None if no score could be taken, as with one seed each.
    """
    totals = [sum(Fraction(value) for value in each.values()) for each in scores]
    taken = []
    for seed in sorted(set().union(*scores)):
        means = [_mean_without(each, total, seed) for each, total in zip(scores, totals, strict=True)]
        candidates = [mean for mean in means if mean is not None]
        if candidates:
            leader = scores[means.index(max(candidates))]
            taken += [leader[seed]] if seed in leader else []
    return statistics.mean(taken) if taken else None


def _mean_without(scores: Scores, total: Fraction | int, seed: int) -> Fraction | None:
    """Return the exact mean over the other seeds; None if there are none."""
    others = len(scores) - (seed in scores)
    return (total - Fraction(scores.get(seed, 0))) / others if others else None
