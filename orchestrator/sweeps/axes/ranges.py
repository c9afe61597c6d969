"""Ranges of numbers as one types them: `log:0.001..0.3:7`, `linear:0..1:5`, or without a number of points."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Literal, get_args

Kind = Literal["log", "linear"]

#: As many points as a sweep may have jobs.
MAX_POINTS = 100_000
#: The significant digits of a point, as many as tables show.
DIGITS = 6
EXAMPLES = "log:0.001..0.3:7 or linear:0..1:5"

_NUMBER = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"(log|linear):({_NUMBER})\.\.({_NUMBER})(?::(\d{{1,18}}))?", re.ASCII)
_BEGINNING = re.compile(r"\s*[a-z]+:", re.ASCII | re.IGNORECASE)
#: Decimal arithmetic gives the same points on every machine; the C library's `exp` and `pow` do not.
_EXACT = Context(prec=20)
_ROUNDED = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)


class RefusedError(ValueError):
    """A value that is refused for a reason of its own; `str(error)` is what is allowed. Stays in this package."""


@dataclass(frozen=True)
class Range:
    """A range of numbers.

    Attributes:
        kind: Whether its points have equal ratios (`log`) or equal distances (`linear`).
        low: Its lower end.
        high: Its upper end.
        count: The number of its points, both ends among them; None for all numbers between the ends.

    Raises:
        RefusedError: the range does not rise, is logarithmic and not above zero, or has fewer than two points or more
            than `MAX_POINTS`.
    """

    kind: Kind
    low: float
    high: float
    count: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise RefusedError(f"a range such as {EXAMPLES}")
        if self.low >= self.high:
            raise RefusedError("a range from its lower end to its higher one")
        if self.kind == "log" and self.low <= 0:
            raise RefusedError("a logarithmic range whose lower end is greater than 0")
        if self.count is not None and not 2 <= self.count <= MAX_POINTS:
            raise RefusedError(f"a range of 2 to {MAX_POINTS:,} points")

    @classmethod
    def parse(cls, text: str) -> Range:
        """Read a range.

        Raises:
            RefusedError: the text is no range, or one that cannot be.
        """
        match = _RANGE.fullmatch(text.strip())
        if match is None:
            raise RefusedError(f"a range such as {EXAMPLES}")
        kind: Kind = "log" if match[1] == "log" else "linear"
        return cls(kind, float(match[2]), float(match[3]), None if match[4] is None else int(match[4]))

    def points(self, *, integers: bool = False) -> list[float] | list[int]:
        """Return the points from low to high: both ends as they are, the others rounded.

        Args:
            integers: Whether to round to integers, instead of to `DIGITS` significant digits. Rounding may make points
                equal.

        Raises:
            RefusedError: the range has no number of points, or its ends are not integers, as the points are to be.
        """
        if self.count is None:
            raise RefusedError(f"a range with a number of points, such as {self}:5")
        if not integers:
            rounded = (float(_ROUNDED.plus(point)) for point in self._inner(self.count))
            return [self.low, *(min(max(point, self.low), self.high) for point in rounded), self.high]
        self.check_integers()
        return [int(self.low), *(int(point.to_integral_value()) for point in self._inner(self.count)), int(self.high)]

    def check_integers(self) -> None:
        """Raise `RefusedError` unless both ends are integers."""
        if not (self.low.is_integer() and self.high.is_integer()):
            raise RefusedError("a range from an integer to an integer")

    def at(self, share: float, *, integers: bool = False) -> float | int:
        """Return the number at a share of the way from low to high, rounded as `points` does.

        Args:
            share: From 0 (included) to 1 (excluded). Equal shares of the way have equal parts of the range, of its
                logarithm if it is logarithmic; an integer at an end has as large a part as the others.
            integers: Whether the range is one of integers.
        """
        low, high = Decimal(repr(self.low)), Decimal(repr(self.high))
        if not integers:
            return self.clip(float(self._between(low, high, Decimal(share))))
        half = Decimal("0.5")
        between = self._between(low - half, high + half, Decimal(share))
        return int(min(max(between.to_integral_value(ROUND_HALF_EVEN), low), high))

    def clip(self, number: float) -> float:
        """Round a number to `DIGITS` significant digits, and keep it in the range."""
        return min(max(float(_ROUNDED.create_decimal(repr(number))), self.low), self.high)

    def _inner(self, count: int) -> Iterator[Decimal]:
        """Yield the points between the ends."""
        low, high = Decimal(repr(self.low)), Decimal(repr(self.high))
        for number in range(1, count - 1):
            yield self._between(low, high, _EXACT.divide(Decimal(number), Decimal(count - 1)))

    def _between(self, low: Decimal, high: Decimal, share: Decimal) -> Decimal:
        if self.kind == "log":
            low, high = low.ln(_EXACT), high.ln(_EXACT)
        point = _EXACT.add(low, _EXACT.multiply(_EXACT.subtract(high, low), share))
        return point.exp(_EXACT) if self.kind == "log" else point

    def __str__(self) -> str:
        """Return the range as one can type it."""
        ends = f"{self.kind}:{_short(self.low)}..{_short(self.high)}"
        return ends if self.count is None else f"{ends}:{self.count}"


def looks_like_range(text: str) -> bool:
    """Return whether a text is meant as a range, right or wrong: it begins with a word and a colon, or has two dots."""
    return _BEGINNING.match(text) is not None or ".." in text


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")
