"""A space of configurations: for each option that varies, the values to choose from, or a range of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.sweeps.axes.ranges import Range

#: The values of the options that vary, by option.
Point = dict[str, Any]
#: For each option that varies, its values. One range without a number of points stands for all numbers in it.
Space = Mapping[str, tuple[Any, ...]]


def range_of(values: tuple[Any, ...]) -> Range | None:
    """Return the range that an option's values are; None if they are a list."""
    return values[0] if isinstance(values[0], Range) else None


def membership(values: tuple[Any, ...]) -> Callable[[Any], bool]:
    """Return the function that says whether an option's values include a value, however many they are."""
    bounds = range_of(values)
    if bounds is None:
        return frozenset(values).__contains__
    return lambda value: bounds.low <= value <= bounds.high
