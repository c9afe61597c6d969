"""Waits for something to become true, and says what was last seen when it does not."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: How long anything that should happen may take before a test gives it up. Generous: a passing test does not wait.
PATIENCE = 150.0


def wait_for(
    probe: Callable[[], T], what: str, *, timeout: float = PATIENCE, report: Callable[[], str] | None = None
) -> T:
    """Return the first true value of `probe`; fail with the last one, and the report, when there is none in time."""
    deadline = time.monotonic() + timeout
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            details = f"\n{report()}" if report else ""
            raise AssertionError(f"waited {timeout:g} s for {what}; last seen: {value!r}{details}")
        time.sleep(0.02)
