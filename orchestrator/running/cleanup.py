"""What runs that only check a result leave on a cluster, and how it goes away with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

from celery import states
from kombu.exceptions import KombuError
from pydantic import ValidationError
from redis.exceptions import RedisError

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.results import State
from worker.job import Job, Result

#: How long running ones are waited for, which end at their next epoch: a user has pressed Ctrl-C.
WAIT_SECONDS = 5.0
PAUSE = 0.1
#: For how long a worker is told to end a run that it goes on with: longer than an epoch of the largest networks.
FLAG_SECONDS = 3600


class Cleanup:
    """What the cluster holds of runs, beyond what it held before them.

    Args:
        cluster: The cluster.
        runs: The runs by id, none of which is queued yet.
        hashes: Of the weights that they are expected to end with.
        tell: Shows a message to the user.
    """

    def __init__(
        self, cluster: Cluster, runs: Mapping[str, Job], hashes: Collection[str], tell: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._runs = runs
        self._hashes = set(hashes)
        self._tell = tell
        keys = [job.key for job in runs.values()]
        self._kept = cluster.patiently(lambda: cluster.store.kept_weights(self._hashes))
        self._compared = cluster.patiently(lambda: cluster.store.compared(keys))

    def remove(self, ended: Collection[str]) -> None:
        """End the runs that have not ended, and remove what is known of all. Tried once: the cluster may be gone.

        Two things stay: that a run ended with other weights than an earlier one of the same job; and what a worker
        writes of a run that it did not end in time, until that expires.
        """
        # An embedded cluster goes with all that it holds.
        if self._cluster.embedded:
            return
        cluster = self._cluster
        try:
            still_open = set(self._runs) - set(ended)
            cluster.store.cancel(still_open, "the verification ended", FLAG_SECONDS)
            withdrawn = cluster.queue.withdraw(still_open)
            over = self._wait(set(self._runs) - withdrawn)
            # A result must not go before its message: a worker that gets that again would train the job again.
            gone = [*withdrawn, *over]
            cluster.results.forget(gone)
            cluster.store.forget(gone)
            self._remove_results(over)
        except (RedisError, KombuError, OSError) as error:
            self._tell(f"What the verification left at {cluster.address} stays there until it expires: {error}")
            return
        left = len(self._runs) - len(gone)
        if left:
            runs = "1 run that a worker has not ended" if left == 1 else f"{left} runs that workers have not ended"
            self._tell(f"What is known of {runs} yet stays at {cluster.address} until it expires")

    def _wait(self, runs: set[str]) -> dict[str, State]:
        """Return those of the runs that have ended, with nobody at work on them any more."""
        until = time.monotonic() + WAIT_SECONDS
        while True:
            started = time.monotonic()
            free = runs - self._cluster.queue.messages()
            over = {run: state for run, state in self._cluster.results.states(free).items() if state.ended}
            if len(over) == len(runs) or started > until:
                return over
            time.sleep(max(PAUSE, time.monotonic() - started))

    def _remove_results(self, over: Mapping[str, State]) -> None:
        """Remove the weights, and what later runs would be compared with; not what another sweep may wait for."""
        store = self._cluster.store
        keys = [job.key for job in self._runs.values()]
        others = self._cluster.results.states(keys)
        found = {run: weights for run, state in over.items() if (weights := _weights(state)) is not None}
        alone = {weights for run, weights in found.items() if self._runs[run].key not in others}
        store.drop_weights((set(found.values()) & self._hashes | alone) - self._kept)
        store.forget_compared(key for key in keys if key not in others and key not in self._compared)


def _weights(state: State) -> str | None:
    if state.name != states.SUCCESS:
        return None
    try:
        return Result.model_validate(state.value).weights_sha256
    except ValidationError:
        return None
