"""Stops a worker soon: its processes give their jobs back at the end of an epoch, or when the time is up."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import Any

from celery import bootsteps, signals
from celery.utils.log import get_logger

from worker.messages import TRAIN
from worker.training.task import TrainingTask

logger = get_logger(__name__)

#: Seconds that Celery has to give back the jobs that were interrupted in the middle of an epoch. With the default of
#: `stop_seconds`, that leaves one of `docker stop`'s ten for a process that waits for Redis and hears the signal late.
GIVE_BACK_SECONDS = 2.0


class StopStep(bootsteps.StartStopStep):
    """Tells the pool's processes that the worker is stopping, and ends them if they take too long.

    On SIGTERM, Celery stops taking messages and waits for its processes without a limit. They give their jobs back at
    the end of an epoch (`worker.training.execution`). An epoch longer than `stop_seconds` is interrupted: Celery's cold
    shutdown ends the processes and requeues their messages, before `docker stop` or a reboot kills the worker and
    leaves its jobs waiting for their leases to end. If Redis does not answer even then, the worker ends without
    requeueing.
    """

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._worker = worker
        self._task: TrainingTask = worker.app.tasks[TRAIN]
        self._seconds: float = worker.app.settings.stop_seconds

    def start(self, worker: Any) -> None:  # noqa: ARG002
        """Listen for the signals that stop a worker."""
        signals.worker_shutting_down.connect(self._on_signal, weak=False)

    def close(self, worker: Any) -> None:  # noqa: ARG002
        """Begin to stop; `celery control shutdown` gets here without a signal."""
        self._begin()

    def _on_signal(self, how: str, **_: Any) -> None:
        if how == "Warm":
            self._begin()

    def _begin(self) -> None:
        if not self._task.stopping.is_set():
            self._task.stopping.set()
            timer = threading.Timer(self._seconds, self._time_is_up)
            timer.daemon = True
            timer.start()

    def _time_is_up(self) -> None:
        logger.warning(
            "Running jobs are given back in the middle of an epoch: none ended within %g seconds", self._seconds
        )
        os.kill(os.getpid(), signal.SIGQUIT)
        time.sleep(GIVE_BACK_SECONDS)
        logger.critical("Redis does not answer: the worker ends without giving its jobs back; their leases end")
        self._kill()

    def _kill(self) -> None:
        # Celery's pool holds billiard's pool, which holds the processes; the other kinds of pools have no processes.
        processes = getattr(getattr(self._worker.pool, "_pool", None), "_pool", None)
        for process in processes or ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        os._exit(1)
