"""A Redis that refuses writes for as long as it likes costs a worker no descriptors."""

from __future__ import annotations

import os
import time

import pytest

from tests.support.cluster import Cluster, make_job
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess

#: The soft limit of open files, far below the usual 1024: a leak shows soon.
DESCRIPTORS = 256
#: How long writes are refused: a leak of a descriptor in two seconds shows.
REFUSED_SECONDS = 60.0


def descriptors(worker: WorkerProcess) -> int:
    return len(os.listdir(f"/proc/{worker.process.pid}/fd"))  # noqa: PTH208 - a count


def refuse_writes(cluster: Cluster, seconds: float) -> None:
    """Let Redis refuse writes and cut every connection once a second, then let it take writes again."""
    client = cluster.server.client()
    client.config_set("min-replicas-to-write", 1)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        client.client_kill_filter(_type="normal")
        client.client_kill_filter(_type="pubsub")
        time.sleep(1)
    client.config_set("min-replicas-to-write", 0)


@pytest.mark.slow(reason="refuses writes for a minute")
@pytest.mark.timeout(300)
def test_a_worker_takes_the_next_job_after_writes_were_refused(cluster: Cluster) -> None:
    # Given two workers with few descriptors
    limited = ("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}")
    for name in ("w1", "w2"):
        worker = WorkerProcess(name, cluster.folder, cluster.environment, sociable=True, prefix=limited)
        cluster.workers.append(worker)
    for worker in cluster.workers:
        worker.wait_until_ready()
    before = [descriptors(worker) for worker in cluster.workers]
    # When Redis refuses writes, and connections are cut meanwhile
    refuse_writes(cluster, REFUSED_SECONDS)
    # Then neither has more open than it needs
    for worker, count in zip(cluster.workers, before, strict=True):
        assert worker.process.poll() is None, worker.text()
        assert descriptors(worker) <= count + 20, worker.text()[-3000:]
    # And each takes the next jobs
    tasks = [cluster.submit(make_job(seed=seed, epochs=100)).id for seed in range(8)]
    wait_for(
        lambda: all("received" in worker.text() for worker in cluster.workers), "a job in each", report=cluster.logs
    )
    assert {cluster.result(task).status for task in tasks} == {"succeeded"}
