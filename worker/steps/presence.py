"""Writes the worker's presence to Redis at every heartbeat, whatever errors occur."""

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
from worker.redis.clock import ServerClock, disagreement
from worker.redis.waiting import connect
from worker.training.task import TrainingTask

logger = get_logger(__name__)
T = TypeVar("T")

#: Most seconds between two heartbeats, so that a sweep learns of a dead worker soon even if leases are long.
BEAT_SECONDS = 2.0
#: Seconds until the worker's log mentions again that the clocks disagree.
REMINDER_SECONDS = 600.0
#: Seconds until the retry after a failed heartbeat.
RETRY_SECONDS = 0.5
#: Seconds for which a stopping worker waits for a heartbeat, which may be waiting for Redis.
JOIN_SECONDS = 1.5


def beat_interval(lease: float) -> float:
    """Return the seconds between two heartbeats: at most a third of a lease, and at most `BEAT_SECONDS`."""
    return min(lease / 3, BEAT_SECONDS)


class Heartbeat(threading.Thread):
    """A thread that runs an action at every heartbeat, on its own connection to Redis, until it is stopped.

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
        farewell: Callable[[Redis], None] = lambda _client: None,
    ) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._lease = lease
        self._beat = beat
        self._failure = failure
        self._farewell = farewell
        self._stopped = threading.Event()

    def begin(self) -> None:
        """Start the thread unless it has been started."""
        if self.ident is None:
            self.start()

    def run(self) -> None:
        """Call `beat` until `stop` is called."""
        interval = beat_interval(self._lease)
        with connect(self._url, self._lease / 4) as client:
            pause = 0.0
            while not self._stopped.wait(pause):
                pause = interval if self._attempt(self._beat, client) else min(RETRY_SECONDS, interval)
            self._attempt(self._farewell, client)

    def stop(self) -> None:
        """End the thread. If it waits for Redis, it is abandoned and ends with the process."""
        self._stopped.set()
        if self.ident is not None:
            self.join(timeout=JOIN_SECONDS)

    def _attempt(self, action: Callable[[Redis], None], client: Redis) -> bool:
        try:
            action(client)
        except Exception as error:
            # Every error is caught: a worker without heartbeats loses its leases, and its jobs are trained twice.
            logger.warning("%s: %s", self._failure, error)
            return False
        return True


class PresenceStep(bootsteps.StartStopStep):
    """Reports from a thread what the worker is doing.

    It uses a thread, because the event loop stops while the worker shuts down and waits for its last jobs. It does not
    use the lease's thread: presences may be on another Redis, with the results, and its failure must not cost leases.

    Attributes:
        queue_length: The number of waiting jobs when `worker.steps.lease` last read it.
    """

    requires = ("celery.worker.consumer.tasks:Tasks", "worker.steps.taking:BreakerStep")

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        c.presence = self
        self._c = c
        self._task: TrainingTask = c.app.tasks[TRAIN]
        self._lease: float = c.app.settings.lease_seconds
        self._clock = ServerClock()
        self.queue_length = 0
        # Times of the monotonic clock.
        self._looped = self._kept_up = self._created = time.monotonic()
        self._next_search = self._next_warning = 0.0
        self._started: float | None = None
        self._taken = 0
        self._heartbeat = Heartbeat(
            c.app.backend_address,
            self._lease,
            self._report,
            "The worker's presence is not reported",
            farewell=lambda client: self._roster(client).leave(c.hostname),
        )

    def start(self, c: Any) -> None:
        """Watch the event loop on a new connection; start the heartbeat with the first one."""
        # Celery drops the timer's entries with the connection.
        c.timer.call_repeatedly(beat_interval(self._lease) / 2, self._loop_turned)
        self._heartbeat.begin()

    def shutdown(self, c: Any) -> None:  # noqa: ARG002
        """Stop the heartbeat and leave the roster. At this point all jobs have finished or are returned."""
        self._heartbeat.stop()

    def _loop_turned(self) -> None:
        self._looped = time.monotonic()

    def _report(self, client: Redis) -> None:
        roster = self._roster(client)
        self._clock.measure(client)
        presence = self._presence()
        roster.report(presence)
        now = time.monotonic()
        if now >= self._next_search:
            self._next_search = now + self._lease / 3
            # Reading the roster removes the workers that died without leaving it.
            roster.all()
            # A job may take longer than its records are kept.
            roster.store.keep_open({request.id for request in snapshot(state.reserved_requests)})
        warning = disagreement({presence.host: presence.ahead}, self._lease)
        if warning is not None and now >= self._next_warning:
            self._next_warning = now + REMINDER_SECONDS
            logger.warning(warning)

    def _presence(self) -> Presence:
        """Return what the worker is doing, by Redis's clock, which was just measured."""
        c = self._c
        elapsed, now = time.monotonic(), self._clock.now()
        if self._started is None:
            # Computed once: no attempt may seem older than its worker.
            self._started = now - (elapsed - self._created)
        running = {request.id: now - _silent(request) for request in snapshot(state.active_requests)}
        taken = state.all_total_count[0]
        if taken != self._taken or not self.queue_length or len(running) >= c.pool.num_processes:
            self._taken, self._kept_up = taken, elapsed
        # The queues that it is told to consume: it starts to consume them after the first heartbeat.
        consuming = QUEUE in c.app.amqp.queues.consume_from
        return Presence(
            name=c.hostname,
            host=socket.gethostname(),
            pid=os.getpid(),
            started=self._started,
            beat=now,
            looped=now - (elapsed - self._looped),
            kept_up=now - (elapsed - self._kept_up),
            running=running,
            concurrency=c.pool.num_processes,
            blocking=type(c.pool).__module__.endswith(".solo"),
            consuming=consuming,
            broken=c.breaker.reason if c.breaker.tripped and not consuming else None,
            dataset=vars(self._task.data).get("digest"),  # None before it is known
            data=c.app.settings.data or self._task.trainer.data,
            done=max(0, taken - len(running)),
            trainer=c.app.settings.trainer,
            versions=sorted(self._task.trainer.versions),
            interval=beat_interval(self._lease),
            connected=c.connection is not None,
            stopping=self._task.stopping.is_set(),
            exhausted=_exhausted(),
            ahead=self._clock.ahead,
        )

    def _roster(self, client: Redis) -> Roster:
        return Roster(Store(client, expires=self._c.app.settings.result_expires), self._lease)


def _silent(request: Any) -> float:
    """Return the seconds since the last progress of a job, or since its start if the pool cannot be watched."""
    watched: float | None = request.silent
    # Celery notes the start by this host's clock.
    return max(0.0, time.time() - (request.time_start or time.time())) if watched is None else watched


def _exhausted() -> str | None:
    """Return why this process can open no more files and connections, or None if it can."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.strerror
    return None


def snapshot(changing: Iterable[T]) -> list[T]:
    """Return the items of a collection that another thread may change at the same time."""
    while True:
        try:
            return list(changing)
        except RuntimeError:
            continue
