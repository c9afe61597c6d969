"""What the processes of a worker share, in every way that Celery can run them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.cluster import Cluster, make_job


@pytest.fixture
def observed(cluster: Cluster) -> dict[str, Any]:
    """What a process of a worker sees of itself when it has trained a job."""
    worker = cluster.start_worker("--include", "tests.support.actions")
    cluster.submit(make_job())
    worker.wait_until_logged("OBSERVED")
    [line] = [line for line in worker.text().splitlines() if "OBSERVED" in line]
    seen: dict[str, Any] = json.loads(line.partition("OBSERVED")[2])
    return seen


def test_each_process_uses_one_thread(observed: dict[str, Any]) -> None:
    assert observed["libraries"], "threadpoolctl found no BLAS"
    assert {threads for _, threads in observed["libraries"]} == {1}
    assert observed["numba"] == 1


def test_the_data_set_is_loaded_before_the_fork(observed: dict[str, Any]) -> None:
    assert observed["loaded"]


@pytest.mark.parametrize(
    "arguments",
    [("--pool", "solo"), ("--pool", "threads"), ("--pool", "prefork", "--pool-start-method", "spawn")],
    ids=["solo", "threads", "spawn"],
)
def test_other_pools_give_the_same_results(cluster: Cluster, arguments: tuple[str, ...]) -> None:
    cluster.start_worker(*arguments, concurrency=2)
    jobs = [make_job(seed=seed) for seed in range(3)]
    results = [cluster.result(cluster.submit(job).id) for job in jobs]
    assert [result.attempts for result in results] == [1, 1, 1]
    assert len({result.weights_sha256 for result in results}) == 3


def test_progress_shows_in_the_tasks_state(cluster: Cluster) -> None:
    cluster.start_worker()
    job = make_job(epochs=1000)
    run = cluster.submit(job).id
    report = cluster.wait_for_state(run, "PROGRESS")["result"]
    assert 1 <= report["epoch"] < report["epochs"] == 1000
    assert 0 <= report["validation_score"][-1] <= 1
    assert (report["worker"], report["attempt"]) == ("w1@test", 1)
    cluster.store().cancel([run], "seen enough")
    cluster.wait_for_state(run, "REVOKED")


def test_a_learning_rate_that_is_too_high_gives_a_diverged_result(cluster: Cluster) -> None:
    cluster.start_worker()
    result = cluster.result(cluster.submit(make_job(learning_rate=1e30, limit=2000)).id)
    assert result.status == "diverged"
    assert result.error is not None
    assert result.error.startswith(("diverged: a weight is infinite", "stuck at chance: "))
    # Its weights are as reproducible as any others.
    assert len(cluster.store().weights(result.weights_sha256, result.weights_bytes)) == result.weights_bytes
