"""What happens to a job whose process dies just before Redis does: the worst moment for it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from nn.datasets.mnist import load_mnist
from nn.weights import digest
from tests.support.cluster import Cluster, make_job
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from worker.messages import signature
from worker.training.trainer import train


@pytest.mark.slow(reason="waits for a restart of Redis and for a lease to end")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_dies_just_before_redis_costs_an_attempt_not_the_job(
    persistent_redis_server: RedisServer, tmp_path: Path, cache_dir: Path, how: signal.Signals
) -> None:
    cluster = Cluster(persistent_redis_server, tmp_path, cache_dir)
    try:
        # Given a worker in the middle of a job
        worker = cluster.start_worker()
        job = make_job(epochs=300)
        run = cluster.submit(job).id
        cluster.wait_for_state(run, "PROGRESS")
        # When its process dies, and Redis goes before the worker has noticed, and comes back
        worker.children()[0].kill()
        cluster.server.stop(how)
        # Either it finds its connection gone, or first the dead process, whose state it cannot store.
        signs = ("Cannot connect", "Failed operation _store_result")
        wait_for(lambda: any(sign in worker.text() for sign in signs), "a sign of the loss", report=worker.text)
        cluster.server.start()
        # Then the job is tried again and ends with its bits, and the same worker goes on
        assert cluster.result(run).weights_sha256 == digest(train(job, load_mnist(cache_dir=cache_dir)).weights)
        assert worker.process.poll() is None, worker.text()
        client = cluster.server.client()
        wait_for(lambda: not client.hlen("seedsweep:unacked"), "an acknowledged message", report=cluster.logs)
    finally:
        cluster.close()


def test_a_message_that_waits_for_its_time_survives_a_restart_of_redis_and_so_does_the_worker(
    persistent_redis_server: RedisServer, tmp_path: Path, cache_dir: Path
) -> None:
    cluster = Cluster(persistent_redis_server, tmp_path, cache_dir)
    try:
        # Given a worker that holds a message for later, as it does with a retry
        worker = cluster.start_worker()
        run = signature(cluster.app, make_job()).apply_async(countdown=4, retries=1).id
        worker.wait_until_logged(f"[{run}] received")
        # When Redis goes and comes back
        cluster.server.stop()
        worker.wait_until_logged("Cannot connect")
        cluster.server.start()
        # Then the job is trained, by the same worker
        assert cluster.result(run).status == "succeeded"
        assert worker.process.poll() is None, worker.text()
    finally:
        cluster.close()
