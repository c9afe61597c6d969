"""Finds jobs that Redis forgot: without a result, and without a message that could still bring one.

A server without persistence loses its queue when it ends, and a worker that dies in the instant between taking a
message and claiming it loses that message. Both leave a job for which everybody waits for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from orchestrator.ledger import Ledger

#: Seconds between two looks. A look reads all messages: rare enough not to count, often enough to lose no patience.
LOOK_SECONDS = 3.0


class Reconciler:
    """Looks from time to time, and calls a job lost when two looks in a row found nothing of it."""

    def __init__(self, ledger: Ledger, look_seconds: float) -> None:
        self._ledger = ledger
        self._pause = look_seconds
        self._next = time.monotonic() + look_seconds
        self._suspects: set[str] = set()

    def lost(self, waiting: Iterable[str]) -> set[str]:
        """Return those of the waiting jobs that are lost; none if it is not yet time for another look."""
        started = time.monotonic()
        if started < self._next:
            return set()
        # First the messages, then the results: a result is stored before its message is acknowledged, so that a job
        # that ends in between is seen in one of the two. A message on its way from the queue to a worker is in neither
        # list for an instant: that is what the second look is for.
        messages = self._ledger.messages()
        silent = set(waiting) - messages
        silent -= {key for key, state in self._ledger.states(silent).items() if state.ended}
        lost = silent & self._suspects
        self._suspects = silent - lost
        # At most a tenth of the time is spent on looking, however long the queue is.
        self._next = time.monotonic() + max(self._pause, 10 * (time.monotonic() - started))
        return lost
