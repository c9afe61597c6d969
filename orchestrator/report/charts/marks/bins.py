"""Bins: the parts of an axis into which the jobs of a large sweep are counted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from orchestrator.report.charts.marks.scales import Scale


def parts(scale: Scale, count: int) -> list[float]:
    """Return the `count` + 1 ends of equal parts of a scale, in ratios if it is logarithmic."""
    return [scale.at(i / count) for i in range(count)] + [scale.high]


def around(values: Sequence[float], scale: Scale, most: int) -> list[float]:
    """Return the ends of bins that have one value each, halfway between them; of more than `most`, those of `parts`.

    Args:
        values: By size, at least one, each once.
        scale: A scale that has them all.
        most: How many bins at most.
    """
    if len(values) > most:
        return parts(scale, most)
    shares = [scale.share(value) for value in values]
    inner = [scale.at((low + high) / 2) for low, high in pairwise(shares)]
    return [scale.low, *inner, scale.high]


def index(ends: Sequence[float], value: float) -> int:
    """Return in which bin a value is, from 0; the last bin has its upper end."""
    return min(max(bisect_right(ends, value) - 1, 0), len(ends) - 2)
