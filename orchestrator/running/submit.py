"""Puts jobs into the queue: on one connection, a round trip for some hundred messages, and without subscriptions."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.cluster.cluster import Cluster
from worker.job import Job
from worker.messages import signature

#: Messages in one round trip; after a lost connection, at most so many are sent twice.
BATCH = 500


def submit(cluster: Cluster, jobs: Sequence[Job], *, label: str | None = None) -> None:
    """Queue the jobs in their order. A job's key is its task's id, so that to queue it twice does no harm.

    Args:
        cluster: The cluster.
        jobs: What to train.
        label: Names further runs of these jobs, beside the jobs' own.
    """
    for start in range(0, len(jobs), BATCH):
        batch = jobs[start : start + BATCH]
        cluster.patiently(lambda batch=batch: _publish(cluster, batch, label))  # type: ignore[misc]


def resubmit(cluster: Cluster, jobs: Sequence[Job]) -> None:
    """Forget what is stored about these jobs, and queue them afresh."""
    keys = [job.key for job in jobs]
    cluster.patiently(lambda: cluster.results.forget(keys))
    cluster.patiently(lambda: cluster.store.forget(keys))
    submit(cluster, jobs)


def _publish(cluster: Cluster, jobs: Sequence[Job], label: str | None) -> None:
    with cluster.app.producer_or_acquire() as producer, producer.batch(BATCH):
        for job in jobs:
            signature(cluster.app, job, label=label).apply_async(producer=producer)
