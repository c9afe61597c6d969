"""Ends a process that hangs, so that its job continues in another one."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

from billiard import get_start_method
from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker import state

from worker.steps.presence import snapshot
from worker.steps.request import TrainRequest
from worker.training.shared import Liveness, Sign, longest_silence

logger = get_logger(__name__)

#: Seconds between two looks at the processes.
LOOK_SECONDS = 1.0


class WatchdogStep(bootsteps.StartStopStep):
    """Kills a process of the pool that has a job and gives no sign of life for too long (`longest_silence`).

    The worker's main process handles the exit like any other: the attempt ends as hung, and the message is sent again
    (`worker.steps.request`). A job that the process had not begun goes to the process that replaces it.

    Time in which the event loop stood still does not count: a worker that was frozen, or whose machine was suspended,
    ends no process. A worker that is reconnecting does not look: a thread could kill a process that the event loop has
    just reaped, and could not send its job again.

    It relies on attributes that billiard does not document (`_scheduled_for`, `index`); `requirements.txt` pins
    billiard, and `tests/integration/test_hung_processes.py` fails if a new version moves them.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        self._settings = c.app.settings
        self._liveness: Liveness = c.app.liveness
        self._looked = time.monotonic()
        # An idle process is silent, too: the same sign counts as silence within one job only.
        self._signs: dict[tuple[TrainRequest, int], Sign] = {}
        self._reason = _cannot_watch(c)
        if self._reason is not None:
            logger.warning("A job that hangs will not be ended: %s", self._reason)

    def start(self, c: Any) -> None:
        """Look at the processes every second."""
        # Celery drops the timer's entries with the connection.
        if self._reason is None:
            c.timer.call_repeatedly(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        passed = min(now - self._looked, LOOK_SECONDS)
        self._looked = now
        signs = {}
        for request in snapshot(state.reserved_requests):
            result = request._apply_result and request._apply_result()
            # None if no process has the job, begun or not.
            process = getattr(result, "_scheduled_for", None)
            sign = None if process is None else self._liveness.last_of(process.index)
            if process is None or sign is None:
                continue
            key = (request, process.pid)
            signs[key] = sign
            request.silent = (request.silent or 0.0) + passed if self._signs.get(key) == sign else 0.0
            if request.silent > longest_silence(self._settings, sign.slowest_epoch):
                _end(request, process)
        self._signs = signs


def _cannot_watch(c: Any) -> str | None:
    """Return why hung jobs cannot be ended, or None if they can."""
    pool = type(c.pool).__module__.rpartition(".")[2]
    if pool != "prefork" or c.hub is None:
        return f"the pool {pool!r} does not run jobs in processes"
    if get_start_method() != "fork":
        return "processes that are spawned share no memory with the worker"
    return None


def _end(request: TrainRequest, process: Any) -> None:
    # A process that is gone already must not be signalled: its id may belong to another one.
    if request.hung or not process._is_alive():
        return
    began = request.time_start is not None
    logger.error(
        "Ends a process that hangs: %d has %s %s, without a sign of life for %.0f s",
        process.pid, "trained" if began else "not begun with", request.id, request.silent,
    )  # fmt: skip
    request.hung = began
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
