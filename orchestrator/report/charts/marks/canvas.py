"""What all charts share: scales, and the parts of a specification: data, numeric axes, layers.

Scales are chosen here and not by Vega-Lite, because charts in a terminal share them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from orchestrator.errors import MissingPackageError
from worker.trainers.protocol import MAX_SCORE

#: Least ratio of positive values that suggests a logarithmic axis.
LEAST_RATIO = 50.0
#: What lies far off: least distance from the median in median deviations, largest share of all values, and the least
#: factor by which it would lengthen the axis.
FAR, FEW, CROWDED = 10.0, 0.1, 4.0
#: Below it, ratios and steps of an axis leave the range of floating point.
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
            values: In the unit of the axis; without any, the scale shows all shares, or 0 to 1.
            is_share: Whether they are shares in percent: the scale is linear, without room beyond 0 and 100.
            is_log: Whether it is logarithmic; None to decide by their ratio.
        """
        values = values or (0.0, 100.0 if is_share else 1.0)
        low, high = min(values), max(values)
        if is_log is None:
            is_log = not is_share and low > 0 and high / low >= LEAST_RATIO
        if is_log and low >= SMALLEST:
            room = (high / low) ** 0.04 if high > low else 1.5
            return cls(low / room, high * room, is_log=True)
        room = next((each for each in (0.04 * (high - low), 0.05 * abs(high)) if each >= SMALLEST), 1.0)
        if is_share:
            return cls(max(low - room, min(low, 0.0)), min(high + room, max(high, 100.0)))
        return cls(low - room, high + room)

    @classmethod
    def around(cls, values: Collection[float], *, is_share: bool = False) -> Scale:
        """Return a scale that shows where most values are, without the few that lie far off: they are at its edge."""
        if len(values) < 4:
            return cls.of(values, is_share=is_share)
        middle = statistics.median(values)
        usual = statistics.median(abs(value - middle) for value in values)
        inner = [value for value in values if abs(value - middle) <= FAR * usual]
        is_few = len(values) - len(inner) <= max(1, FEW * len(values))
        is_crowded = CROWDED * (max(inner) - min(inner)) < max(values) - min(values)
        return cls.of(inner if is_few and is_crowded else values, is_share=is_share)

    def beyond(self, values: Iterable[float], arrows: str = "◂▸") -> dict[bool, str]:
        """Return what lies beyond the lower end (False) and the upper one (True) as text with an arrow: `◂ 11.24`."""
        every = list(values)
        found = {}
        for is_high, far in ((False, [v for v in every if v < self.low]), (True, [v for v in every if v > self.high])):
            if far:
                ends = dict.fromkeys(f"{end:.4g}" for end in (min(far), max(far)))
                said = f"{f'{len(far)} at ' if len(far) > 1 else ''}{' to '.join(ends)}"
                found[is_high] = f"{said} {arrows[1]}" if is_high else f"{arrows[0]} {said}"
        return found

    def within(self, value: float) -> float:
        """Return a value, or the end of the axis beyond which it lies."""
        return min(max(value, self.low), self.high)

    def share(self, value: float) -> float:
        """Return the share of the axis below a value, from 0 to 1."""
        ends = (self.low, self.high, self.within(value))
        low, high, at = map(math.log, ends) if self.is_log else ends
        return (at - low) / (high - low)

    def at(self, share: float) -> float:
        """Return the value at a share of the axis."""
        if self.is_log:
            return math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        return self.low + share * (self.high - self.low)


def are_numbers(values: Sequence[Any]) -> bool:
    """Return whether all values are numbers within what an axis can show, and none is a bool."""
    return all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and -MAX_SCORE <= value <= MAX_SCORE
        for value in values
    )


def is_in_ratios(values: Sequence[float]) -> bool:
    """Return whether chosen values are spaced by ratios, as learning rates are, rather than by distances.

    They are if the gaps between their logarithms vary less than those between the values themselves.

    Args:
        values: In ascending order, each once.
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
    """Return positions on a line, moved to be at least a distance apart, in the same order.

    Vega-Lite leaves out labels that overlap, or lets them overlap; it moves none.

    Args:
        places: The positions, in any unit, from the start of the line.
        distance: In the same unit.
        length: Of the line; exceeded only if it is too short.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    found = list(places)
    for before, i in pairwise(order):
        found[i] = max(found[i], found[before] + distance)
    limit = max(length, (len(places) - 1) * distance)
    for i in reversed(order):
        found[i] = min(found[i], limit)
        limit = found[i] - distance
    return found


class Canvas:
    """Makes a specification with Altair, with the data outside the layers.

    Altair checks and copies data inside a layer value by value: for 2,000 jobs, that takes ten seconds.

    Raises:
        MissingPackageError: the packages that charts need are not installed.

    Attributes:
        alt: Altair.
        own_colour: The encoding of a mark's colour by the field `colour`.
    """

    def __init__(self) -> None:
        MissingPackageError.check("A chart")
        import altair

        self.alt: Any = altair
        self.own_colour: Any = self.alt.Color("colour:N", scale=None)
        self._datasets: dict[str, Sequence[Mapping[str, Any]]] = {}

    def chart(self, values: Sequence[Mapping[str, Any]]) -> Any:
        """Return an Altair chart of these values, still without mark and encodings."""
        name = f"data-{len(self._datasets) + 1}"
        self._datasets[name] = values
        return self.alt.Chart(self.alt.NamedData(name=name))

    def channel(self, name: str, field: str, title: str, scale: Scale, *, clamp: bool = False, **axis: Any) -> Any:
        """Return the encoding of numbers as positions.

        Args:
            name: `X` or `Y`.
            field: The field with the numbers.
            title: Of the axis.
            scale: Of the axis.
            clamp: Whether numbers beyond the scale have their place at its end.
            axis: Further options of the axis.
        """
        kind = "log" if scale.is_log else "linear"
        ends = self.alt.Scale(domain=[scale.low, scale.high], type=kind, nice=False, zero=False, clamp=clamp)
        # Other numbers would be long in the usual format.
        if not 1e-3 <= max(abs(scale.low), abs(scale.high)) < 1e6:
            axis.setdefault("format", ".4~g")
        return getattr(self.alt, name)(f"{field}:Q", title=title, scale=ends, axis=self.alt.Axis(**axis))

    def layered(self, layers: Sequence[Any], *, width: Any, height: Any) -> dict[str, Any]:
        """Return the specification of the layers, the first one at the bottom.

        Args:
            layers: What `chart` returned, encoded.
            width: In pixels, or Altair's `Step`.
            height: Likewise.
        """
        chart = self.alt.layer(*layers).resolve_scale(color="independent").properties(width=width, height=height)
        # Not validated here, which takes a second for each chart; the tests validate each kind.
        found: dict[str, Any] = chart.to_dict(validate=False)
        return {**found, "datasets": self._datasets}
