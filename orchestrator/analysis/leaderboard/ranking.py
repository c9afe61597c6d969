"""The rule by which configurations are ranked. It needs no statistics, so that progress can afford it for every row.

A configuration of which more jobs trained than diverged, or as many, comes before one of which fewer did, and that
before one without a result. Among these, the better mean comes first, in which a job that diverged counts as the worst
score of the whole sweep; then the better worst score, then the order of the sweep's specification. Where nothing
diverged, that is the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from orchestrator.analysis.leaderboard.scores import Scored

#: Means that agree to so many significant digits are equal: further digits show only how the metrics were rounded.
DIGITS = 12


def ranked(configurations: Iterable[Scored]) -> list[Scored]:
    """Return the configurations, the first rank first."""
    listed = list(configurations)
    worst = worst_of(listed)
    return sorted(listed, key=lambda each: merit(each, worst))


def worst_of(configurations: Iterable[Scored]) -> float | None:
    """Return the worst score that any job of these configurations ended with; None without any."""
    found = [(each.worst_result, each.higher_is_better) for each in configurations if each.worst_result is not None]
    return (min if found[0][1] else max)(value for value, _ in found) if found else None


def is_candidate(scores: Scored) -> bool:
    """Return whether a configuration can be recommended: at least one job trained, and not fewer than diverged."""
    return len(scores.trained) >= max(scores.diverged, 1)


def merit(scores: Scored, worst: float | None) -> tuple[int, float, float]:
    """Return a sort key: the lowest ranks first. Sorting keeps the order of equals.

    Args:
        scores: A configuration.
        worst: The worst score of the sweep, at which a diverged job counts.
    """
    if scores.mean is None or scores.worst is None or worst is None:
        return (2, float(scores.diverged == 0), math.inf)
    sign = -1.0 if scores.higher_is_better else 1.0
    trained, diverged = len(scores.trained), scores.diverged
    value = scores.mean if not diverged else (scores.mean * trained + worst * diverged) / (trained + diverged)
    return (0 if is_candidate(scores) else 1, float(f"{sign * value:.{DIGITS}g}"), sign * scores.worst)
