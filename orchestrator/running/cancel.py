"""Ends a sweep's jobs: queued ones at once, running ones at their next epoch.

The mark on the registered sweep is what counts (`Registry.cancel`); the rest carries it out, and anyone may repeat it.
Each open job gets a flag, which every worker checks when it takes the job and after each epoch. Then the queued
messages are withdrawn, so that these jobs end although no worker is online. A job whose message a worker takes at that
very moment is not withdrawn, and ends by its flag. Jobs that another sweep waits for are left alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field

from orchestrator.cluster.cluster import Cluster
from orchestrator.sweeps.manifest import Manifest

_REASON = "the sweep {} was cancelled"
_BEFORE, _AFTER = _REASON.split("{}")
#: Seconds for which a job without a message stays flagged: its message may be on the way to the queue, or to a worker.
IN_TRANSIT_SECONDS = 60


@dataclass(frozen=True)
class Cancellation:
    """What became of a cancelled sweep's jobs, each a set of job keys.

    Attributes:
        withdrawn: They were queued, and have ended.
        ending: Workers had them: they end at the next epoch, or have just ended.
        ended: They had ended before.
        wanted: Left alone, because another sweep waits for them: each with that sweep's name.
        absent: Neither queued, nor running, nor ended on this cluster.
    """

    withdrawn: set[str]
    ending: set[str]
    ended: set[str]
    wanted: dict[str, str]
    absent: set[str] = field(default_factory=set)


def reason(sweep: str) -> str:
    """Return why a cancelled sweep's jobs end, in the words that are stored with them."""
    return _REASON.format(sweep)


def ended_by_a_cancelled_sweep(stored: str) -> bool:
    """Return whether a job was revoked because some sweep was cancelled, and not for its own sake."""
    return stored.startswith(_BEFORE) and stored.endswith(_AFTER)


def cancel_sweep(cluster: Cluster, manifest: Manifest) -> Cancellation:
    """Mark a sweep as cancelled, for every session that collects it, and end its jobs.

    A sweep that is finished, or whose jobs have all ended, is left as it is: nothing is written.
    """
    jobs = set(manifest.jobs)
    if cluster.registry.finished(manifest.name) or cluster.results.ended(jobs).keys() == jobs:
        return Cancellation(withdrawn=set(), ending=set(), ended=jobs, wanted={})
    queued = cluster.queue.queued() & jobs
    if cluster.registry.manifest(manifest.name) is None and not _held(cluster, jobs):
        # A sweep that only its folder knows: no session on this cluster waits for it.
        ended = set(cluster.results.ended(jobs))
        return Cancellation(withdrawn=set(), ending=set(), ended=ended, wanted={}, absent=jobs - ended)
    cluster.registry.cancel(manifest, reason(manifest.name))
    done = cancel_jobs(cluster, manifest.name, manifest.jobs)
    # A session that saw the mark may have been faster, and have withdrawn them.
    by_session = queued & (done.absent | done.ended | cluster.results.ended(done.ending).keys())
    return dataclasses.replace(
        done,
        withdrawn=done.withdrawn | by_session,
        ending=done.ending - by_session,
        ended=done.ended - by_session,
        absent=done.absent - by_session,
    )


def cancel_jobs(cluster: Cluster, sweep: str, keys: Collection[str]) -> Cancellation:
    """End those of a cancelled sweep's jobs that are still open."""
    ended = set(cluster.results.ended(keys))
    others = cluster.registry.wanted_by_others(sweep)
    wanted = {key: others[key] for key in keys if key in others and key not in ended}
    own = [key for key in keys if key not in ended and key not in wanted]
    withdrawn = end_tasks(cluster, own, reason(sweep))
    left = set(own) - withdrawn
    # First the messages, then the results: a task that ends in between is seen in one of the two.
    ending = _held(cluster, left)
    ending |= cluster.results.ended(left).keys()
    absent = left - ending
    cluster.store.cancel(absent, reason(sweep), expires=IN_TRANSIT_SECONDS)
    return Cancellation(withdrawn, ending, ended, wanted, absent)


def end_tasks(cluster: Cluster, task_ids: Collection[str], why: str) -> set[str]:
    """End tasks; return those that were queued, and have ended. The others end at their next epoch.

    Args:
        cluster: The cluster.
        task_ids: The tasks.
        why: Stored as their result.
    """
    cluster.store.cancel(task_ids, why)
    withdrawn = cluster.queue.withdraw(task_ids)
    cluster.results.revoke(withdrawn, why)
    cluster.store.drop_checkpoints(withdrawn)
    return withdrawn


def _held(cluster: Cluster, keys: Collection[str]) -> set[str]:
    """Return those of the jobs that have a message, or run on a worker."""
    if not keys:
        return set()
    running = {task_id for worker in cluster.online_workers() for task_id in worker.running}
    return (cluster.queue.messages() | running) & set(keys)
