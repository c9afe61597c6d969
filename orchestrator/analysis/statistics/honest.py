"""What "take the leader" is worth: the leader's own mean is flattered, because it was chosen for it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from fractions import Fraction

from orchestrator.analysis.statistics.pairs import Scores


def honest_mean(scores: Sequence[Scores], merits: Sequence[Scores] | None = None) -> float | None:
    """Return the leave-one-seed-out estimate for the procedure that picks the configuration with the highest mean.

    For each seed, the leader is chosen by the means over the other seeds, and its score at that seed is taken, which
    had no part in the choice; the estimate is the mean of what was taken. Equal means go to the first configuration.
    It is cross-validation of a selection (Cawley and Talbot, JMLR 11, 2010), without bias for the procedure.

    With unequal numbers of seeds, every configuration must have something to leave out each time, or else the choice
    would decide what counts. So the seeds of each are dealt, in order, into as many parts as the fewest seeds that a
    configuration has, and a part is left out and taken at a time. Configurations with one seed cannot be chosen. Where
    one configuration is chosen each time, the choice played no part, and the estimate is the mean of all its scores.

    Args:
        scores: The scores of each configuration.
        merits: What the choice goes by, where that is not the scores: at each seed of a configuration, and also at
            seeds without a score, from which nothing is taken.

    Returns:
        The estimate; None if no configuration has two seeds, or if nothing could be taken.
    """
    both = [
        (score, [(seed, Fraction(merit[seed])) for seed in sorted(merit)])
        for score, merit in zip(scores, scores if merits is None else merits, strict=True)
        if len(merit) > 1
    ]
    if not both:
        return None
    n_parts = min(len(merit) for _, merit in both)
    totals = [sum(value for _, value in merit) for _, merit in both]
    chosen, taken = set(), []
    for part in range(n_parts):
        parts = [merit[part::n_parts] for _, merit in both]
        # Exact, so that equal means are equal whatever the order of their sum.
        means = [
            (total - sum(value for _, value in left_out)) / (len(merit) - len(left_out))
            for total, (_, merit), left_out in zip(totals, both, parts, strict=True)
        ]
        first = means.index(max(means))
        chosen.add(first)
        score = both[first][0]
        found = [score[seed] for seed, _ in parts[first] if seed in score]
        taken += [statistics.mean(found)] if found else []
    if len(chosen) == 1:
        taken = list(both[chosen.pop()][0].values())
    return statistics.mean(taken) if taken else None
