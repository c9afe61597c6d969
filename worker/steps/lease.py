"""Renews the worker's claims on its messages, so that a claim can be short and a job long.

Redis redelivers a message that was not acknowledged within the visibility timeout, here called the lease. Kombu writes
the time of delivery once and never renews it: a job longer than the timeout runs twice, and with a long timeout a dead
worker's job waits as long. This step keeps the timeout short and renews it for as long as the worker lives.

It relies on attributes that kombu does not document (`qos._delivered`, `qos._dirty`); `pyproject.toml` pins kombu, and
`tests/integration/test_lease.py` fails if a new version moves them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker import state

from worker.messages import QUEUE, TRAIN, UNACKED_INDEX
from worker.records.presence import Presence, Roster
from worker.records.store import Store
from worker.redis.connection import connect
from worker.training.task import TrainingTask

logger = get_logger(__name__)


class LeaseStep(bootsteps.StartStopStep):
    """Renews leases from a thread, reports the worker's presence from another one, and survives reconnects.

    Threads, because the worker's event loop stands still while the worker shuts down and waits for its last jobs.

    After a reconnect, the jobs that its processes still train belong to a connection that is gone. Celery would put
    their messages back into the queue, to be trained twice. They are adopted by the new connection instead: renewed,
    counted in its prefetch limit, and acknowledged over it. The same goes for a job that ended while the connection was
    away, and whose acknowledgement waits for the event loop: over its own connection it would end the worker.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        self._app = c.app
        self._lease: float = c.app.settings.lease_seconds
        self._channel: Any = None
        self._qos: Any = None
        self._create_task_handler = c.create_task_handler
        c.create_task_handler = self.create_task_handler
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._reporter = Reporter(c)

    def start(self, c: Any) -> None:
        """Take over on a new connection; begin to renew with the first one."""
        self._channel = c.task_consumer.channel
        self._qos = self._channel.qos
        for request in _unacknowledged(state.active_requests):
            self._adopt(request.message)
        self._keep_running_jobs(self._qos)
        # Shows that the loop turns; Celery drops its entry with the connection.
        c.timer.call_repeatedly(self._lease / 3, self._reporter.loop_turned)
        if not self._threads:
            # Two, so that leases do not wait for the reports, whose Redis may be another one.
            self._threads = [threading.Thread(target=run, daemon=True) for run in (self._renew, self._report)]
            for thread in self._threads:
                thread.start()

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Return Celery's handler of one message, which then can be acknowledged or given back at any later time."""
        handle: Callable[[Any], None] = self._create_task_handler(*args, **kwargs)

        def handle_lasting(message: Any) -> None:
            for name in ("ack_log_error", "reject_log_error"):
                setattr(message, name, partial(self._settle, message, getattr(message, name)))
            handle(message)

        return handle_lasting

    def _settle(self, message: Any, settle: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        """Acknowledge a message or give it back, over the connection that there is by now."""
        if message.channel.closed and not self._channel.closed:
            self._adopt(message)
        if message.channel.closed:
            logger.warning("%s is not settled: no connection; its lease ends", message.delivery_tag)
        else:
            settle(*args, **kwargs)

    def _adopt(self, message: Any) -> None:
        message.channel = self._channel
        self._qos._delivered[message.delivery_tag] = message

    def shutdown(self, c: Any) -> None:  # noqa: ARG002
        """Stop renewing: all jobs are finished or given back."""
        self._ended.set()
        for thread in self._threads:
            # It may wait for a Redis that is away; it ends with the process then.
            thread.join(timeout=1.5)

    @staticmethod
    def _keep_running_jobs(qos: Any) -> None:
        restore = qos.restore_unacked_once

        def restore_but_running(stderr: Any = None) -> None:
            if not _is_ending():
                for request in _unacknowledged(state.active_requests):
                    qos._delivered.pop(request.message.delivery_tag, None)
            try:
                restore(stderr)
            except Exception as error:
                # With Redis away, kombu raises what Celery takes for the end of the worker (an AttributeError).
                logger.warning("Messages are not given back: %s; their leases end", error)

        qos.restore_unacked_once = restore_but_running

    def _renew(self) -> None:
        with connect(self._app.broker_address, self._lease / 4) as client:
            beat = Beat(self._lease / 3, self._ended)
            while beat.goes_on():
                with beat.tried("Leases are not renewed"):
                    # XX: a message that is acknowledged or given to another worker must not come back to life.
                    if tags := self._tags():
                        client.zadd(UNACKED_INDEX, dict.fromkeys(tags, time.time()), xx=True)
                    self._reporter.waiting = client.llen(QUEUE)

    def _report(self) -> None:
        with connect(self._app.backend_address, self._lease / 4) as client:
            roster = Roster(Store(client, expires=self._app.settings.result_expires), self._lease)
            beat = Beat(self._lease / 3, self._ended)
            while beat.goes_on():
                with beat.tried("The worker's state is not reported"):
                    roster.report(self._reporter.presence())
                    # This removes the workers that died without a word.
                    roster.all()
            with beat.tried("The worker stays on record"):
                roster.leave(self._reporter.name)

    def _tags(self) -> set[str]:
        """Return the delivery tags of all that this worker holds: running jobs, and messages it has not begun with."""
        requests = [*_unacknowledged(state.active_requests), *_unacknowledged(state.reserved_requests)]
        tags: set[str] = {request.message.delivery_tag for request in requests}
        return tags | (set(_copied(self._qos._delivered)) - set(_copied(self._qos._dirty)))


class Beat:
    """The rhythm of a thread that does the same again and again, also when it fails.

    Args:
        seconds: Between two times.
        ended: Set when it is enough.
    """

    def __init__(self, seconds: float, ended: threading.Event) -> None:
        self._seconds = seconds
        self._ended = ended
        self._pause = 0.0

    def goes_on(self) -> bool:
        """Wait for the next time; return whether there is one."""
        return not self._ended.wait(self._pause)

    @contextlib.contextmanager
    def tried(self, what_if_not: str) -> Iterator[None]:
        """Run the block; if it fails, say so and come back to it soon."""
        try:
            yield
            self._pause = self._seconds
        except Exception as error:
            # Whatever it is: a worker without its leases would have its jobs trained twice.
            logger.warning("%s: %s", what_if_not, error)
            self._pause = min(0.5, self._seconds)


class Reporter:
    """Says what the worker is doing.

    Args:
        c: The worker's consumer.

    Attributes:
        name: The worker's Celery name.
        waiting: How many jobs were in the queue when somebody last looked.
    """

    def __init__(self, c: Any) -> None:
        self._c = c
        self._task: TrainingTask = c.app.tasks[TRAIN]
        self.name: str = c.hostname
        self._started = self._looped = self._kept_up = time.time()
        self._taken = 0
        self.waiting = 0

    def loop_turned(self) -> None:
        """Take note that the event loop lives."""
        self._looped = time.time()

    def presence(self) -> Presence:
        """Return the worker as it is now."""
        c = self._c
        now = time.time()
        running = {request.id: request.time_start or now for request in _copied(state.active_requests)}
        taken = state.all_total_count[0]
        if taken != self._taken or not self.waiting or len(running) >= c.pool.num_processes:
            self._taken, self._kept_up = taken, now
        consuming = c.task_consumer is not None and c.task_consumer.consuming_from(QUEUE)
        loaded = self._task.__dict__.get("dataset")
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
            dataset=None if loaded is None else loaded.digest,
        )


def _unacknowledged(requests: Iterable[Any]) -> list[Any]:
    return [request for request in _copied(requests) if request.task.acks_late and not request.acknowledged]


def _copied(changing: Iterable[Any]) -> list[Any]:
    """Return the items of a collection that another thread changes now and then."""
    while True:
        try:
            return list(changing)
        except RuntimeError:
            continue


def _is_ending() -> bool:
    # Celery's flags hold an exit status, which may be 0, once they are set.
    return any(flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate))
