"""Ends a sweep's jobs: queued ones at once, running ones at their next epoch.

The mark on the registered sweep is what counts (`Registry.cancel`); the rest makes it come true, and may be done again
by anyone. Each job that is still open gets a flag, which every worker heeds when it takes a job and after each epoch.
Then the queued messages are withdrawn, so that these jobs end although no worker is online. A message that a worker
takes in that very moment is not withdrawn, and ends by its flag. Jobs that another sweep waits for are left alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from orchestrator.cluster.cluster import Cluster
from orchestrator.sweeps.manifest import Manifest

_REASON = "the sweep {} was cancelled"
_BEFORE, _AFTER = _REASON.split("{}")


@dataclass(frozen=True)
class Cancellation:
    """What became of a cancelled sweep's jobs, each a set of job keys.

    Attributes:
        withdrawn: They were queued, and have ended.
        ending: They run, or somebody is about to queue or to take them: they end at the next epoch at the latest.
        ended: They had ended before.
        wanted: Left alone, because another sweep waits for them: each with that sweep's name.
    """

    withdrawn: set[str]
    ending: set[str]
    ended: set[str]
    wanted: dict[str, str]


def reason(sweep: str) -> str:
    """Return why a cancelled sweep's jobs end, in the words that are stored with them."""
    return _REASON.format(sweep)


def ended_by_a_cancelled_sweep(stored: str) -> bool:
    """Return whether a job was revoked because a sweep was cancelled, and not by somebody who meant that very job."""
    return stored.startswith(_BEFORE) and stored.endswith(_AFTER)


def cancel_sweep(cluster: Cluster, manifest: Manifest) -> Cancellation:
    """Mark a sweep as cancelled, for whoever collects it, and end its jobs."""
    cluster.patiently(lambda: cluster.registry.cancel(manifest, reason(manifest.name)))
    return cancel_jobs(cluster, manifest.name, manifest.jobs)


def cancel_jobs(cluster: Cluster, sweep: str, keys: Collection[str]) -> Cancellation:
    """End those of a cancelled sweep's jobs that are still open."""
    known = cluster.patiently(lambda: cluster.results.states(keys))
    ended = {key for key, state in known.items() if state.ended}
    others = cluster.patiently(lambda: cluster.registry.wanted_by_others(sweep))
    wanted = {key: others[key] for key in keys if key in others and key not in ended}
    own = [key for key in keys if key not in ended and key not in wanted]
    withdrawn = end_tasks(cluster, own, reason(sweep))
    ending = {key for key in own if key not in withdrawn}
    return Cancellation(withdrawn, ending, ended, wanted)


def end_tasks(cluster: Cluster, task_ids: Collection[str], why: str) -> set[str]:
    """End runs; return those that were queued, and have ended. The others end at their next epoch."""
    cluster.patiently(lambda: cluster.store.cancel(task_ids, why))
    wanted = set(task_ids)
    withdrawn: set[str] = set()
    # Repeated after a lost connection: what the first try withdrew counts, too.
    cluster.patiently(lambda: withdrawn.update(cluster.queue.withdraw(wanted)))
    cluster.patiently(lambda: cluster.results.revoke(withdrawn, why))
    cluster.patiently(lambda: cluster.store.drop_checkpoints(withdrawn))
    return withdrawn
