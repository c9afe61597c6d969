"""`cancel`: ends a sweep's queued jobs at once, and its running ones after their epoch."""

from __future__ import annotations

from orchestrator.cluster.connect import connect
from orchestrator.commands.display import Tell, ignore
from orchestrator.commands.find import find_sweep
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.cancel import Cancellation, cancel_sweep
from worker.settings import Settings


def cancel(folder: SweepFolder, settings: Settings, *, tell: Tell = ignore) -> Cancellation:
    """Cancel a sweep on a cluster. Its folder, if there is one, is only read.

    Args:
        folder: Where the sweep is kept on this machine; it need not exist.
        settings: Name the cluster.
        tell: Receives a sentence while Redis does not answer.

    Raises:
        InvalidInputError: the settings name no cluster.
        SweepNotFoundError: neither the cluster nor the folder has such a sweep.
        SweepExistsError: the folder is another sweep's.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
    """
    cluster = connect(settings, tell)
    return cancel_sweep(cluster, find_sweep(cluster, folder))
