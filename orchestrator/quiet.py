"""Notices a queue that rests because no worker is online."""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.broker import Broker

#: Seconds without any sign of work after which we ask whether there is a worker at all, and then ask again.
QUIET_SECONDS = 3.0
QUIET_AGAIN_SECONDS = 60.0


class Quiet:
    """Says so, now and then, if nothing happens and no worker is online.

    Args:
        broker: The cluster.
        tell: Shows a message to the user.
    """

    def __init__(self, broker: Broker, tell: Callable[[str], None]) -> None:
        self._broker = broker
        self._tell = tell
        self._next_question = time.monotonic() + QUIET_SECONDS

    def look(self, *, sign_of_work: bool) -> None:
        """Take note of whether anything happened since the last look."""
        now = time.monotonic()
        if sign_of_work:
            self._next_question = now + QUIET_SECONDS
        elif now > self._next_question:
            self._next_question = now + QUIET_AGAIN_SECONDS
            if not self._broker.online_workers():
                self._tell(self._broker.no_worker)
