"""Steps of the worker itself: it prepares what its processes share before the pool forks, and stops soon."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import warnings
from typing import Any

from celery import bootsteps, signals
from celery.exceptions import CPendingDeprecationWarning, Reject
from celery.utils.log import get_logger
from celery.worker import state

from nn.errors import SeedsweepError
from worker.messages import TRAIN
from worker.trainers import registry
from worker.training.task import TrainingTask

logger = get_logger(__name__)

#: Seconds for giving back the jobs that were interrupted in the middle of an epoch. With the default of `stop_seconds`,
#: that leaves one of `docker stop`'s ten for a process that waits for Redis and hears the signal late.
GIVE_BACK_SECONDS = 2.0


class PreloadStep(bootsteps.Step):
    """Loads the data set and prepares the trainer in the main process, whose children then share the memory.

    Celery creates all steps before it starts any, so this runs before the pool forks.
    """

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        # Before the pool is created. Not Celery's setting, which the orchestrator would write into its messages.
        worker.time_limit = worker.time_limit or worker.app.settings.time_limit

    def create(self, worker: Any) -> None:
        """Load and prepare. An error ends the worker with one sentence."""
        logging.getLogger("celery.app.trace").addFilter(_without_traceback)
        # At every reconnect Celery warns that it has lost the running jobs and recommends a setting that would end
        # them. The lease adopts them instead (`worker.steps.lease`).
        warnings.filterwarnings("ignore", "\nIn Celery 5.1 we introduced", CPendingDeprecationWarning)
        task: TrainingTask = worker.app.tasks[TRAIN]
        try:
            # Created before the fork, because the processes share it.
            _ = task.isolation
            # The files may change while the worker runs.
            registry.code(task.trainer.name)
            task.data.share()
        except SeedsweepError as error:
            raise SystemExit(f"Error: {error}") from None
        logger.info(
            "Trainer %s, version %d, data set %s", task.trainer.name, task.trainer.version, task.data.digest[:16]
        )


def _without_traceback(record: logging.LogRecord) -> bool:
    # Of a job that was given back on purpose.
    if record.exc_info and record.exc_info[0] is Reject:
        record.exc_info = None
    return True


class StopStep(bootsteps.StartStopStep):
    """Tells the pool's processes that the worker is stopping, and ends the worker if they take too long.

    On SIGTERM, Celery stops taking messages and waits for its jobs without a limit. They are given back at the end of
    an epoch (`worker.training.execution`). After `stop_seconds`, or on SIGQUIT, they are given back in the middle of an
    epoch, and the worker ends, before `docker stop` or a reboot kills it and leaves its jobs waiting for their leases
    to end. If Redis does not answer, it ends without giving them back.

    Celery's own cold shutdown would wait for jobs that have no process, and for Redis.
    """

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._worker = worker
        self._task: TrainingTask = worker.app.tasks[TRAIN]
        self._seconds: float = worker.app.settings.stop_seconds
        self._leaving = threading.Thread(target=self._leave, daemon=True)

    def start(self, worker: Any) -> None:  # noqa: ARG002
        """Listen for the signals that stop a worker."""
        signals.worker_shutting_down.connect(self._on_signal, weak=False)
        self._task.on_cut_off = self._cut_off

    def close(self, worker: Any) -> None:  # noqa: ARG002
        """Begin to stop; `celery control shutdown` gets here without a signal."""
        self._begin()

    def _on_signal(self, how: str, **_: Any) -> None:
        if how == "Warm":
            self._begin()

    def _begin(self) -> None:
        if not self._task.stopping.is_set():
            self._task.stopping.set()
            timer = threading.Timer(self._seconds, self._cut_off)
            timer.daemon = True
            timer.start()

    def _cut_off(self) -> None:
        # A thread: the main one may be training. It must not end the pool meanwhile, and waits on SIGQUIT.
        if self._leaving.ident is None:
            self._leaving.start()
        if threading.current_thread() is threading.main_thread():
            self._leaving.join()

    def _leave(self) -> None:
        if running := len(state.active_requests):
            logger.warning("Gives back running jobs in the middle of an epoch: %d", running)
        giving = threading.Thread(target=self._give_back, daemon=True)
        giving.start()
        giving.join(GIVE_BACK_SECONDS)
        logger.critical("Messages are not given back within %g seconds: their leases end", GIVE_BACK_SECONDS)
        self._end(1)

    def _give_back(self) -> None:
        consumer = self._worker.consumer
        consumer.cancel_active_requests()
        consumer.task_consumer.channel.qos.restore_unacked_once()
        consumer.presence.shutdown(consumer)
        self._end(0)

    def _end(self, status: int) -> None:
        # Celery's pool holds billiard's pool, which holds the processes; the other kinds of pools have no processes.
        for process in getattr(getattr(self._worker.pool, "_pool", None), "_pool", None) or ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        if self._worker.pidlock is not None:
            self._worker.pidlock.release()
        os._exit(status)
