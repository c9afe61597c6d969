"""Notices a sweep that rests because no worker takes jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from orchestrator.broker import Broker
from orchestrator.errors import ClusterError
from worker.presence import Presence

#: Seconds without any sign of work after which we ask whether there is a worker at all, and then ask again.
QUIET_SECONDS = 3.0
QUIET_AGAIN_SECONDS = 60.0


class Quiet:
    """Says so, now and then, if nothing happens and no worker takes jobs.

    Args:
        broker: The cluster.
        tell: Shows a message to the user.
    """

    def __init__(self, broker: Broker, tell: Callable[[str], None]) -> None:
        self._broker = broker
        self._tell = tell
        self._next_question = time.monotonic() + QUIET_SECONDS
        self._running: Mapping[str, object] = {}

    def look(self, *, ended: bool, running: Mapping[str, object]) -> None:
        """Take note of whether anything happened since the last look.

        Args:
            ended: Whether a job has ended.
            running: What the running jobs report; the same reports again are no sign of work.

        Raises:
            ClusterError: the worker of an embedded cluster takes no more jobs.
        """
        now = time.monotonic()
        if ended or running != self._running:
            self._running = dict(running)
            self._next_question = now + QUIET_SECONDS
        elif now > self._next_question:
            self._next_question = now + QUIET_AGAIN_SECONDS
            self._ask(self._broker.online_workers())

    def _ask(self, workers: list[Presence]) -> None:
        if not workers:
            self._tell(self._broker.no_worker)
        elif all(worker.broken is not None for worker in workers):
            named = "; ".join(f"{worker.name}: {worker.broken}" for worker in workers)
            what = f"No worker takes jobs any more, because too many failed in a row on each ({named})"
            if self._broker.embedded:
                raise ClusterError(what)
            self._tell(f"{what}; it goes on when one is restarted")
