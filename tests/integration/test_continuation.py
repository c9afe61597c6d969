"""Checkpoints of the orchestrator in a real Redis, without workers: jobs of more epochs go on from shorter ones."""

from pathlib import Path

import pytest

from nn.datasets.mnist import MNIST_DIGEST
from nn.files import digest
from nn.weights import initial_weights, to_safetensors
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running import continuation, underway
from orchestrator.running.continuation import Continuation
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.cluster import Cluster
from tests.support.sweep_folders import filled, row
from tests.support.sweeps import sweep_of
from worker.job import Job
from worker.records import checkpoints

SWEPT = sweep_of(seeds=(0, 1, 2), learning_rates=(0.1,), epochs=(2, 3, 5), hidden=((8, 4),))
JOBS = SWEPT.jobs_by_key(MNIST_DIGEST)


def of(epochs: int) -> list[Job]:
    return [job for job in JOBS.values() if job.epochs == epochs]


def finished(folder: SweepFolder, job: Job) -> Row:
    """Keep the weights of a job, and return its row."""
    import numpy as np

    blob = to_safetensors(initial_weights((784, 8, 4, 10), np.random.RandomState(job.seed), "float32"))
    folder.keep_weights(digest(blob), blob)
    return row(job, blob, tuple(0.5 + epoch / 100 for epoch in range(job.epochs)))


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return filled(tmp_path, SWEPT, lambda _: None)


def stored(cluster: Cluster) -> set[str]:
    return {name.decode().rsplit(":", 1)[1] for name in cluster.server.client().keys("seedsweep:checkpoint:*")}


def test_a_longer_job_goes_on_from_the_longest_shorter_one(shared_cluster: Cluster, folder: SweepFolder) -> None:
    rows = {job.key: finished(folder, job) for job in (*of(2), *of(3)[:1])}
    made = Continuation(folder, rows, shared_cluster.store())
    assert made.prepare(of(5)) == "3 jobs of more epochs: 3 from stored weights"
    epochs = []
    for job in of(5):
        checkpoint = checkpoints.load(shared_cluster.store(), job.key, job)
        assert checkpoint is not None
        epochs.append(len(checkpoint.history))
        assert [record.score for record in checkpoint.history] == [0.5, 0.51, 0.52][: len(checkpoint.history)]
        assert checkpoint.state == folder.weights(job, digest(checkpoint.state))
    assert epochs == [3, 2, 2]


def test_a_checkpoint_of_a_worker_is_not_replaced(shared_cluster: Cluster, folder: SweepFolder) -> None:
    job = of(5)[0]
    shared_cluster.server.client().set(f"seedsweep:checkpoint:{job.key}", b"a later one")
    made = Continuation(folder, {of(2)[0].key: finished(folder, of(2)[0])}, shared_cluster.store())
    made.prepare([job])
    assert shared_cluster.server.client().get(f"seedsweep:checkpoint:{job.key}") == b"a later one"


def test_checkpoints_are_bounded_and_the_next_follow_as_jobs_end(
    shared_cluster: Cluster, folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuation, "MOST_BYTES", 1)
    made = Continuation(folder, {job.key: finished(folder, job) for job in of(2)}, shared_cluster.store())
    first, second, third = of(3)
    made.prepare(of(3))
    assert stored(shared_cluster) == {first.key}
    made.ended(second.key)
    assert stored(shared_cluster) == {first.key}
    made.ended(first.key)
    assert stored(shared_cluster) == {first.key, third.key}


def test_what_cannot_go_on_is_said_and_trained_from_the_first_epoch(
    shared_cluster: Cluster, folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {job.key: finished(folder, job) for job in of(2)}
    whole, damaged, diverged = (rows[job.key] for job in of(2))
    folder.weights_path(str(damaged.weights_sha256)).write_bytes(b"no weights")
    rows[diverged.job] = diverged.model_copy(update={"status": "diverged", "error": "why"})
    made = Continuation(folder, rows, shared_cluster.store())
    # A job that diverged is no beginning of a longer one.
    assert made.prepare(of(5)) == (
        "2 jobs of more epochs: 1 from stored weights, 1 from the first epoch, because their weights are damaged"
    )
    assert stored(shared_cluster) == {of(5)[0].key}
    assert whole.job != damaged.job
    folder.weights_path(str(whole.weights_sha256)).unlink()
    assert Continuation(folder, rows, shared_cluster.store()).prepare(of(5)) == (
        "2 jobs of more epochs: 0 from stored weights, 2 from the first epoch, because their weights were not kept or "
        "are damaged"
    )
    # Without shorter jobs, there is nothing to say, and no options are compared.
    monkeypatch.setattr(underway, "without_epochs", None)
    assert Continuation(folder, {job.key: row(job) for job in of(5)}, shared_cluster.store()).prepare(of(2)) is None
    assert Continuation(folder, {}, shared_cluster.store()).prepare(of(5)) is None


def test_a_trainer_that_cannot_go_on_trains_from_the_first_epoch(shared_cluster: Cluster, folder: SweepFolder) -> None:
    sgd = SweepSpecification(
        trainer="sklearn", seeds=(0, 1), options={"estimator": "SGDClassifier"}, grid={"epochs": (1, 2)}, data="digits"
    )
    jobs = sgd.jobs_by_key(MNIST_DIGEST)
    shorter, longer = ([job for job in jobs.values() if job.epochs == epochs] for epochs in (1, 2))
    made = Continuation(folder, {job.key: row(job) for job in shorter}, shared_cluster.store())
    assert made.prepare(longer) == (
        "2 jobs of more epochs: 0 from stored weights, 2 from the first epoch, because the trainer sklearn cannot go "
        "on from a result"
    )
    assert not stored(shared_cluster)
