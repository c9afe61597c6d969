"""The cluster as the orchestrator sees it: its address, its results, its queue and its store, through interruptions."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import TypeVar

from kombu.exceptions import BatchPublishError, KombuError, OperationalError
from redis.exceptions import AuthenticationError, AuthorizationError, OutOfMemoryError, RedisError

from orchestrator.cluster.queue import Queue
from orchestrator.cluster.registry import Registry
from orchestrator.cluster.results import Results
from orchestrator.errors import BrokerUnreachableError, ClusterFullError
from worker.app import create_app
from worker.messages import TRAIN
from worker.records.attempts import Attempt
from worker.records.presence import Presence
from worker.records.store import Store
from worker.redis.address import hide_password
from worker.redis.connection import LOST, connect, is_transient
from worker.settings import Settings
from worker.training.task import TrainingTask

T = TypeVar("T")

#: Seconds to connect, and then to wait for an answer, when a sweep starts.
ANSWER_SECONDS = 4.0
#: The longest pause between two tries after the connection was lost, in seconds.
LONGEST_PAUSE = 2.0
#: Seconds of an outage after which it is mentioned again.
REMINDER_SECONDS = 60.0

_REFUSED = (AuthenticationError, AuthorizationError)
_LOST = (*LOST, OperationalError)
_ANY = (*_LOST, BatchPublishError, RedisError)


class Cluster:
    """One cluster: nothing connects before it is used.

    Args:
        settings: Name the cluster.
        tell: Shows a message to the user.
        check: Raises when there is nothing to wait for any more (a part of the embedded cluster ended).
        embedded: Whether the cluster is this command's own.

    Attributes:
        app: The Celery app.
        results: Its result backend.
        queue: Its queue.
        store: Where the weights are.
        address: The broker's address, without its password.

    Raises:
        InvalidInputError: the broker's address is not one of a Redis server.
    """

    def __init__(
        self,
        settings: Settings,
        tell: Callable[[str], None] = lambda _text: None,
        check: Callable[[], None] = lambda: None,
        *,
        embedded: bool = False,
    ) -> None:
        self.app = create_app(settings)
        # Celery and kombu would repeat what fails by themselves, in silence: see `patiently`.
        self.app.conf.update(
            task_publish_retry=False,
            result_backend_always_retry=False,
            result_backend_transport_options={
                **self.app.conf.result_backend_transport_options,
                "retry_policy": {"max_retries": 0},
            },
            broker_transport_options={**self.app.conf.broker_transport_options, "max_retries": 0},
        )
        self.results = Results(self.app)
        self.queue = Queue(self.app)
        self.address = hide_password(self.app.broker_address)
        self.embedded = embedded
        self.check = check
        self._tell = tell

    def telling(self, tell: Callable[[str], None]) -> Cluster:
        """Return the same cluster, with the same connections, that shows its messages elsewhere."""
        other = copy.copy(self)
        other._tell = tell
        return other

    @property
    def store(self) -> Store:
        """Where the weights are."""
        return self._task.store(patient=False)

    @property
    def no_worker(self) -> str:
        """What to tell who waits because no worker is online."""
        if self.embedded:
            return "The worker gets ready: the first time, it prepares the data set and compiles the kernel"
        return f"No worker is online at {self.address} yet: waiting for one"

    @property
    def registry(self) -> Registry:
        """The sweeps that the cluster knows."""
        return Registry(self.store)

    def check_answer(self) -> None:
        """Find out whether the broker and the result backend answer, each within two times `ANSWER_SECONDS`.

        Raises:
            BrokerUnreachableError: nothing answers, or it does not let us in; the message names the address.
        """
        for url in dict.fromkeys((self.app.broker_address, self.app.backend_address)):
            _check_answer(url)

    def online_workers(self) -> list[Presence]:
        """Return the workers that hold their leases."""
        lease = self.app.settings.lease_seconds
        return [worker for worker in self.patiently(self._task.roster(patient=False).all) if worker.age() < lease]

    def attempts(self, run: str) -> list[Attempt]:
        """Return the attempts at a run that are on record, oldest first."""
        return self.patiently(lambda: self._task.attempts(patient=False).of(run))

    @property
    def _task(self) -> TrainingTask:
        task: TrainingTask = self.app.tasks[TRAIN]
        return task

    def patiently(self, action: Callable[[], T]) -> T:
        """Return what the action returns, repeating it for as long as Redis is away or takes no writes, and say so.

        Args:
            action: May be called several times; it must do no harm then.

        Raises:
            BrokerUnreachableError: the broker answers, and refuses.
            ClusterFullError: it has no room for what the action writes.
        """
        pause, lost_since, mentioned = 0.1, 0.0, 0.0
        while True:
            try:
                value = action()
            except _ANY as error:
                self._give_up_if_refused(error)
                self.check()
                now = time.monotonic()
                lost_since = lost_since or now
                if not mentioned or now - mentioned > REMINDER_SECONDS:
                    what = "does not answer" if isinstance(error, _LOST) else "takes nothing"
                    self._tell(f"{self.address} {what} ({_reason(error)}); trying again")
                    mentioned = now
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if lost_since:
                    self._tell(f"{self.address} is back, after {time.monotonic() - lost_since:.1f} s")
                return value

    def _give_up_if_refused(self, error: BaseException) -> None:
        """Raise if it was an answer that came, and not the connection that went."""
        # Kombu wraps both kinds alike.
        while isinstance(error, KombuError) and error.__cause__ is not None:
            error = error.__cause__
        if isinstance(error, _REFUSED):
            raise BrokerUnreachableError(f"{self.address} does not let us in: {_reason(error)}") from None
        if isinstance(error, OutOfMemoryError):
            raise ClusterFullError(self._full()) from None
        if isinstance(error, RedisError) and not is_transient(error):
            raise BrokerUnreachableError(f"{self.address} refuses: {_reason(error)}") from None

    def _full(self) -> str:
        try:
            memory = self.app.backend.client.info("memory")
            used, limit = (f"{memory[name] / 2**20:.1f} MiB" for name in ("used_memory", "maxmemory"))
        except _ANY:
            used, limit = "all it may", "reached"
        return (
            f"Redis at {self.address} is full: it holds {used}, and its maxmemory is {limit}; raise that limit, or let "
            "results leave Redis sooner by a smaller SEEDSWEEP_RESULT_EXPIRES"
        )


def _check_answer(url: str) -> None:
    try:
        with connect(url, ANSWER_SECONDS) as client:
            client.ping()
    except _REFUSED as error:
        raise BrokerUnreachableError(f"{hide_password(url)} does not let us in: {_reason(error)}") from None
    except (RedisError, OSError, ValueError) as error:
        raise BrokerUnreachableError(f"No Redis server answers at {hide_password(url)}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
