"""Which configurations may still be the best, and between which ranks each lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.statistics.pairs import Scores, as_array, rows_of_bounds


@dataclass(frozen=True)
class Contenders:
    """What comparisons of all pairs say about K configurations, in the order in which they were given.

    Attributes:
        kept: Whether the configuration may be the best: no other one beats it.
        beats: bool, shape (K, K): whether the row's configuration beats the column's.
        rank_low: The best rank that each may have, from 1: one more than beat it.
        rank_high: The worst rank: K, less those that it beats.
    """

    kept: tuple[bool, ...]
    beats: NDArray[np.bool_]
    rank_low: tuple[int, ...]
    rank_high: tuple[int, ...]


def contenders(scores: Sequence[Scores], alpha: float = 0.05, *, sequential: bool = False) -> Contenders:
    """Return the configurations that may be the best; the true best is not among them with probability at most alpha.

    One beats another if a one-sided test (paired or Welch, as in `compare`) rejects at alpha / (K - 1). By the union
    bound over its K - 1 rivals, the best is beaten by none. Neither equal variances nor equal numbers of seeds are
    needed. Gupta (Technometrics 7, 1965) and Hsu (Annals of Statistics 12, 1984) have the idea.

    Args:
        scores: For each configuration, its scores by seed. One with fewer than two can neither beat nor be beaten.
        alpha: The probability of dropping the best.
        sequential: Compare by confidence sequences; the guarantee then holds at all looks together.
    """
    values, rivals = as_array(scores), max(len(scores) - 1, 1)
    rows = [bounds > 0 for bounds in rows_of_bounds(values, alpha / rivals, sequential=sequential)]
    beats = np.array(rows, dtype=np.bool_).reshape(len(scores), len(scores))
    beaten, won = beats.sum(axis=0), beats.sum(axis=1)
    return Contenders(
        kept=tuple(bool(count == 0) for count in beaten),
        beats=beats,
        rank_low=tuple(1 + int(count) for count in beaten),
        rank_high=tuple(len(scores) - int(count) for count in won),
    )
