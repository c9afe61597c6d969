"""Reads the values of an option, and ranges of numbers, as typed or as stored in a file.

A range is `log:0.001..0.3:7` or `linear:0..1:5`; the number of points may be missing.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Literal, get_args

from pydantic import BaseModel

from nn.options.describe import DIGITS, Reader, allowed, option, parts, written

Kind = Literal["log", "linear"]

#: The most points of a range, and the most values of an option: as many as a sweep may have jobs.
MAX_POINTS = 100_000
EXAMPLES = "log:0.001..0.3:7 or linear:0..1:5"

#: The form of a number; a dot before another dot belongs to a range.
NUMBER = r"[+-]?(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"(log|linear):({NUMBER})\.\.({NUMBER})(?::(\d{{1,18}}))?", re.ASCII)
_BEGINNING = re.compile(r"\s*[a-z]+:", re.ASCII | re.IGNORECASE)
#: Decimal arithmetic gives the same points on every machine; the C library's `exp` and `pow` do not.
_EXACT = Context(prec=20)
_ROUNDED = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)


class RefusedError(ValueError):
    """A value that is not allowed; `str(error)` says what is. It does not leave this package."""


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
        if self.kind not in get_args(Kind) or not math.isfinite(self.high - self.low):
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
            RefusedError: the text is not a range, or the range is impossible.
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
            RefusedError: the range has no number of points, or `integers` is set and an end is not an integer.
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
            share: From 0 (included) to 1 (excluded). Equal steps cover equal parts of the range, or of its logarithm
                if it is logarithmic; an integer at an end covers as large a part as the others.
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
        low, high = Decimal(repr(self.low)), Decimal(repr(self.high))
        for number in range(1, count - 1):
            yield self._between(low, high, _EXACT.divide(Decimal(number), Decimal(count - 1)))

    def _between(self, low: Decimal, high: Decimal, share: Decimal) -> Decimal:
        if self.kind == "log":
            low, high = _ln(low), _ln(high)
        point = _EXACT.add(low, _EXACT.multiply(_EXACT.subtract(high, low), share))
        return point.exp(_EXACT) if self.kind == "log" else point

    def __str__(self) -> str:
        """Return the range as one can type it."""
        ends = f"{self.kind}:{_short(self.low)}..{_short(self.high)}"
        return ends if self.count is None else f"{ends}:{self.count}"


@functools.lru_cache(maxsize=64)
def _ln(number: Decimal) -> Decimal:
    return number.ln(_EXACT)


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")


class Listed(tuple[Any, ...]):
    """Several values of a file or of Python, not of flags: commas do not split texts."""


class Axis:
    """Reads the values of one option of any model: `Axis(NetworkOptions, "epochs")("5,10") == [5, 10]`.

    Attributes:
        value: Reads one value.
    """

    def __init__(self, model: type[BaseModel], name: str) -> None:
        self._info = model.model_fields[name]
        self.value = Reader(model, name)
        self._is_number = self.value.kind in (int, float)

    @property
    def is_integer(self) -> bool:
        """Whether the option is an integer."""
        return self.value.kind is int

    @property
    def allowed(self) -> str:
        """The allowed values, as the end of a sentence."""
        if self.value.kind is tuple:
            example = "" if self._info.is_required() else f", such as {written(self._info.default)}"
            return f"{allowed(self._info)}{example}"
        if option(self._info).allowed is not None or not self._is_number:
            return allowed(self._info)
        return f"{allowed(self._info, several=True)}, separated by commas"

    def __call__(self, value: object) -> list[Any]:
        """Return the values in the option's type, with repetitions; a range without a number of points as it is.

        Args:
            value: A text, a value, or a list or tuple of them. A text has several values, separated by commas, unless a
                single value may contain commas. In that case, a text or a list of numbers is one value; a tuple of
                numbers has several only if a single number is a value, too.

        Raises:
            RefusedError: a range, or the number of values, is not allowed; the error says what is.
            ValueError: the option does not allow a value.
            OverflowError: an integer is too large for a floating-point number.
        """
        values: list[Any] = []
        for item in self._items(value):
            read = self.value_or_range(item)
            if isinstance(read, Range) and read.count is not None:
                values += map(self.value, read.points(integers=self.is_integer))
            else:
                values.append(read)
            if len(values) > MAX_POINTS:
                raise RefusedError(f"at most {MAX_POINTS:,} values")
        if not values:
            raise ValueError("no value")
        return values

    def _items(self, value: object) -> list[Any]:
        if isinstance(value, Listed) and self.value.kind is str:
            return list(value)
        # A value with commas of its own is one of several if it is in quotes.
        if self.value.kind is not tuple or (isinstance(value, str) and '"' in value):
            return split(value)
        if isinstance(value, tuple) and len(self.value.kinds) > 1:
            return list(value)
        # A list of numbers is one value; a list of lists, or of texts, holds several.
        if isinstance(value, (list, tuple)) and any(isinstance(each, (list, tuple, str)) for each in value):
            return list(value)
        return [value]

    def value_or_range(self, value: object) -> Any:
        """Return one value in the option's type, or a `Range` whose ends the option allows. Raises: as a call does."""
        if not self._is_number or not is_range(value):
            return self.value(value)
        read = value if isinstance(value, Range) else Range.parse(str(value))
        for end in (read.low, read.high):
            self.value(int(end) if self.is_integer and end.is_integer() else end)
        if self.is_integer:
            read.check_integers()
        return read


#: Returns the axis of a model's option. It is cached, because making it is slow.
axis = functools.lru_cache(maxsize=1000)(Axis)


def is_range(value: object) -> bool:
    """Return whether a value is a range, or a text meant as one, valid or not: `word:` at its start, or two dots."""
    return isinstance(value, Range) or (isinstance(value, str) and (bool(_BEGINNING.match(value)) or ".." in value))


def split(value: object) -> list[object]:
    """Split a text, or each text of a list, at its commas; raise `RefusedError` for too many items."""
    items: list[object] = []
    for each in value if isinstance(value, (list, tuple)) else (value,):
        items += parts(each, MAX_POINTS) if isinstance(each, str) else [each]
        if len(items) > MAX_POINTS:
            raise RefusedError(f"at most {MAX_POINTS:,} values")
    return items
