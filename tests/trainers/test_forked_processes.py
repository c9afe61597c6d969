"""Trainers that compute with threads, in the processes that a worker forks."""

import json
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.own_trainer import found_here, install_source
from tests.support.worker_process import WorkerProcess
from tests.trainers import broken
from worker.job import Job


def start(cluster: Cluster, folder: Path, kind: type, **how: bool) -> WorkerProcess:
    install_source(folder, "honest", f"from tests.trainers.broken import {kind.__name__}", kind.__name__)
    return cluster.start_worker(PYTHONPATH=str(folder), SEEDSWEEP_TRAINER="honest", **how)


@pytest.mark.parametrize("kind", [broken.PreparesAPool, broken.LoadsForEachProcess])
def test_a_trainer_may_start_threads_in_each_process(cluster: Cluster, tmp_path: Path, kind: type) -> None:
    start(cluster, tmp_path / "site", kind)
    with found_here(tmp_path / "site"):
        data = broken.Honest().load("points", tmp_path)
        results = [
            cluster.result(cluster.submit(Job.of({}, seed=seed, dataset=data.digest, trainer="honest")).id)
            for seed in range(2)
        ]
    assert [(result.status, result.attempts) for result in results] == [("succeeded", 1)] * 2


def test_a_worker_refuses_threads_that_its_processes_would_lack(cluster: Cluster, tmp_path: Path) -> None:
    worker = start(cluster, tmp_path / "site", broken.SharesAPool, ready=False)
    assert worker.process.wait(60) != 0
    assert "Error: The trainer honest leaves threads running in load: 1. " in worker.text()
    assert 'Set shares = "nothing"' in worker.text()


THREADS = """
import json, os
from dataclasses import replace
from tests.trainers.broken import Honest
from threadpoolctl import threadpool_info
from seedsweep import Trained

class Threads(Honest):
    name = "honest"

    def load(self, source, cache_dir):
        return replace(super().load(source, cache_dir), pool=os.getpid())

    def train(self, options, seed, data, *, on_epoch, resume_from=None):
        import numba, scipy.linalg  # which has its own BLAS
        for _ in range(options.epochs):
            on_epoch(0.5)
        pools = {pool["num_threads"] for pool in threadpool_info()}
        variables = [os.environ[f"{name}_NUM_THREADS"] for name in ("OMP", "NUMBA")]
        seen = [variables, *pools, data.pool == os.getppid(), numba.get_num_threads()]
        return Trained(artifact=json.dumps(seen).encode(), correct=[True, False])
"""


@pytest.mark.parametrize("count", [1, 2])
def test_a_jobs_libraries_have_as_many_threads_as_the_setting_says_and_its_data_are_loaded_before_the_fork(
    cluster: Cluster, tmp_path: Path, count: int
) -> None:
    folder = tmp_path / "site"
    install_source(folder, "honest", THREADS, "Threads")
    cluster.start_worker(
        PYTHONPATH=str(folder), SEEDSWEEP_TRAINER="honest", SEEDSWEEP_THREADS=str(count), OMP_NUM_THREADS="7"
    )
    with found_here(folder):
        data = broken.Honest().load("points", tmp_path)
        job = Job.of({}, seed=0, dataset=data.digest, trainer="honest")
        result = cluster.result(cluster.submit(job).id)
        blob = cluster.store().weights(job.key, result.weights_sha256, result.weights_bytes)
    *seen, of_numba = json.loads(blob)
    assert seen == [[str(count)] * 2, count, True]
    # Where tests have imported numba before the worker began, it has one thread.
    assert of_numba in (1, count)
    assert str(result.environment).endswith(" 2 threads") == (count == 2)
