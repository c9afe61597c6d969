"""A real worker on a real Redis: what it trains, what it stores, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from nn.datasets.mnist import load_mnist
from nn.weights import digest, from_safetensors
from tests.support.cluster import Cluster, make_job
from tests.support.redis_server import RedisServer
from worker.training.trainer import train


def test_a_job_comes_back_as_its_result(cluster: Cluster, cache_dir: Path) -> None:
    # Given a worker
    cluster.start_worker()
    job = make_job(seed=3)
    # When a job is submitted
    result = cluster.result(cluster.submit(job).id)
    # Then its result is the one that training here gives, to the bit
    trained = train(job, load_mnist(cache_dir=cache_dir))
    assert result.job == job.key
    assert result.status == "succeeded"
    assert result.weights_sha256 == digest(trained.weights)
    assert result.validation_score == [epoch.score for epoch in trained.history]
    assert len(result.epoch_seconds) == job.epochs
    assert (result.worker, result.attempts, result.error) == ("w1@test", 1, None)
    # And its weights are in the store under that hash
    blob = cluster.store().weights(result.weights_sha256, result.weights_bytes)
    assert len(blob) == result.weights_bytes
    assert from_safetensors(blob).layer_sizes == (784, 128, 64, 10)


def test_an_ordinary_celery_user_can_wait_for_a_result(cluster: Cluster) -> None:
    cluster.start_worker()
    task = cluster.submit(make_job())
    assert task.get(timeout=60)["status"] == "succeeded"


def test_submitting_subscribes_to_nothing(cluster: Cluster) -> None:
    # Given no worker, so that nothing else uses a channel
    cluster.submit(make_job())
    assert cluster.server.client().pubsub_channels() == []


@pytest.mark.parametrize("scheme", ["socket_url", "url"])
def test_tcp_and_unix_sockets_work_alike(
    redis_server: RedisServer, tmp_path: Path, cache_dir: Path, scheme: str
) -> None:
    cluster = Cluster(redis_server, tmp_path, cache_dir, broker_url=getattr(redis_server, scheme))
    try:
        cluster.start_worker()
        assert cluster.result(cluster.submit(make_job()).id).status == "succeeded"
    finally:
        cluster.close()
