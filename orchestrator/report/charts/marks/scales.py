"""Scales of axes that are chosen here, so that labels and dots can be placed by their pixels."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

#: Values above zero in at least such a ratio have a logarithmic axis.
LEAST_RATIO = 50.0
#: Below it, ratios leave the range of floating point.
SMALLEST = 1e-100


@dataclass(frozen=True)
class Scale:
    """The scale of an axis: from `low` to `high`, linear or logarithmic."""

    low: float
    high: float
    is_log: bool = False

    @classmethod
    def of(cls, values: Collection[float], *, is_share: bool = False, is_log: bool | None = None) -> Scale:
        """Return a scale that shows all values, with a little room around them.

        Args:
            values: At least one, in the unit of the axis.
            is_share: Whether they are shares in percent: the scale is linear, and ends where a share does.
            is_log: Whether it is logarithmic; None for what their ratio suggests.
        """
        low, high = min(values), max(values)
        if is_log is None:
            is_log = not is_share and low > 0 and high / low >= LEAST_RATIO
        if is_log and low >= SMALLEST:
            room = (high / low) ** 0.04 if high > low else 1.5
            return cls(low / room, high * room, is_log=True)
        room = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
        if is_share:
            return cls(max(low - room, min(low, 0.0)), min(high + room, max(high, 100.0)))
        return cls(low - room, high + room)

    def inside(self, value: float) -> float:
        """Return the value, or the end of the scale that it is beyond."""
        return min(max(value, self.low), self.high)

    def share(self, value: float) -> float:
        """Return at which share of the axis a value lies, from 0 to 1."""
        ends = (self.low, self.high, self.inside(value))
        low, high, at = map(math.log, ends) if self.is_log else ends
        return (at - low) / (high - low)

    def at(self, share: float) -> float:
        """Return the value at a share of the axis."""
        if self.is_log:
            return math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        return self.low + share * (self.high - self.low)

    def down(self, value: float, length: float) -> float:
        """Return where a value lies on a vertical axis of so many pixels, counted from the top."""
        return length * (1 - self.share(value))

    def across(self, value: float, length: float) -> float:
        """Return where a value lies on a horizontal axis of so many pixels."""
        return length * self.share(value)

    @property
    def format(self) -> str | None:
        """The format of the numbers beside the axis, where the usual one would be long; None elsewhere."""
        largest = max(abs(self.low), abs(self.high))
        return ".4~g" if largest >= 1e6 or largest < 1e-3 else None


def is_in_ratios(values: Sequence[float]) -> bool:
    """Return whether values that someone chose are in ratios, as learning rates are, and not in equal distances.

    They are if the gaps between their logarithms are more alike than those between the values themselves.

    Args:
        values: By size, each once.
    """
    if len(values) < 2 or values[0] <= 0:
        return False
    ratio = values[-1] / values[0]
    if len(values) == 2:
        return ratio >= 5
    return ratio >= 4 and _unlike([math.log(value) for value in values]) < _unlike(values)


def _unlike(values: Sequence[float]) -> float:
    """Return the coefficient of variation of the gaps between values."""
    gaps = [high - low for low, high in pairwise(values)]
    return statistics.pstdev(gaps) / statistics.fmean(gaps)


def apart(places: Sequence[float], distance: float, length: float) -> list[float]:
    """Return places on a line, moved so that any two are at least a distance apart, and in the same order.

    Args:
        places: In pixels.
        distance: In pixels.
        length: Of the line; beyond its end only where there is no room otherwise.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = [places[i] for i in order]
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + distance)
    limit = max(length, (len(moved) - 1) * distance)
    for i in range(len(moved) - 1, -1, -1):
        moved[i] = min(moved[i], limit)
        limit = moved[i] - distance
    found = [0.0] * len(places)
    for i, place in zip(order, moved, strict=True):
        found[i] = place
    return found
