"""A space of configurations: for each option that varies, the values to choose from, or a range of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.sweeps.ranges import Range

#: The values of the options that vary, by option.
Point = dict[str, Any]
#: For each option that varies, its values. One range without a number of points stands for all numbers in it.
Space = Mapping[str, tuple[Any, ...]]


def range_of(values: tuple[Any, ...]) -> Range | None:
    """Return the range that an option's values are; None if they are a list."""
    return values[0] if isinstance(values[0], Range) else None


def contains(values: tuple[Any, ...], value: Any) -> bool:
    """Return whether an option's values include this one."""
    bounds = range_of(values)
    return value in values if bounds is None else bounds.low <= value <= bounds.high
