"""Reads all the values that an option is to have, from flags or from TOML and JSON types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from nn.options.describe import allowed, option, written
from nn.options.values import Reader, parts
from orchestrator.sweeps.axes.ranges import MAX_POINTS, Range, RefusedError, looks_like_range


class Axis:
    """Reads the values of one option of any model: `Axis(NetworkOptions, "epochs")("5,10") == [5, 10]`."""

    def __init__(self, model: type[BaseModel], name: str) -> None:
        self._info = model.model_fields[name]
        self._read = Reader(model, name)

    @property
    def allowed(self) -> str:
        """The values that are allowed, as the end of a sentence."""
        if self._read.kind is tuple:
            example = "" if self._info.is_required() else f", such as {written(self._info.default)}"
            return f"{allowed(self._info)}{example}"
        if option(self._info).allowed is not None or self._read.kind not in (int, float):
            return allowed(self._info)
        return f"{allowed(self._info, several=True)}, separated by commas"

    def __call__(self, value: object) -> list[Any]:
        """Return the values in the option's type, repeated ones among them; a range without points as it is.

        Args:
            value: A text, a value, or a list or tuple of them. A text has several values, separated by commas, unless a
                single value may have commas of its own: a text, or a list of numbers, is then one value, and only
                where one number is a value, too, a tuple of numbers has several.

        Raises:
            RefusedError: a range, or the number of values, is not allowed; the error says what is.
            ValueError: the option does not allow a value.
            OverflowError: an integer is too large for a floating-point number.
        """
        values: list[Any] = []
        for item in self._items(value):
            values += self._values(item)
            if len(values) > MAX_POINTS:
                raise RefusedError(f"at most {MAX_POINTS:,} values")
        if not values:
            raise ValueError("no value")
        return values

    def _items(self, value: object) -> list[Any]:
        if self._read.kind is not tuple:
            return split(value)
        if isinstance(value, tuple) and len(self._read.kinds) > 1:
            return list(value)
        # A list of numbers is one value; a list of lists, or of texts, holds several.
        if isinstance(value, (list, tuple)) and any(isinstance(each, (list, tuple, str)) for each in value):
            return list(value)
        return [value]

    def _values(self, item: object) -> list[Any]:
        kind = self._read.kind
        if kind not in (int, float) or not (isinstance(item, str) and looks_like_range(item)):
            return [self._read(item)]
        made = Range.parse(item)
        _check_ends(made, self._read, integers=kind is int)
        if made.count is None:
            return [made]
        return [self._read(point) for point in made.points(integers=kind is int)]


def _check_ends(made: Range, read: Callable[[object], object], *, integers: bool) -> None:
    """Check that the option allows both ends of a range."""
    for end in (made.low, made.high):
        read(int(end) if integers and end.is_integer() else end)


def split(value: object) -> list[object]:
    """Split a text at its commas, or each text of a list, into items; at most one more than are allowed."""
    items: list[object] = []
    for each in value if isinstance(value, (list, tuple)) else (value,):
        items += parts(each, MAX_POINTS) if isinstance(each, str) else [each]
        if len(items) > MAX_POINTS:
            raise RefusedError(f"at most {MAX_POINTS:,} values")
    return items
