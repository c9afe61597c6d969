"""A value that may be missing and must not be."""

from typing import TypeVar

T = TypeVar("T")


def known(value: T | None) -> T:
    """Return a value, which must not be None."""
    assert value is not None
    return value
