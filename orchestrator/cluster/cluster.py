"""The cluster as the orchestrator sees it: its results, queue, store, sweeps and workers."""

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import call
from typing import Self

from kombu.pools import connections, producers

from orchestrator.cluster.patience import Patience
from orchestrator.cluster.queue import Queue
from orchestrator.cluster.registry import Registry
from orchestrator.cluster.results import Results
from worker.app import SeedsweepApp, create_app
from worker.job import Attempt
from worker.records.attempts import Attempts
from worker.records.presence import Roster
from worker.records.store import Store
from worker.redis.address import hide_password
from worker.redis.waiting import Policy, WaitingRedis, connect
from worker.settings import Settings


class Cluster:
    """One cluster. It connects at first use, and is thread-safe.

    Methods retry transient errors of Redis and tell the user, except on an `impatient` cluster. Every method may raise
    `BrokerUnreachableError` (Redis rejects a command with a permanent error) and `ClusterFullError` (Redis is full).

    Args:
        settings: The settings that name the cluster.
        tell: Shows a message to the user.
        check: Raises if waiting is futile, because a part of the embedded cluster ended.
        embedded: Whether this is the embedded cluster of this command.

    Attributes:
        app: The Celery app.
        address: The broker's address, without its password.
        results: The state of each task.
        queue: The messages.
        store: The weights and small records.
        registry: The sweeps that the cluster knows.

    Raises:
        InvalidInputError: the broker's address is not the URL of a Redis server.
    """

    def __init__(
        self,
        settings: Settings,
        tell: Callable[[str], None] = lambda _text: None,
        check: Callable[[], None] = lambda: None,
        *,
        embedded: bool = False,
    ) -> None:
        self.app = _app(settings)
        self.embedded = embedded
        self.check = check
        self._broker = connect(self.app.broker_address, settings.socket_seconds)
        self._backend = connect(self.app.backend_address, settings.socket_seconds)
        self.address = hide_password(self.app.broker_address)
        self._wait_and_tell(tell)

    def close(self) -> None:
        """Close the connections that Celery and kombu would otherwise keep while this process lives."""
        connection = self.app.connection_for_write()
        for pools in (producers, connections):
            pools[connection].force_close_all()
            del pools[connection]

    def _wait_and_tell(self, tell: Callable[[str], None]) -> None:
        servers = (self.address, self._broker), (hide_password(self.app.backend_address), self._backend)
        self._use(*(Patience(*each, tell, self.check) for each in servers))

    def _use(self, for_broker: Policy, for_backend: Policy) -> None:
        backend = WaitingRedis(self._backend, for_backend)
        self.store = Store(backend, expires=self.app.settings.result_expires)
        self.registry = Registry(self.store)
        self.results = Results(self.app, backend, for_backend)
        self.queue = Queue(self.app, WaitingRedis(self._broker, for_broker), for_broker)

    def telling(self, tell: Callable[[str], None]) -> Self:
        """Return this cluster, with the same connections and another function that shows its messages."""
        other = copy.copy(self)
        other._wait_and_tell(tell)
        return other

    def impatient(self) -> Self:
        """Return this cluster without retries: its methods raise `redis.RedisError` and `OSError`."""
        other = copy.copy(self)
        other._use(call, call)
        return other

    def forget(self, task_ids: Collection[str]) -> None:
        """Remove all records of these tasks, results first."""
        self.results.forget(task_ids)
        self.store.forget(task_ids)

    def running(self) -> set[str]:
        """Return the ids of the tasks that online workers are training."""
        return {task_id for worker in self.roster.online() for task_id in worker.running}

    @property
    def roster(self) -> Roster:
        """The presence of the cluster's workers."""
        return Roster(self.store, self.app.settings.lease_seconds)

    def attempts(self, task_ids: Sequence[str]) -> Iterator[tuple[str, list[Attempt]]]:
        """Yield each of these tasks with the recorded attempts at it, oldest first."""
        return Attempts(self.store, self.roster, self.app.settings.max_attempts).of_each(task_ids)


def _app(settings: Settings) -> SeedsweepApp:
    app = create_app(settings)
    # Celery and kombu would retry silently: `Patience` retries instead, and tells the user.
    app.conf.update(
        task_publish_retry=False,
        result_backend_always_retry=False,
        result_backend_transport_options={
            **app.conf.result_backend_transport_options,
            "retry_policy": {"max_retries": 0},
        },
        broker_transport_options={**app.conf.broker_transport_options, "max_retries": 0},
    )
    return app
