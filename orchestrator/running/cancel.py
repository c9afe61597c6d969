"""Ends a sweep's jobs: queued ones at once, running ones at their next epoch.

A sweep is cancelled by the mark on its registration (`Registry.cancel`). The steps that follow can be repeated by any
process. First the queued messages are withdrawn, so that these jobs end even if no worker is online, and no worker that
ends a job takes the next. Then each open job gets a flag, which workers check when they take a job and after each
epoch: a job whose message a worker holds ends by it. Jobs for which another sweep waits are left alone.
"""

import getpass
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass, field

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.results import Cancelled, Failed, Finished
from orchestrator.sweeps.manifest import Manifest

_BEFORE, _AFTER = "the sweep ", " was cancelled"
#: Seconds for which a job without a message stays flagged: its message may be on the way to the queue, or to a worker.
IN_TRANSIT_SECONDS = 60


@dataclass(frozen=True)
class Cancellation:
    """What became of the jobs of a cancelled sweep. Each attribute holds job keys.

    Attributes:
        withdrawn: Jobs that were queued, and have ended.
        ending: Jobs that workers held: they end at the next epoch, or have just ended.
        ended: Jobs that had ended before, without those that were cancelled.
        wanted: Jobs that continue because another sweep waits for them, each with that sweep's name.
        absent: Jobs that are neither queued, nor running, nor ended on this cluster.
    """

    withdrawn: set[str] = field(default_factory=set)
    ending: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    wanted: dict[str, str] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)


def reason(sweep: str) -> str:
    """Return the reason that is stored with the jobs of a cancelled sweep."""
    return f"{_BEFORE}{sweep}{_AFTER}"


def ended_by_a_cancelled_sweep(stored: str) -> bool:
    """Return whether this stored reason of a cancelled job says that a sweep was cancelled."""
    return stored.startswith(_BEFORE) and stored.endswith(_AFTER)


def cancel_sweep(cluster: Cluster, manifest: Manifest) -> Cancellation:
    """Mark a sweep as cancelled, for every session that collects it, and end its jobs.

    If the sweep is finished, or all of its jobs have ended, nothing is written.
    """
    jobs = set(manifest.jobs)
    is_finished = cluster.registry.finished(manifest.name) and not _held(cluster, jobs)
    if is_finished or cluster.results.over(jobs) == jobs:
        is_cancelled = cluster.registry.cancelled(manifest.name) is not None
        return Cancellation(ended=cluster.results.over(jobs, Finished | Failed) if is_cancelled else jobs)
    queued = cluster.queue.queued(jobs)
    if cluster.registry.manifest(manifest.name) is None and not _held(cluster, jobs):
        # Only the sweep folder knows this sweep: no session on this cluster waits for its jobs.
        ended = cluster.results.over(jobs)
        return Cancellation(ended=ended, absent=jobs - ended)
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"user {os.getuid()}"
    by = f"{user} on {socket.gethostname()} (process {os.getpid()})"
    cluster.registry.cancel(manifest, f"{reason(manifest.name)} by {by}")
    done = cancel_jobs(cluster, manifest.name, manifest.jobs)
    # A session that saw the mark may have withdrawn them first.
    by_session = queued & done.absent | cluster.results.over(queued - done.withdrawn, Cancelled)
    ended, ending = cluster.results.over(done.ended, Finished | Failed), done.ending - by_session
    return Cancellation(done.withdrawn | by_session, ending, ended, done.wanted, done.absent - by_session)


def cancel_jobs(cluster: Cluster, sweep: str, keys: Collection[str]) -> Cancellation:
    """End the open jobs of a cancelled sweep: queued ones now, the others at their next epoch."""
    ended = cluster.results.over(keys)
    others = cluster.registry.wanted_by_others(sweep, keys)
    wanted = {key: other for key, other in others.items() if key not in ended}
    own = [key for key in keys if key not in ended and key not in wanted]
    withdrawn = cluster.queue.withdraw(own)
    cluster.store.cancel(own, reason(sweep))
    cluster.results.revoke(withdrawn, reason(sweep))
    cluster.store.drop("checkpoint", withdrawn)
    left = set(own) - withdrawn
    # Messages are read before results, so that a task which ends meanwhile is found in one of the two.
    ending = _held(cluster, left)
    ending |= cluster.results.over(left)
    absent = left - ending
    cluster.store.cancel(absent, reason(sweep), expires=IN_TRANSIT_SECONDS)
    return Cancellation(withdrawn, ending, ended, wanted, absent)


def _held(cluster: Cluster, keys: Collection[str]) -> set[str]:
    if not keys:
        return set()
    return cluster.queue.messages(keys) | cluster.running().intersection(keys)
