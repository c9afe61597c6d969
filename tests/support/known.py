"""A value that may be missing and must not be."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def known(value: T | None) -> T:
    """Return a value, which must not be None."""
    assert value is not None
    return value
