"""Weights and manifests that somebody else stored, in the places where a sweep looks for its own."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from nn.datasets.mnist import MNIST_DIGEST
from nn.weights import digest, initial_weights, to_safetensors
from orchestrator.cluster.cluster import Cluster as ClusterView
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.provenance import provenance
from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.sweeps import sweep_of
from worker.job import Job, Result
from worker.records.store import key


def network(layers: tuple[int, int, int, int], dtype: str = "float32") -> Callable[[], bytes]:
    return lambda: to_safetensors(initial_weights(layers, np.random.RandomState(0), dtype))


#: What is stored as the weights of a job with the layers 784, 128, 64 and 10 in float32, and what is said about it.
FOREIGN = {
    "text": (lambda: b"these are not any weights", "are not intact safetensors"),
    "other layers": (network((784, 5, 4, 10)), "have layers of (784, 5, 4, 10) in float32"),
    "another input": (network((9, 128, 64, 10)), "have layers of (9, 128, 64, 10) in float32"),
    "another type": (network((784, 128, 64, 10), "float64"), "names weights of 87"),
}


def manifest(name: str) -> Manifest:
    specification = sweep_of(seeds=(0,), learning_rates=(0.03,), epochs=2, limit=500)
    jobs = [job.key for job in specification.jobs(MNIST_DIGEST)]
    return Manifest(name=name, specification=specification, dataset=MNIST_DIGEST, jobs=jobs, provenance=provenance())


def store_result(cluster: Cluster, job: Job, blob: bytes, size: int) -> None:
    """Store a success of the job with these weights."""
    result = Result(
        job=job.key, status="succeeded", validation_score=[0.9] * job.epochs, epoch_seconds=[0.1] * job.epochs,
        weights_sha256=digest(blob), weights_bytes=size, worker="w", attempts=1,
    )  # fmt: skip
    cluster.store().put_weights(blob)
    cluster.app.backend.store_result(job.key, result, "SUCCESS")


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_job_whose_weights_are_none_of_its_own_is_trained_again(
    command_line: CommandLine, cluster: Cluster, kind: str
) -> None:
    # Given a registered sweep, and in the place of its job's result one that somebody else stored
    made, sentence = FOREIGN[kind]
    sweep = manifest("a")
    ClusterView(cluster.settings).registry.register(sweep)
    (job,) = sweep.specification.jobs(MNIST_DIGEST)
    store_result(cluster, job, made(), len(made()))
    cluster.start_worker()
    # When it is watched
    done = command_line.run("watch", "a", "--broker", cluster.server.url)
    # Then the job is trained, and its row names what was trained
    assert "is trained again: the" in done.stdout
    assert sentence in " ".join(done.stdout.split())
    (row,) = command_line.rows("a")
    assert row["weights_sha256"] != digest(made())
    assert row["worker"] == "w1@test"


def test_weights_of_another_size_than_their_result_says_are_not_taken(
    command_line: CommandLine, cluster: Cluster
) -> None:
    sweep = manifest("a")
    ClusterView(cluster.settings).registry.register(sweep)
    (job,) = sweep.specification.jobs(MNIST_DIGEST)
    blob = network((784, 128, 64, 10))()
    store_result(cluster, job, blob, len(blob) - 1)
    cluster.start_worker()
    done = command_line.run("watch", "a", "--broker", cluster.server.url)
    assert "they have another hash or size" in " ".join(done.stdout.split())
    assert command_line.rows("a")[0]["worker"] == "w1@test"


def test_a_manifest_that_names_another_sweep_is_refused(command_line: CommandLine, cluster: Cluster) -> None:
    # Given the manifest of one sweep under the name of another
    client = cluster.server.client()
    client.hset(key("sweep", "a"), "manifest", manifest("b").model_dump_json())
    # Then nobody takes it for that one, and nothing is begun
    for command in (("watch", "a"), ("cancel", "a"), ("sweep", "--name", "a", "--seeds", "0", "--epochs", "1")):
        refused = command_line.run(*command, "--broker", cluster.server.url, status=2)
        assert "The cluster's sweep a has the manifest of another sweep, b: choose another --name" in " ".join(
            refused.stderr.split()
        )
    assert not command_line.sweep("a").exists()
    assert client.llen("seedsweep") == 0


def test_a_manifest_without_jobs_is_refused(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a sweep of which the sampler has chosen nothing yet; its own orchestrator never registers one
    empty = manifest("a").model_dump(mode="json") | {"jobs": []}
    empty["specification"] |= {
        "options": {"epochs": 2},
        "grid": {"learning_rate": ["linear:0.01..0.1"]},
        "sampling": {"sampler": "optuna", "samples": 2},
    }
    client = cluster.server.client()
    client.hset(key("sweep", "a"), "manifest", json.dumps(empty))
    # Then nobody begins with it
    for command in ("watch", "cancel"):
        refused = command_line.run(command, "a", "--broker", cluster.server.url, status=2)
        assert "was registered by another version of Seedsweep" in " ".join(refused.stderr.split())
    # Nor with its folder
    command_line.sweep("a").mkdir(parents=True)
    (command_line.sweep("a") / "sweep.json").write_text(json.dumps(empty))
    for command in (("sweep", "--name", "a", "--resume"), ("show", "a", "seed=0"), ("verify", "a")):
        refused = command_line.run(*command, status=2)
        assert "does not describe a sweep: it has no jobs" in " ".join(refused.stderr.split())
