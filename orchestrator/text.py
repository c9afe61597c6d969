"""Wording that several messages share."""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime


def counted(number: int, thing: str) -> str:
    """Return a number with its noun: 1 job, 2 jobs."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def listed(words: Sequence[str], joint: str) -> str:
    """Return words as a list: `a`, `a and b`, `a, b and c`.

    Args:
        words: At least one.
        joint: Comes before the last: `and` or `or`.
    """
    *first, last = words
    return f"{', '.join(first)} {joint} {last}" if first else last


def some(words: Sequence[str]) -> str:
    """Return the first three words, and how many more there are: `a, b, c and 2 more`."""
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")


def probability(value: float) -> str:
    """Return a probability with two decimals: no estimate says that something is impossible, or sure."""
    text = f"{value:.2f}"
    return {"0.00": "< 0.01", "1.00": "> 0.99"}.get(text, text)


def have(number: int, thing: str) -> str:
    """Return a number with its noun and verb: 1 job has, 2 jobs have."""
    return f"{counted(number, thing)} {'has' if number == 1 else 'have'}"


def duration(seconds: float) -> str:
    """Return a duration with at least two digits, in the largest unit in which it exceeds 1.5."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds > 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def sized(count: float) -> str:
    """Return a number of bytes as text."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def moment(when: str) -> str:
    """Return a time in ISO 8601 as text, to the minute and in UTC; any other text as it is."""
    with contextlib.suppress(ValueError, OverflowError):
        return f"{datetime.fromisoformat(when).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return when
