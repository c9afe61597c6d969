"""How a worker ends soon: its processes learn of it at the next epoch, and at the latest when the time is up."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from celery import bootsteps, signals
from celery.utils.log import get_logger

if TYPE_CHECKING:
    from worker.training.task import TrainingTask

logger = get_logger(__name__)

#: Seconds for Celery to give back the jobs that were cut off.
GIVE_BACK_SECONDS = 2.5


class StopStep(bootsteps.StartStopStep):
    """Tells the processes of the pool that the worker is to end, and ends it when they take too long.

    On SIGTERM Celery stops taking messages and waits for its processes, however long. They give their jobs back at the
    end of an epoch (`worker.training.execution`). An epoch longer than `stop_seconds` is cut off: Celery's own cold
    shutdown then ends the processes and gives the messages back, before `docker stop` or a reboot would kill the worker
    and leave its jobs to the end of their lease. If that, too, takes long, because Redis does not answer, the worker
    ends with nothing given back.
    """

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._worker = worker
        self._task: TrainingTask = _train_task(worker)
        self._seconds: float = worker.app.settings.stop_seconds

    def start(self, worker: Any) -> None:  # noqa: ARG002
        """Listen for the signals that end a worker."""
        signals.worker_shutting_down.connect(self._on_signal, weak=False)

    def close(self, worker: Any) -> None:  # noqa: ARG002
        """Begin to end: also reached without a signal, by `celery control shutdown`."""
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
        logger.warning("Jobs are given back as they stood: no epoch's end came in %g seconds", self._seconds)
        os.kill(os.getpid(), signal.SIGQUIT)
        time.sleep(GIVE_BACK_SECONDS)
        logger.critical("Ends with nothing given back: Redis does not answer; the leases of its jobs end")
        self._kill()

    def _kill(self) -> None:
        # Celery's pool holds billiard's, which holds the processes; other kinds of pools have none.
        processes = getattr(getattr(self._worker.pool, "_pool", None), "_pool", None)
        for process in processes or ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        os._exit(1)


def _train_task(worker: Any) -> Any:
    from worker.messages import TRAIN

    return worker.app.tasks[TRAIN]
