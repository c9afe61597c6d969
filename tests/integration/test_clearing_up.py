"""What an attempt leaves that died after its result was stored and before it had cleared up."""

from __future__ import annotations

from pathlib import Path

from nn.datasets.mnist import load_mnist
from tests.support.cluster import Cluster, make_job
from tests.support.waiting import wait_for
from worker.records.checkpoints import Checkpoints, SavedCheckpoint
from worker.training.trainer import train


def test_a_checkpoint_that_outlived_its_job_goes_when_the_message_comes_again(
    cluster: Cluster, cache_dir: Path
) -> None:
    # Given a job with a result, and the checkpoint that its attempt could not remove any more
    cluster.start_worker()
    job = make_job()
    run = cluster.submit(job).id
    cluster.result(run)
    weights = train(job, load_mnist(cache_dir=cache_dir)).weights
    Checkpoints(cluster.store()).save(run, job, SavedCheckpoint((), weights))
    client = cluster.server.client()
    assert client.exists(f"seedsweep:checkpoint:{run}")
    # When its message, which was never acknowledged, is delivered again
    cluster.submit(job)
    # Then the checkpoint goes, and the result stays
    wait_for(lambda: not client.exists(f"seedsweep:checkpoint:{run}"), "no checkpoint", report=cluster.logs)
    assert cluster.result(run).attempts == 1
