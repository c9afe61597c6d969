"""What "take the leader" is worth: the leader's own mean is flattered, because it was chosen for it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from fractions import Fraction

from orchestrator.analysis.statistics.pairs import Scores


def honest_mean(scores: Sequence[Scores]) -> float | None:
    """Return the leave-one-seed-out estimate for the procedure that picks the configuration with the highest mean.

    For each seed, the leader is chosen by the means over the other seeds, and its score at that seed is taken, which
    had no part in the choice; the estimate is the mean of what was taken. Equal means go to the first configuration.
    It is cross-validation of a selection (Cawley and Talbot, JMLR 11, 2010), without bias for the procedure.

    With unequal numbers of seeds, every configuration must have something to leave out each time, or else the choice
    would decide what counts. So the seeds of each are dealt, in order, into as many parts as the fewest seeds that a
    configuration has, and a part is left out and taken at a time. Configurations with one seed cannot be chosen.

    Returns:
        The estimate; None if no configuration has two seeds.
    """
    several = [[each[seed] for seed in sorted(each)] for each in scores if len(each) > 1]
    if not several:
        return None
    n_parts = min(len(values) for values in several)
    totals = [sum(map(Fraction, values)) for values in several]
    taken = []
    for part in range(n_parts):
        parts = [values[part::n_parts] for values in several]
        # Exact, so that equal means are equal whatever the order of their sum.
        means = [
            (total - sum(map(Fraction, left_out))) / (len(values) - len(left_out))
            for values, total, left_out in zip(several, totals, parts, strict=True)
        ]
        taken.append(statistics.mean(parts[means.index(max(means))]))
    return statistics.mean(taken)
