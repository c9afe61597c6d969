"""Weights and manifests that somebody else stored, in the places where a sweep looks for its own."""

import json
from collections.abc import Callable

import numpy as np

from nn.datasets.mnist import MNIST_DIGEST
from nn.files import digest
from nn.weights import initial_weights, to_safetensors
from orchestrator.cluster.cluster import Cluster as ClusterView
from orchestrator.sweeps.manifest import Manifest
from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine, small
from tests.support.in_process import InProcess
from tests.support.sweep_folders import result
from tests.support.sweeps import manifest_of, sweep_of
from worker.job import Job
from worker.records.store import artifact, key


def network(layers: tuple[int, int, int, int], dtype: str = "float32") -> Callable[[], bytes]:
    return lambda: to_safetensors(initial_weights(layers, np.random.RandomState(0), dtype))


#: What is stored as the weights of a job with the layers 784, 128, 64 and 10 in float32, how many bytes more or less
#: the result says, and what is said about it.
FOREIGN = [
    (lambda: b"these are not any weights", 0, "are not intact safetensors"),
    (network((784, 5, 4, 10)), 0, "have layers of (784, 5, 4, 10) in float32"),
    (network((9, 128, 64, 10)), 0, "have layers of (9, 128, 64, 10) in float32"),
    (network((784, 128, 64, 10), "float64"), 0, "names weights of 87"),
    (network((784, 128, 64, 10)), -1, "they have another hash or size"),
    (network((784, 128, 64, 10)), 0, "are not in the store"),
]


def manifest(name: str) -> Manifest:
    return manifest_of(sweep_of(seeds=tuple(range(len(FOREIGN))), learning_rates=(0.03,), epochs=1, limit=100), name)


def store_result(cluster: Cluster, job: Job, blob: bytes, size: int) -> None:
    """Store a success of the job with these weights."""
    cluster.server.client().set(key("weights", artifact(job.key, digest(blob))), blob)
    cluster.app.backend.store_result(
        job.key, result(job, *[0.9] * job.epochs, blob=blob, weights_bytes=size), "SUCCESS"
    )


def test_jobs_whose_weights_are_none_of_their_own_are_trained_again(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a registered sweep, and in the places of its jobs' results those that somebody else stored
    sweep = manifest("a")
    ClusterView(cluster.settings).registry.register(sweep)
    foreign = {}
    for job, (make, more, _) in zip(sweep.specification.jobs(MNIST_DIGEST), FOREIGN, strict=True):
        blob = make()
        foreign[job.seed] = digest(blob)
        store_result(cluster, job, blob, len(blob) + more)
    # Redis lost the last ones, with the record that precedes them: no other session has taken them.
    cluster.store().drop("weights", [artifact(job.key, foreign[job.seed])])
    cluster.start_worker()
    # When it is watched
    done = command_line.run("watch", "a", "--broker", cluster.server.url)
    # Then each job is trained, and its row names what was trained
    said = " ".join(done.stdout.split())
    assert said.count("is trained again: the") == len(FOREIGN)
    assert all(sentence in said for _, _, sentence in FOREIGN)
    rows = command_line.rows("a")
    assert {row["seed"] for row in rows} == foreign.keys()
    for row in rows:
        assert row["weights_sha256"] != foreign[row["seed"]]
        assert row["worker"] == "w1@test"


def test_a_manifest_that_names_another_sweep_is_refused(here: InProcess, shared_cluster: Cluster) -> None:
    # Given the manifest of one sweep under the name of another
    client = shared_cluster.server.client()
    client.hset(key("sweep", "a"), "manifest", manifest("b").model_dump_json())
    # Then nobody takes it for that one, and nothing is begun
    for command in (("watch", "a"), ("cancel", "a"), ("sweep", "--name", "a", "--seeds", "0", "--epochs", "1")):
        refused = here.refused(*command, "--broker", shared_cluster.server.url)
        assert "The cluster's sweep a has the manifest of another sweep, b: choose another --name" in refused
    assert not (here.runs / "a").exists()
    assert client.llen("seedsweep") == 0


def test_a_submission_that_is_refused_half_way_goes_on_later(here: InProcess, shared_cluster: Cluster) -> None:
    client, words = shared_cluster.server.client(), ("--broker", shared_cluster.server.url)
    client.set("seedsweep", "x")
    told = here.run("submit", *small(), "--name", "a", *words, status=1).err
    client.delete("seedsweep")
    assert "go on with: orchestrator sweep --resume --name a --broker redis://" in told
    here.run("submit", *small(), "--name", "b", *words)


def test_a_manifest_without_jobs_is_refused(here: InProcess, shared_cluster: Cluster) -> None:
    # Given a sweep of which the sampler has chosen nothing yet; its own orchestrator never registers one
    empty = manifest("a").model_dump(mode="json") | {"jobs": []}
    empty["specification"] |= {
        "options": {"epochs": 2},
        "grid": {"learning_rate": ["linear:0.01..0.1"]},
        "sampling": {"sampler": "optuna", "samples": 2},
    }
    client = shared_cluster.server.client()
    client.hset(key("sweep", "a"), "manifest", json.dumps(empty))
    # Then nobody begins with it
    for command in ("watch", "cancel"):
        refused = here.refused(command, "a", "--broker", shared_cluster.server.url)
        assert "was registered by another version of Seedsweep" in refused
    # Nor with its folder
    (here.runs / "a").mkdir(parents=True)
    (here.runs / "a" / "sweep.json").write_text(json.dumps(empty))
    for command in (("sweep", "--name", "a", "--resume"), ("show", "a", "seed=0"), ("verify", "a")):
        assert "does not describe a sweep: it has no jobs" in here.refused(*command)
