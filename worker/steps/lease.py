"""Renews the worker's leases on its messages, so that leases can be short although jobs are long.

Redis redelivers a message that was not acknowledged within the visibility timeout, here called the lease. Kombu notes
the time of delivery once and never renews it: a job longer than the timeout would run twice, and with a long timeout a
dead worker's job would wait as long. This step keeps the timeout short and renews it while the worker lives.

It relies on attributes that kombu does not document (`qos._delivered`, `qos._dirty`); `pyproject.toml` pins kombu, and
`tests/integration/test_lease.py` fails if a new version moves them.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker import state
from redis import Redis

from worker.messages import QUEUE, UNACKED_INDEX
from worker.redis.clock import ServerClock
from worker.steps.presence import Heartbeat, PresenceStep, snapshot

logger = get_logger(__name__)


class LeaseStep(bootsteps.StartStopStep):
    """Renews leases from a thread, and lets running jobs survive a reconnect.

    It uses a thread, because the event loop stops while the worker shuts down and waits for its last jobs.

    After a reconnect, the messages of running jobs belong to a connection that is gone. Celery would requeue them, and
    the jobs would be trained twice. The new connection adopts them instead: it renews them, counts them in its prefetch
    limit, and acknowledges them. It also adopts the message of a job that ended between the two connections: the event
    loop acknowledges it late, which would end the worker if it used the closed connection.
    """

    # A presence includes the length of the queue, which this step reads: only its connection leads to the broker.
    requires = ("celery.worker.consumer.tasks:Tasks", "worker.steps.presence:PresenceStep")

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        settings = c.app.settings
        self._channel: Any = None
        self._qos: Any = None
        self._create_task_handler = c.create_task_handler
        c.create_task_handler = self.create_task_handler
        self._clock = ServerClock()
        self._presence: PresenceStep = c.presence
        self._heartbeat = Heartbeat(c.app.broker_address, settings.lease_seconds, self._renew, "Leases are not renewed")

    def start(self, c: Any) -> None:
        """Adopt running jobs on a new connection; start to renew on the first one."""
        self._channel = c.task_consumer.channel
        self._qos = self._channel.qos
        for request in _unacknowledged(state.active_requests):
            self._adopt(request.message)
        self._keep_running_jobs(self._qos)
        self._heartbeat.begin()

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Return Celery's message handler, changed so that messages can be acknowledged after a reconnect."""
        handle: Callable[[Any], None] = self._create_task_handler(*args, **kwargs)

        def handle_lasting(message: Any) -> None:
            for name in ("ack_log_error", "reject_log_error"):
                setattr(message, name, partial(self._on_current_connection, message, getattr(message, name)))
            handle(message)

        return handle_lasting

    def _on_current_connection(self, message: Any, act: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        """Acknowledge or reject a message over the connection that is open now."""
        if message.channel.closed and not self._channel.closed:
            self._adopt(message)
        if message.channel.closed:
            logger.warning(
                "%s is neither acknowledged nor rejected, without a connection; its lease ends", message.delivery_tag
            )
        else:
            act(*args, **kwargs)

    def _adopt(self, message: Any) -> None:
        message.channel = self._channel
        self._qos._delivered[message.delivery_tag] = message

    def shutdown(self, c: Any) -> None:  # noqa: ARG002
        """Stop renewing. At this point all jobs have finished or are returned."""
        self._heartbeat.stop()

    @staticmethod
    def _keep_running_jobs(qos: Any) -> None:
        restore = qos.restore_unacked_once

        def restore_but_running(stderr: Any = None) -> None:
            # Once set, Celery's flags hold an exit status, which may be 0.
            if all(flag is None or flag is False for flag in (state.should_stop, state.should_terminate)):
                for request in _unacknowledged(state.active_requests):
                    qos._delivered.pop(request.message.delivery_tag, None)
            try:
                restore(stderr)
            except Exception as error:
                # While Redis is down, kombu raises an AttributeError here, which would end the worker.
                logger.warning("Messages are not given back: %s; their leases end", error)

        qos.restore_unacked_once = restore_but_running

    def _renew(self, client: Redis) -> None:
        now = self._clock.measure(client)
        # Of all messages that this worker holds, for running and waiting jobs.
        requests = [*_unacknowledged(state.active_requests), *_unacknowledged(state.reserved_requests)]
        tags: set[str] = {request.message.delivery_tag for request in requests}
        tags |= set(snapshot(self._qos._delivered)) - set(snapshot(self._qos._dirty))
        if tags:
            # XX: a message that is acknowledged or redelivered to another worker must not be added again.
            client.zadd(UNACKED_INDEX, dict.fromkeys(tags, now), xx=True)
        self._presence.queue_length = client.llen(QUEUE)


def _unacknowledged(requests: Iterable[Any]) -> list[Any]:
    return [request for request in snapshot(requests) if request.task.acks_late and not request.acknowledged]
