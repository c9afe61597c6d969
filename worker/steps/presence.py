"""Writes the worker's presence to Redis at every heartbeat, in spite of any error."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker import state
from redis import Redis

from worker.messages import QUEUE, TRAIN
from worker.records.presence import Presence, Roster
from worker.records.store import Store
from worker.redis.connection import connect
from worker.training.task import TrainingTask

logger = get_logger(__name__)
T = TypeVar("T")

#: Seconds until the retry after a failed heartbeat.
RETRY_SECONDS = 0.5
#: Seconds for which a stopping worker waits for a heartbeat, which may be waiting for Redis.
JOIN_SECONDS = 1.5


class Heartbeat(threading.Thread):
    """A thread that runs an action three times per lease, on its own connection to Redis, until it is stopped.

    Args:
        url: The address of Redis.
        lease: The lease, in seconds.
        beat: The action. An exception is logged, and the action is retried soon.
        failure: The beginning of the log line about an exception.
        farewell: The action to run once at the end.
    """

    def __init__(
        self,
        url: str,
        lease: float,
        beat: Callable[[Redis], None],
        failure: str,
        farewell: Callable[[Redis], None] | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._lease = lease
        self._beat = beat
        self._failure = failure
        self._farewell = farewell
        self._stopped = threading.Event()

    def run(self) -> None:
        """Call `beat` until `stop` is called."""
        interval = self._lease / 3
        with connect(self._url, self._lease / 4) as client:
            pause = 0.0
            while not self._stopped.wait(pause):
                pause = interval if self._attempt(self._beat, client) else min(RETRY_SECONDS, interval)
            if self._farewell is not None:
                self._attempt(self._farewell, client)

    def stop(self) -> None:
        """End the thread. If it waits for Redis, it is abandoned and ends with the process."""
        self._stopped.set()
        self.join(timeout=JOIN_SECONDS)

    def _attempt(self, action: Callable[[Redis], None], client: Redis) -> bool:
        try:
            action(client)
        except Exception as error:
            # Every error is caught: a worker without heartbeats loses its leases, and its jobs are trained twice.
            logger.warning("%s: %s", self._failure, error)
            return False
        return True


class WorkerState:
    """What the worker is doing, as its presence reports it.

    Args:
        c: The worker's consumer.

    Attributes:
        name: The worker's Celery name.
        queue_length: The number of waiting jobs when the queue was last looked at.
    """

    def __init__(self, c: Any) -> None:
        self._c = c
        self._task: TrainingTask = c.app.tasks[TRAIN]
        self.name: str = c.hostname
        self.queue_length = 0
        self._started = self._looped = self._kept_up = time.time()
        self._taken = 0

    def loop_turned(self) -> None:
        """Record that the event loop is running."""
        self._looped = time.time()

    def presence(self) -> Presence:
        """Return the current state of the worker."""
        c = self._c
        now = time.time()
        running = {request.id: _progressed(request, now) for request in snapshot(state.active_requests)}
        taken = state.all_total_count[0]
        if taken != self._taken or not self.queue_length or len(running) >= c.pool.num_processes:
            self._taken, self._kept_up = taken, now
        consuming = c.task_consumer is not None and c.task_consumer.consuming_from(QUEUE)
        return Presence(
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            started=self._started,
            beat=now,
            looped=self._looped,
            kept_up=self._kept_up,
            running=running,
            concurrency=c.pool.num_processes,
            blocking=type(c.pool).__module__.endswith(".solo"),
            consuming=consuming,
            broken=c.breaker.reason if c.breaker.tripped and not consuming else None,
            dataset=self._task.loaded_digest,
        )


class PresenceStep(bootsteps.StartStopStep):
    """Reports the worker's presence from a thread.

    A thread, because the event loop stands still while the worker shuts down and waits for its last jobs. Not the
    lease's thread, because results, and with them presences, may be kept on another Redis, whose absence must not cost
    leases.
    """

    requires = ("celery.worker.consumer.tasks:Tasks", "worker.steps.breaker:BreakerStep")

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        self._app = c.app
        self._lease: float = c.app.settings.lease_seconds
        self._state = c.worker_state = WorkerState(c)
        self._heartbeat = Heartbeat(
            c.app.backend_address,
            self._lease,
            self._report,
            "The worker's presence is not reported",
            farewell=lambda client: self._roster(client).leave(self._state.name),
        )

    def start(self, c: Any) -> None:
        """Watch the event loop on a new connection; start the heartbeat with the first one."""
        # Celery drops the timer's entries with the connection.
        c.timer.call_repeatedly(self._lease / 3, self._state.loop_turned)
        if self._heartbeat.ident is None:
            self._heartbeat.start()

    def shutdown(self, c: Any) -> None:  # noqa: ARG002
        """Stop the heartbeat and leave the roster. At this point all jobs have finished or are returned."""
        if self._heartbeat.ident is not None:
            self._heartbeat.stop()

    def _report(self, client: Redis) -> None:
        roster = self._roster(client)
        roster.report(self._state.presence())
        # Reading the roster removes the workers that died without leaving it.
        roster.all()
        # A job may take longer than its records are kept.
        self._store(client).keep_open({request.id for request in snapshot(state.reserved_requests)})

    def _roster(self, client: Redis) -> Roster:
        return Roster(self._store(client), self._lease)

    def _store(self, client: Redis) -> Store:
        return Store(client, expires=self._app.settings.result_expires)


def _progressed(request: Any, now: float) -> float:
    watched: float | None = request.silent
    return (request.time_start or now) if watched is None else now - watched


def snapshot(changing: Iterable[T]) -> list[T]:
    """Return the items of a collection that another thread may change at the same time."""
    while True:
        try:
            return list(changing)
        except RuntimeError:
            continue
