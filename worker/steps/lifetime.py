"""Steps of the worker itself: it prepares what its processes share before the pool forks, and stops soon."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import redis
from billiard.common import REMAP_SIGTERM
from celery import bootsteps, signals
from celery.apps.worker import install_worker_int_handler, install_worker_term_hard_handler, safe_say
from celery.exceptions import CPendingDeprecationWarning, Reject
from celery.platforms import EX_OK
from celery.utils.log import get_logger
from celery.worker import state

from nn.errors import SeedsweepError
from worker.messages import TRAIN
from worker.steps.presence import snapshot
from worker.steps.request import TrainRequest
from worker.trainers import registry
from worker.training.task import TrainingTask

logger = get_logger(__name__)

#: Seconds for which the event loop may finish what it is doing when it is told to end. It does not while it trains.
PARK_SECONDS = 0.2
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

    It relies on an attribute that kombu does not document (`channel._in_poll`), as `worker.steps.lease` does.
    """

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._worker = worker
        self._task: TrainingTask = worker.app.tasks[TRAIN]
        self._seconds: float = worker.app.settings.stop_seconds
        self._once = threading.Lock()
        self._parked = threading.Event()
        self._bell, self._ring = os.pipe()

    def include(self, parent: Any) -> bool:
        """Come first in Celery's order: the worker may be told to end while its pool starts."""
        parent.steps.insert(0, self)
        return True

    def start(self, worker: Any) -> None:  # noqa: ARG002
        """Listen for the signals that stop a worker."""
        signals.worker_shutting_down.connect(self._on_signal, weak=False)
        install_worker_int_handler(self._worker, callback=self._interrupt, exitcode=EX_OK)
        self._quit_on("SIGQUIT")
        if REMAP_SIGTERM == "SIGQUIT":
            self._quit_on("SIGTERM")

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:  # noqa: ARG002
        """Let a signal wake the event loop, which would see only a second later that it is to end."""
        hub.add_reader(self._bell, os.read, self._bell, 1)

    def close(self, worker: Any) -> None:  # noqa: ARG002
        """Begin to stop; `celery control shutdown` gets here without a signal."""
        self._parked.set()
        self._begin()

    def stop(self, worker: Any) -> None:  # noqa: ARG002
        """Leave the end to the thread that gives jobs back, if it has begun."""
        if self._once.locked():
            self._park()

    def _on_signal(self, how: str, **_: Any) -> None:
        if how == "Warm":
            self._begin()
        os.write(self._ring, b"!")

    def _interrupt(self, _worker: Any) -> None:
        self._quit_on("SIGINT")
        safe_say("worker: Ctrl-C again gives jobs back in the middle of an epoch", sys.__stdout__)

    def _quit_on(self, sig: str) -> None:
        install_worker_term_hard_handler(self._worker, sig=sig, callback=self._quit)

    def _quit(self, worker: Any) -> None:
        # The code that the signal interrupted goes on: it may hold a lock, or be about to note a message that it has
        # just taken. It trains, or returns to the event loop, which then terminates the worker.
        worker.terminate = self._park
        self._cut_off()

    def _begin(self) -> None:
        if not self._task.stopping.is_set():
            self._task.stopping.set()
            _later(self._seconds, self._cut_off)

    def _cut_off(self) -> None:
        if self._once.acquire(blocking=False):
            _later(0.0, self._give_back)
            _later(PARK_SECONDS + GIVE_BACK_SECONDS, self._give_up)

    def _park(self) -> None:
        self._parked.set()
        # The process ends meanwhile.
        threading.Event().wait()

    def _give_up(self) -> None:
        logger.critical("Messages are not given back within %g seconds: their leases end", GIVE_BACK_SECONDS)
        self._end(1)

    def _give_back(self) -> None:
        self._parked.wait(PARK_SECONDS)
        consumer = self._worker.consumer
        if running := len(state.active_requests):
            logger.warning("Gives back running jobs in the middle of an epoch: %d", running)
        # Of running jobs, and of those that a process has taken without the event loop's knowing.
        held: list[TrainRequest] = [each for each in snapshot(state.reserved_requests) if not each.acknowledged]
        for request in held:
            request.abandon()
        # SIGKILL also ends a process that hangs or is stopped, and a job can be interrupted at any point.
        self._kill_processes()
        # Never released: a thread begins no attempt whose end would not be recorded.
        self._task.beginning.acquire()
        for request in held:
            request.give_back()
        if consumer.task_consumer is not None:
            _take_no_more(consumer.task_consumer.channel)
            consumer.task_consumer.channel.qos.restore_unacked_once()
        consumer.presence.shutdown(consumer)
        self._end(0)

    def _kill_processes(self) -> None:
        # Celery's pool holds billiard's pool, which holds the processes; the other kinds of pools have no processes.
        for process in getattr(getattr(self._worker.pool, "_pool", None), "_pool", None) or ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def _end(self, status: int) -> None:
        self._kill_processes()
        if self._worker.pidlock is not None:
            self._worker.pidlock.release()
        os._exit(status)


def _later(seconds: float, act: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()


def _take_no_more(channel: Any) -> None:
    """Close the connection on which a worker waits for messages: Redis would send it those that are given back."""
    connection = channel._in_poll
    # If Redis has closed the connection, it sends nothing there.
    with contextlib.suppress(redis.RedisError, OSError):
        reply = connection and connection.can_read(timeout=0) and channel.client.parse_response(connection, "BRPOP")
        if connection:
            connection.disconnect()
        if reply:
            with channel.conn_or_acquire() as client:
                client.rpush(*reply)
