"""Where a command's jobs are trained: on the cluster that the settings name, or on an embedded one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nn.errors import Described, InvalidInputError
from orchestrator.cluster.embedded import EmbeddedCluster, available_cores
from orchestrator.interruption import Interruption
from worker.redis.address import hide_password
from worker.settings import Settings

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster


@dataclass(frozen=True)
class Place:
    """A cluster that answered, or the intention to start an embedded one. Made by `place_for`.

    Attributes:
        settings: Name the cluster, if there is one.
        cluster: That cluster; None for an embedded one.
        workers: Processes of an embedded cluster; None for one per core.
    """

    settings: Settings
    cluster: Cluster | None = None
    workers: int | None = None

    def describe(self, jobs: int) -> str:
        """Return where so many jobs are trained, as the end of a sentence."""
        if self.cluster is not None:
            return f"on the cluster at {hide_password(str(self.settings.broker_url))}"
        return f"on this machine, {self.processes(jobs)} at a time"

    def processes(self, jobs: int) -> int:
        """Return how many processes an embedded cluster has for so many jobs: no idle ones."""
        return min(self.workers or available_cores(), max(1, jobs))

    @contextlib.contextmanager
    def open(
        self, *, data: str, jobs: int, interruption: Interruption, tell: Callable[[str], None]
    ) -> Iterator[Cluster]:
        """Provide the cluster while the block runs; an embedded one is started first and ended afterwards.

        Args:
            data: Where an embedded worker takes the data set from.
            jobs: How many jobs there are to train.
            interruption: Defers a signal while an embedded cluster starts.
            tell: Shows a message to the user.

        Raises:
            ClusterError: the embedded cluster does not start.
        """
        if self.cluster is not None:
            yield self.cluster.telling(tell)
            return
        cache = str(self.settings.cache_dir.absolute())
        with contextlib.ExitStack() as stack:
            with interruption.shield():
                embedded = stack.enter_context(
                    EmbeddedCluster(self.processes(jobs), {"SEEDSWEEP_DATA": data, "SEEDSWEEP_CACHE_DIR": cache})
                )
            # Celery takes a while to import: meanwhile the cluster starts.
            from orchestrator.cluster.cluster import Cluster

            embedded.wait_for_server()
            own = self.settings.model_copy(update={"broker_url": embedded.url, "result_backend": None})
            yield Cluster(own, tell, embedded.check, embedded=True)


def place_for(settings: Settings, workers: int | None, tell: Callable[[str], None]) -> Place:
    """Return where jobs are trained, after the cluster that the settings name has answered.

    Args:
        settings: Name a cluster; without a broker's address, an embedded one is meant.
        workers: Processes of an embedded cluster; None for one per core.
        tell: Shows a message to the user, until `Place.open` names another listener.

    Raises:
        BrokerUnreachableError: no Redis server answers there, or it refuses the connection.
    """
    if settings.broker_url is None:
        return Place(settings, workers=workers)
    return Place(settings, connect(settings, tell))


def connect(settings: Settings, tell: Callable[[str], None]) -> Cluster:
    """Return the cluster that the settings name, after it has answered.

    Raises:
        InvalidInputError: they name none.
        BrokerUnreachableError: no Redis server answers there, or it refuses the connection.
    """
    if settings.broker_url is None:
        raise InvalidInputError("broker_url", Described("missing"), "the address of a Redis server")
    from orchestrator.cluster.cluster import Cluster

    cluster = Cluster(settings, tell)
    cluster.check_answer()
    return cluster
