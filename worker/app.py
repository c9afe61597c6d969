"""The Celery app: every setting that is not Celery's default, each with its reason."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from celery import Celery

from worker.messages import CONTROL_NAMESPACE, EVENTS, QUEUE, UNACKED, UNACKED_INDEX
from worker.redis.address import DEFAULT_BROKER, redis_url
from worker.settings import Settings
from worker.tasks import register


class SeedsweepApp(Celery):
    """A Celery app made of `Settings` alone, so that a spawned child process can make the same one.

    Attributes:
        settings: What it was made of.
        broker_address: The broker's URL. Celery itself would prefer what its variables `CELERY_BROKER_URL`,
            `CELERY_BROKER_READ_URL` and `CELERY_BROKER_WRITE_URL` say to what an app is made of.
        backend_address: The result backend's URL, preferred to `CELERY_RESULT_BACKEND` likewise.
    """

    # Every message that anybody reads passes the gate, and workers obey no command but ours.
    amqp_cls = "worker.steps.gate:GuardedAMQP"
    control_cls = "worker.steps.broadcasts:GuardedControl"

    settings: Settings
    broker_address: str
    backend_address: str

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        """Return a connection over which a worker takes jobs, by default to `broker_address`."""
        return super().connection_for_read(url or self.broker_address, **options)

    def connection_for_write(self, url: str | None = None, **options: Any) -> Any:
        """Return a connection over which jobs are queued and workers are watched, by default to `broker_address`."""
        # By default, every kombu connection that listens to anything also requeues messages whose lease has expired.
        # Flower listens to events and must not need the right to touch messages.
        unacknowledged = {"ack_emulation": False}
        transport_options = (options.pop("transport_options", None) or {}) | unacknowledged
        return super().connection_for_write(url or self.broker_address, transport_options=transport_options, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return create_app, (self.settings,)


def create_app(settings: Settings) -> SeedsweepApp:
    """Return an app for the cluster that the settings name. It connects when it is first used.

    Raises:
        InvalidInputError: the broker or the result backend is not the URL of a Redis server.
    """
    broker = redis_url(settings.broker_url or DEFAULT_BROKER, "CELERY_BROKER_URL")
    backend = redis_url(settings.result_backend or broker, "CELERY_RESULT_BACKEND")
    app = SeedsweepApp("seedsweep", broker=broker, backend=backend, set_as_current=False)
    app.settings, app.broker_address, app.backend_address = settings, broker, backend
    app.backend_cls = backend
    app.conf.update(
        _messages()
        | _reliability(settings)
        | _connections(settings, on_socket=backend.startswith("redis+socket"))
        | _certificates(broker)
    )
    # One class for every scheme, chosen here so that users' URLs stay ordinary ones.
    app.loader.override_backends = dict.fromkeys(("redis", "rediss"), "worker.redis.backend:LedgerBackend")

    register(app)
    # By name, because who only submits needs no worker's parts.
    app.steps["worker"].update(["worker.steps.preload:PreloadStep", "worker.steps.stopping:StopStep"])
    app.steps["consumer"].update(
        [
            "worker.steps.breaker:BreakerStep",
            "worker.steps.guard:GuardStep",
            "worker.steps.lease:LeaseStep",
            "worker.steps.polling:PollStep",
        ]
    )
    return app


def _messages() -> dict[str, Any]:
    return {
        # A queue of our own: other Celery applications on the same Redis do not take our jobs, nor we theirs.
        "task_default_queue": QUEUE,
        # Likewise for remote control and events: another application's `shutdown` does not end our workers.
        "control_exchange": CONTROL_NAMESPACE,
        "event_exchange": EVENTS,
        "event_queue_prefix": EVENTS,
        # Never pickle, in either direction: a message must not be able to run code.
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        # Flower shows jobs only when told about them.
        "worker_send_task_events": True,
        "task_track_started": True,
        # Progress and errors go to Celery's logger; captured prints would only be logged twice.
        "worker_redirect_stdouts": False,
    }


def _reliability(settings: Settings) -> dict[str, Any]:
    return {
        # A message is acknowledged when its result is stored; until then a dead worker's job goes to another one.
        "task_acks_late": True,
        # One job a process: a job must not wait behind a long one while another worker is idle.
        "worker_prefetch_multiplier": 1,
        # A child that dies (killed, out of memory) is an ordinary retry. If that cannot be sent, because Redis is away,
        # the message goes back to the queue; without the second line the job would fail. What kills its child again
        # and again is ended by the count of attempts (`worker.records.attempts`).
        "task_retry_on_worker_lost": True,
        "task_reject_on_worker_lost": True,
        # Trap: when Redis is broker and backend, a restart of it would end running jobs as REVOKED, and lose them.
        # Running jobs go on instead; the lease adopts them into the new connection.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # The lease counts adopted jobs in the new connection; reducing the count as well would leave processes idle.
        "worker_enable_prefetch_count_reduction": False,
        # Trap: without it, a job that ends while Redis is away for a second fails although its training succeeded.
        "result_backend_always_retry": True,
        "result_backend_max_sleep_between_retries_ms": 2000,
        "result_expires": settings.result_expires,
        # A worker waits for its broker as long as it takes, when it starts and at any time later.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # An error reply (Redis is full, or still loads its data) is waited out like a lost connection.
        "broker_channel_error_retry": True,
        # A child imports NumPy and numba, and may compile the kernel, before it is ready.
        "worker_proc_alive_timeout": 120.0,
    }


def _connections(settings: Settings, *, on_socket: bool) -> dict[str, Any]:
    # A message that no worker acknowledges or renews (`worker.steps.lease`) for this long goes to another worker.
    # Celery reads the value in three places and wants the same in each.
    lease = {"visibility_timeout": settings.lease_seconds}
    return lease | {
        "broker_transport_options": lease
        | {
            # Names of our own: under kombu's, all Celery applications on the same Redis restore each other's messages,
            # each by its own timeout.
            "unacked_key": UNACKED,
            "unacked_index_key": UNACKED_INDEX,
            "unacked_mutex_key": f"{UNACKED}_mutex",
            # How often workers look for messages whose lease has ended. Kombu's defaults multiply to 100 seconds.
            "unacked_restore_interval": settings.restore_seconds,
            "unacked_restore_throttle": 1,
            # A worker killed while it looks leaves a lock behind: kombu's default keeps all others off for 5 minutes.
            "unacked_mutex_expire": max(5, int(2 * settings.restore_seconds)),
            # Connections that went silent without being closed are found in seconds, not never.
            "socket_timeout": settings.socket_seconds,
            "socket_connect_timeout": 5.0,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "result_backend_transport_options": lease,
        "redis_socket_timeout": settings.socket_seconds,
        "redis_socket_connect_timeout": 5.0,
        "redis_backend_health_check_interval": 10,
        # A unix socket has no keepalive, and redis-py refuses the option there.
        "redis_socket_keepalive": not on_socket,
    }


def _certificates(broker: str) -> dict[str, Any]:
    address = urlsplit(broker)
    if address.scheme != "rediss":
        return {}
    # Kombu reads these from the URL; Flower, which asks for the length of the queue by itself, only from this setting.
    return {"broker_use_ssl": {name: value for name, value in parse_qsl(address.query) if name.startswith("ssl_")}}
