"""Removes the records of verification tasks from a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.patience import ERRORS
from orchestrator.text import counted

#: Seconds to wait for running tasks to end at their next epoch. Short, because the user may have pressed Ctrl-C.
WAIT_SECONDS = 5.0
PAUSE = 0.1
#: Seconds for which tasks stay flagged as cancelled: longer than an epoch of the largest networks.
FLAG_SECONDS = 3600


def clean_up(cluster: Cluster, tasks: Collection[str], ended: Collection[str], tell: Callable[[str], None]) -> None:
    """End the open tasks, and remove the records of all tasks. Redis is tried once, because the cluster may be gone.

    Two kinds of record stay: evidence, and the records of tasks that did not end in time, until they expire.

    Args:
        cluster: The cluster. On an embedded one nothing is done, because its data ends with it.
        tasks: The ids of the verification tasks.
        ended: The ids of those that have ended.
        tell: Shows a message to the user.
    """
    if cluster.embedded:
        return
    once = cluster.impatient()
    try:
        still_open = set(tasks) - set(ended)
        once.store.cancel(still_open, "the verification ended", FLAG_SECONDS)
        withdrawn = once.queue.withdraw(still_open)
        over = _wait(once, set(tasks) - withdrawn)
        # A result is removed only after its message is gone: a redelivered message without a result is trained again.
        gone = [*withdrawn, *over]
        once.results.forget(gone)
        once.store.forget(gone)
    except ERRORS as error:
        tell(
            f"Cannot remove the records of the verification at {cluster.address}; they stay until they expire: {error}"
        )
        return
    left = len(tasks) - len(gone)
    if left:
        verb = "has" if left == 1 else "have"
        tell(
            f"{counted(left, 'task')} {verb} not ended in time; the records stay at {cluster.address} until they expire"
        )


def _wait(cluster: Cluster, tasks: set[str]) -> set[str]:
    """Wait, and return the tasks that have ended and whose message no worker holds any more."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        started = time.monotonic()
        over = set(cluster.results.ended(tasks - cluster.queue.messages()))
        if len(over) == len(tasks) or started > until:
            return over
        time.sleep(max(PAUSE, time.monotonic() - started))
