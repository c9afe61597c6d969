"""Wording that several messages share."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """Return a number with its noun: 1 job, 2 jobs."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def have(number: int, thing: str) -> str:
    """Return a number with its noun and verb: 1 job has, 2 jobs have."""
    return f"{counted(number, thing)} {'has' if number == 1 else 'have'}"
