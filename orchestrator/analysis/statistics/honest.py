"""What the leader is worth: its own mean is too good, because the leader was chosen by it."""

import statistics
from collections.abc import Sequence
from fractions import Fraction

from orchestrator.analysis.statistics.pairs import Scores


def honest_mean(scores: Sequence[Scores], merits: Sequence[Scores] | None = None) -> float | None:
    """Return the leave-one-seed-out estimate for the procedure that picks the configuration with the highest mean.

    For each seed, the leader is chosen by the means over the other seeds; its score at that seed, which had no part in
    the choice, counts. The estimate is the mean of the scores that count. Ties go to the first configuration. This is
    cross-validation of a selection (Cawley and Talbot, JMLR 11, 2010), and unbiased for the procedure.

    With unequal numbers of seeds, each configuration must have a score to leave out each time; otherwise the choice
    would decide which scores count. So the seeds of each are dealt, in order, into n parts, one left out at a time; n
    is the smallest number of seeds of a configuration. Configurations with one seed cannot be chosen. If the same
    configuration is chosen each time, the choice played no part, and the estimate is the mean of all its scores.

    Args:
        scores: The scores of each configuration.
        merits: The values by which the leader is chosen, if not the scores: for each seed of a configuration, also for
            seeds without a score, which add nothing to the estimate.

    Returns:
        The estimate; None if no configuration has two seeds, or if no score counts.
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
