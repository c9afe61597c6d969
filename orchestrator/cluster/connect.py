"""The way to a cluster: the one that the settings name, or an embedded one for as long as it is needed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from orchestrator.cluster.embedded import EmbeddedCluster, available_cores
from orchestrator.interruption import Interruption
from worker.settings import Settings

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster


@contextlib.contextmanager
def cluster_for(
    settings: Settings, *, data: str, processes: int, interruption: Interruption, tell: Callable[[str], None]
) -> Iterator[Cluster]:
    """Give a cluster for as long as the block runs.

    Args:
        settings: Name the cluster; if they name none, an embedded one is started, and ended after the block.
        data: Where an embedded worker takes the data set from.
        processes: How many jobs an embedded worker trains at once.
        interruption: Keeps a signal from cutting the start of an embedded cluster in two.
        tell: Shows a message to the user.

    Raises:
        ClusterError: the embedded cluster does not start.
    """
    if settings.broker_url is not None:
        from orchestrator.cluster.cluster import Cluster

        yield Cluster(settings, tell)
        return
    environment = {"SEEDSWEEP_DATA": data, "SEEDSWEEP_CACHE_DIR": str(settings.cache_dir.absolute())}
    with contextlib.ExitStack() as stack:
        with interruption.shield():
            embedded = stack.enter_context(EmbeddedCluster(processes, environment))
        # Celery takes a while to import: meanwhile the cluster starts.
        from orchestrator.cluster.cluster import Cluster

        embedded.wait_for_server()
        yield Cluster(
            settings.model_copy(update={"broker_url": embedded.url, "result_backend": None}),
            tell,
            embedded.check,
            embedded=True,
        )


def embedded_processes(workers: int | None, jobs: int) -> int:
    """Return how many processes an embedded cluster has for so many jobs: one per core by default, and no idle ones."""
    return min(workers or available_cores(), max(1, jobs))
