"""Removes what verification tasks left on a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.patience import ERRORS
from orchestrator.text import counted

#: Seconds to wait for running tasks, which end at their next epoch: a user has pressed Ctrl-C.
WAIT_SECONDS = 5.0
PAUSE = 0.1
#: Seconds for which a worker is told to end a task that it still trains: longer than an epoch of the largest networks.
FLAG_SECONDS = 3600


def clean_up(cluster: Cluster, tasks: Collection[str], ended: Collection[str], tell: Callable[[str], None]) -> None:
    """End the tasks that have not ended, and remove all records of every task. Tried once: the cluster may be gone.

    Two things stay: the evidence that an attempt ended with other weights than an earlier one of the same job; and,
    until they expire, the records of a task that a worker did not end in time.

    Args:
        cluster: The cluster; an embedded one is left alone, for it goes away with everything that it holds.
        tasks: The ids of the verification tasks.
        ended: Those that have ended.
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
        # A result must not go before its message: a worker that gets that again would train the job again.
        gone = [*withdrawn, *over]
        once.results.forget(gone)
        once.store.forget(gone)
    except ERRORS as error:
        tell(f"The records of the verification at {cluster.address} stay there until they expire: {error}")
        return
    left = len(tasks) - len(gone)
    if left:
        verb = "has" if left == 1 else "have"
        tell(
            f"{counted(left, 'task')} {verb} not ended in time; the records stay at {cluster.address} until they expire"
        )


def _wait(cluster: Cluster, tasks: set[str]) -> set[str]:
    """Return those of the tasks that have ended, and that no worker holds any more."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        started = time.monotonic()
        over = set(cluster.results.ended(tasks - cluster.queue.messages()))
        if len(over) == len(tasks) or started > until:
            return over
        time.sleep(max(PAUSE, time.monotonic() - started))
