"""The Celery app: every setting that differs from Celery's default, with its reason, and the only task."""

import threading
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from celery import Celery
from celery.utils.log import get_task_logger

from worker.errors import JobRefusedError
from worker.messages import CONTROL_NAMESPACE, EVENTS, QUEUE, TRAIN, UNACKED, UNACKED_INDEX, needed
from worker.redis.address import DEFAULT_BROKER, embedded_socket, redis_url
from worker.settings import Settings
from worker.training.shared import Liveness, StopFlag
from worker.training.task import TrainingTask

logger = get_task_logger(__name__)


class SeedsweepApp(Celery):
    """A Celery app that is configured by `Settings` alone, so that a spawned child process can create the same app.

    Attributes:
        settings: The settings that it was created from.
        broker_address: The broker's URL. Celery itself would prefer the variables `CELERY_BROKER_URL`,
            `CELERY_BROKER_READ_URL` and `CELERY_BROKER_WRITE_URL` to an app's own configuration.
        backend_address: The result backend's URL, which likewise takes precedence over `CELERY_RESULT_BACKEND`.
        liveness: The signs of life of the pool's processes.
    """

    # Every message that this process reads passes the gate, and workers execute only the allowed commands.
    amqp_cls = "worker.gate.transport:GuardedAMQP"
    control_cls = "worker.gate.broadcasts:GuardedControl"
    log_cls = "worker.log:ParagraphLogging"

    settings: Settings
    broker_address: str
    backend_address: str
    liveness: Liveness

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
    """Return an app for the cluster that the settings name. It connects on first use.

    Raises:
        InvalidInputError: the broker's or the result backend's URL is not that of a Redis server.
    """
    broker = redis_url(settings.broker_url or DEFAULT_BROKER, "CELERY_BROKER_URL")
    backend = redis_url(settings.result_backend or broker, "CELERY_RESULT_BACKEND")
    app = SeedsweepApp("seedsweep", broker=broker, backend=backend, set_as_current=False)
    app.settings, app.broker_address, app.backend_address = settings, broker, backend
    app.liveness = Liveness()
    app.backend_cls = backend
    app.conf.update(
        _messages(is_watched=embedded_socket(broker) is None)
        | _reliability(settings)
        | _connections(settings, on_socket=backend.startswith("redis+socket"))
        | _certificates(broker)
    )
    # Our backend for every scheme, chosen here so that users write ordinary redis:// URLs.
    app.loader.override_backends = dict.fromkeys(("redis", "rediss"), "worker.redis.backend:LedgerBackend")

    _register(app)
    # By name, so that the orchestrator does not import the worker's steps. Their `requires` order them.
    app.steps["worker"].update(["worker.steps.lifetime:PreloadStep", "worker.steps.lifetime:StopStep"])
    app.steps["consumer"].update(
        [
            "worker.steps.taking:BreakerStep",
            "worker.gate.guard:GuardStep",
            "worker.steps.lease:LeaseStep",
            "worker.steps.presence:PresenceStep",
            "worker.steps.taking:RefusalStep",
            "worker.steps.request:WatchdogStep",
        ]
    )
    return app


def _register(app: Celery) -> None:
    @app.task(
        name=TRAIN,
        base=TrainingTask,
        bind=True,
        lazy=False,
        shared=False,
        stopping=StopFlag(),
        beginning=threading.Lock(),
        # A worker would take a message for later at once, and then hold it behind its next job.
        default_retry_delay=0,
        # `worker.records.attempts` limits the attempts instead: it also counts those whose whole worker died, which
        # Celery does not.
        max_retries=None,
        # A refused job is not a fault of the worker: Celery logs these errors without a traceback.
        throws=(JobRefusedError,),
    )
    def train(task: TrainingTask, job: Any) -> Any:
        """Train the job with these fields (`Job.fields`) and return its `Result`.

        Raises:
            JobRefusedError: the job is invalid, or not the job that the task id names.
        """
        needs = needed(task.request.id, job)
        # Celery has just stored that the job began, unless a final state keeps that away.
        if not task.backend.stored:
            stored = task.backend.get_task_meta(task.request.id, cache=False)
            if stored["status"] == "SUCCESS":
                logger.info("Job %s already has a result and is not trained again", task.request.id[:12])
                return stored["result"]
        # Imported here because the orchestrator, which only submits jobs, does not need it.
        from worker.training.execution import execute

        return execute(task, needs, job)


def _messages(*, is_watched: bool) -> dict[str, Any]:
    return {
        # A queue of our own, so that other Celery applications on the same Redis do not take our jobs, nor we theirs.
        "task_default_queue": QUEUE,
        # Likewise for remote control and events: another application's `shutdown` does not end our workers.
        "control_exchange": CONTROL_NAMESPACE,
        "event_exchange": EVENTS,
        "event_queue_prefix": EVENTS,
        # Never pickle, in either direction: a message must not be able to execute code.
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        # Flower learns of jobs from events only. No Flower watches an embedded cluster.
        "worker_send_task_events": is_watched,
        "task_track_started": True,
        # Progress and errors go to Celery's logger; captured output would be logged twice.
        "worker_redirect_stdouts": False,
    }


def _reliability(settings: Settings) -> dict[str, Any]:
    return {
        # A message is acknowledged once its result is stored: if the worker dies before that, it is redelivered.
        "task_acks_late": True,
        # One job per process: no job may wait behind a long one while another worker is idle.
        "worker_prefetch_multiplier": 1,
        # A job whose process died (killed, out of memory) is retried. If Redis is away and the retry cannot be sent,
        # the message returns to the queue; without the second line the job would fail. A job that keeps killing its
        # process is ended by the limit of attempts (`worker.records.attempts`).
        "task_retry_on_worker_lost": True,
        "task_reject_on_worker_lost": True,
        # With the recommended True and Redis as broker and backend, a restart of Redis would end running jobs as
        # REVOKED and lose them. Running jobs continue instead; the lease adopts them into the new connection.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # The new connection already counts the adopted jobs; reducing the prefetch count, too, would leave processes
        # idle.
        "worker_enable_prefetch_count_reduction": False,
        # Without it, a job that ends while Redis is away for a second fails although its training succeeded.
        "result_backend_always_retry": True,
        "result_backend_max_sleep_between_retries_ms": 2000,
        "result_expires": settings.result_expires,
        # A worker waits for its broker without a limit, when it starts and later.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # An error reply (Redis is full, or still loading its data) is retried like a lost connection.
        "broker_channel_error_retry": True,
        # A spawned child imports NumPy and numba, and may compile the kernel, before it is ready.
        "worker_proc_alive_timeout": 120.0,
    }


def _connections(settings: Settings, *, on_socket: bool) -> dict[str, Any]:
    # A message that is neither acknowledged nor renewed (`worker.steps.lease`) for this long is redelivered. Celery
    # reads the value in three places and requires the same value in each.
    lease = {"visibility_timeout": settings.lease_seconds}
    return lease | {
        "broker_transport_options": lease
        | {
            # Names of our own: under kombu's defaults, all Celery applications on the same Redis redeliver each other's
            # messages, each by its own timeout.
            "unacked_key": UNACKED,
            "unacked_index_key": UNACKED_INDEX,
            "unacked_mutex_key": f"{UNACKED}_mutex",
            # How often workers look for expired leases. Kombu's defaults amount to every 100 seconds.
            "unacked_restore_interval": settings.restore_seconds,
            "unacked_restore_throttle": 1,
            # A worker that is killed during the search leaves its lock behind, by default for 5 minutes.
            "unacked_mutex_expire": max(5, int(2 * settings.restore_seconds)),
            # Without these, a connection that goes silent without being closed is never detected.
            "socket_timeout": settings.socket_seconds,
            "socket_connect_timeout": 5.0,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "result_backend_transport_options": lease,
        "redis_socket_timeout": settings.socket_seconds,
        "redis_socket_connect_timeout": 5.0,
        "redis_backend_health_check_interval": 10,
        # A unix socket has no keepalive, and redis-py rejects the option for it.
        "redis_socket_keepalive": not on_socket,
    }


def _certificates(broker: str) -> dict[str, Any]:
    address = urlsplit(broker)
    if address.scheme != "rediss":
        return {}
    # Kombu reads these from the URL. Flower asks for the length of the queue itself, and reads only this setting.
    return {"broker_use_ssl": {name: value for name, value in parse_qsl(address.query) if name.startswith("ssl_")}}
