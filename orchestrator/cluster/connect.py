"""Where a command's jobs are trained: on the cluster that the settings name, or on an embedded one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nn.errors import Beside, Described, InvalidInputError
from orchestrator.cluster.embedded import EmbeddedCluster, available_cores, refuse_ended
from orchestrator.interruption import Interruption
from worker.redis.address import hide_password, redis_url
from worker.settings import Settings, load_settings

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster

#: Receives one sentence for the user, such as that Redis does not answer.
Tell = Callable[[str], None]


def ignore(_text: str) -> None:
    """Drop a message."""


@dataclass(frozen=True)
class Place:
    """Where jobs are trained: on the cluster that the settings name, or on an embedded one that is yet to start.

    Attributes:
        settings: The settings, which may name a cluster.
        cluster: That cluster, once it has answered; None for an embedded one.
        workers: The number of processes of an embedded cluster; None for one per core.
        tell: Receives what is to be known before training begins: that Redis does not answer, for example.
        interruption: Defers signals while an embedded cluster starts or files are written, if the caller handles them.
    """

    settings: Settings
    cluster: Cluster | None = None
    workers: int | None = None
    tell: Tell = ignore
    interruption: Interruption = field(default_factory=Interruption)

    def reached(self) -> Place:
        """Return the place after the cluster that the settings name, if any, has answered.

        Raises:
            BrokerUnreachableError: no Redis server answers at the broker's address, or it denies access.
        """
        return self if self.settings.broker_url is None else replace(self, cluster=connect(self.settings, self.tell))

    def describe(self, jobs: int) -> str:
        """Return where this number of jobs is trained, as the end of a sentence."""
        if self.cluster is not None:
            return f"on the cluster at {hide_password(str(self.settings.broker_url))}"
        return f"on this machine, {self.processes(jobs)} at a time"

    def processes(self, jobs: int) -> int:
        """Return the number of processes of an embedded cluster: at most one per job."""
        return min(self.workers or max(1, available_cores() // self.settings.threads), max(1, jobs))

    def width(self, jobs: int) -> int:
        """Return how many of this number of jobs are trained at a time; 0 if no worker is online."""
        if self.cluster is None:
            return self.processes(jobs)
        return min(sum(worker.concurrency for worker in self.cluster.roster.online()), jobs)

    @contextlib.contextmanager
    def open(self, trainer: str, data: str, *, jobs: int, tell: Tell, logs: Path | None = None) -> Iterator[Cluster]:
        """Return a context manager that provides the cluster. It starts an embedded one first, and ends it afterwards.

        Args:
            trainer: The trainer of an embedded worker (`Settings.trainer`).
            data: Its data set (`Settings.data`).
            jobs: The number of jobs to train.
            tell: Shows a message to the user.
            logs: The folder in which jobs of an embedded cluster keep their logs; None for none.

        Raises:
            ClusterError: the embedded cluster does not start.
        """
        if self.cluster is not None:
            yield self.cluster.telling(tell)
            return
        cache = str(self.settings.cache_dir.absolute())
        with contextlib.ExitStack() as stack:
            with self.interruption.shield():
                variables = {"SEEDSWEEP_TRAINER": trainer, "SEEDSWEEP_DATA": data, "SEEDSWEEP_CACHE_DIR": cache}
                if logs is not None:
                    variables["SEEDSWEEP_LOG_DIR"] = str(logs.absolute())
                if self.settings.time_limit is not None:
                    variables["SEEDSWEEP_TIME_LIMIT"] = str(self.settings.time_limit)
                embedded = stack.enter_context(EmbeddedCluster(self.processes(jobs), variables))
            # Importing Celery takes a while; the embedded cluster starts meanwhile.
            from orchestrator.cluster.cluster import Cluster

            embedded.wait_for_server()
            own = self.settings.model_copy(update={"broker_url": embedded.url, "result_backend": None})
            yield stack.enter_context(contextlib.closing(Cluster(own, tell, embedded.check, embedded=True)))


def place_for(
    broker: str | None, workers: int | None = None, time_limit: int | None = None, tell: Tell = ignore
) -> Place:
    """Return the place that the environment names, or `broker`. It is not `reached` yet.

    Args:
        broker: The address of a Redis server; None for that of CELERY_BROKER_URL, if there is one.
        workers: Processes of an embedded cluster, which the command must then use; None if not given.
        time_limit: Seconds that a job of an embedded cluster may take; None for that of the environment.
        tell: Receives a sentence while Redis does not answer.

    Raises:
        InvalidInputError: an environment variable or the address is invalid, or `workers` or `time_limit` is given and
            a cluster is named.
    """
    settings = load_settings()
    if broker is not None:
        # A result backend in the environment belongs to the broker in the environment, if there is one.
        backend = settings.result_backend if settings.broker_url is None else None
        settings = settings.model_copy(update={"broker_url": redis_url(broker, "broker"), "result_backend": backend})
    for name, value in (("workers", workers), ("time_limit", time_limit)):
        if value is not None and settings.broker_url is not None:
            cluster = f"the cluster at {hide_password(settings.broker_url)}"
            raise InvalidInputError(name, value, Beside(f"{cluster}, which has its own workers"))
    if time_limit is not None:
        settings = settings.model_copy(update={"time_limit": time_limit})
    return Place(settings, workers=workers, tell=tell)


def require_broker(settings: Settings, why: str = "an embedded cluster ends with its command") -> None:
    """Raise `InvalidInputError` if the settings name no cluster, and say why there has to be one."""
    if settings.broker_url is None:
        allowed = f"the address of a Redis server, also as CELERY_BROKER_URL ({why})"
        raise InvalidInputError("broker", Described("missing"), allowed)


def connect(settings: Settings, tell: Tell, check: Callable[[], None] | None = None) -> Cluster:
    """Return the cluster that the settings name, after its broker and its result backend have answered.

    `check` is called while the server does not answer later, and raises to stop waiting; None for `refuse_ended`.

    Raises:
        InvalidInputError: the settings name no cluster.
        BrokerUnreachableError: one does not answer, denies access, or lacks the database; the message names it.
    """
    require_broker(settings)
    from orchestrator.cluster.cluster import Cluster
    from orchestrator.cluster.patience import check_answer

    cluster = Cluster(settings, tell, check or partial(refuse_ended, str(settings.broker_url)))
    for url in dict.fromkeys((cluster.app.broker_address, cluster.app.backend_address)):
        check_answer(url)
    return cluster
