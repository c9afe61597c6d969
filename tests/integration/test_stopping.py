"""How workers end: jobs are given back at an epoch's end, and go on elsewhere where they stopped."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from nn.datasets.mnist import load_mnist
from nn.weights import digest
from tests.support.cluster import Cluster, make_job
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from worker.messages import TRAIN
from worker.training.trainer import train

#: Takes a second or some, in small epochs.
LONG = {"epochs": 150}


def test_sigterm_gives_the_job_back_at_an_epochs_end(cluster: Cluster, cache_dir: Path) -> None:
    # Given a worker in the middle of a job
    first = cluster.start_worker()
    job = make_job(**LONG)
    run = cluster.submit(job).id
    cluster.wait_for_state(run, "PROGRESS")
    # When it is told to end
    assert first.stop(timeout=10) == 0
    # Then nothing in its log looks like a fault
    assert "Traceback" not in first.text()
    # And the message is back in the queue at once, and a checkpoint is there
    client = cluster.server.client()
    assert (client.llen("seedsweep"), client.hlen("seedsweep:unacked")) == (1, 0)
    stopped_after = cluster.app.backend.get_task_meta(run, cache=False)
    assert stopped_after["status"] == "GIVEN_BACK"
    # And another worker goes on after that epoch, to the same bits
    second = cluster.start_worker()
    result = cluster.result(run)
    second.wait_until_logged(f"Resumes after epoch {stopped_after['result']['epoch']}")
    assert result.attempts == 2
    assert len(result.epoch_seconds) == job.epochs
    assert result.weights_sha256 == digest(train(job, load_mnist(cache_dir=cache_dir)).weights)
    causes = [attempt.cause for attempt in cluster.app.tasks[TRAIN].attempts().of(run)]
    assert causes == ["first run", "given back"]
    # And the checkpoint went away with the job
    wait_for(lambda: not client.exists(f"seedsweep:checkpoint:{run}"), "no checkpoint", report=cluster.logs)


@pytest.mark.slow(reason="starts worker after worker")
def test_ending_workers_again_and_again_is_no_fault_of_the_job(cluster: Cluster) -> None:
    # Given a job, and more restarts than it may take workers down
    run = cluster.submit(make_job(epochs=250)).id
    for _ in range(cluster.settings.max_attempts + 1):
        worker = cluster.start_worker()
        worker.wait_until_logged("Attempt")
        worker.stop(timeout=10)
    # Then it still ends well
    cluster.start_worker()
    result = cluster.result(run)
    assert result.status == "succeeded"
    assert result.attempts == cluster.settings.max_attempts + 2


def test_an_epoch_that_takes_too_long_is_cut_off(redis_server: RedisServer, tmp_path: Path, cache_dir: Path) -> None:
    cluster = Cluster(redis_server, tmp_path, cache_dir, stop_seconds=1.0)
    try:
        # Given a worker in the middle of an epoch that does not end: its process is frozen
        worker = cluster.start_worker()
        run = cluster.submit(make_job(**LONG)).id
        cluster.wait_for_state(run, "PROGRESS")
        [child] = worker.children()
        child.suspend()
        # When the worker is told to end
        worker.stop(timeout=10)
        worker.wait_until_logged("Running jobs are given back in the middle of an epoch: none ended within 1 seconds")
        # Then its process is gone, and the message is back without waiting for the lease
        assert not child.is_running()
        assert redis_server.client().llen("seedsweep") == 1
        # And this is no fault of the job
        [attempt] = cluster.app.tasks[TRAIN].attempts().of(run)
        assert attempt.end == "given back"
        cluster.start_worker()
        assert cluster.result(run).attempts == 2
    finally:
        cluster.close()


@pytest.mark.slow(reason="waits for a Redis that stays silent, and trains 1,500 epochs")
def test_a_worker_ends_although_redis_does_not_answer(
    redis_server: RedisServer, tmp_path: Path, cache_dir: Path
) -> None:
    cluster = Cluster(redis_server, tmp_path, cache_dir, stop_seconds=1.0)
    try:
        # Given a busy worker and an idle one
        busy = cluster.start_worker()
        run = cluster.submit(make_job(epochs=1500)).id
        cluster.wait_for_state(run, "PROGRESS")
        idle = cluster.start_worker()
        children = [*busy.children(), *idle.children()]
        # When Redis stands still, and they are told to end
        redis_server.send(signal.SIGSTOP)
        for worker in (busy, idle):
            worker.process.send_signal(signal.SIGTERM)
        for worker in (busy, idle):
            worker.process.wait(timeout=30)
        redis_server.send(signal.SIGCONT)
        # Then nothing is left of them, and the job goes on elsewhere
        assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
        cluster.start_worker()
        assert cluster.result(run).status == "succeeded"
    finally:
        redis_server.send(signal.SIGCONT)
        cluster.close()


@pytest.mark.slow(reason="starts worker after worker")
def test_a_rolling_restart_loses_at_most_an_epoch_each(cluster: Cluster) -> None:
    # Given two workers with more jobs than they can train at once
    workers = [cluster.start_worker(), cluster.start_worker()]
    runs = [cluster.submit(make_job(seed=seed, **LONG)).id for seed in range(4)]
    for worker in workers:
        worker.wait_until_logged("Attempt 1")
    # When each is replaced in turn
    for worker in workers:
        worker.stop(timeout=10)
        cluster.start_worker()
    # Then every job ends, and none of its epochs was trained twice
    results = [cluster.result(run) for run in runs]
    assert {result.status for result in results} == {"succeeded"}
    for run in runs:
        given_back = [a for a in cluster.app.tasks[TRAIN].attempts().of(run) if a.end == "given back"]
        log = cluster.logs()
        assert log.count(f"[{run}]: Resumes after epoch") == len(given_back)


def test_cold_shutdown_gives_the_job_back_too(cluster: Cluster) -> None:
    worker = cluster.start_worker()
    run = cluster.submit(make_job(**LONG)).id
    cluster.wait_for_state(run, "PROGRESS")
    worker.process.send_signal(signal.SIGQUIT)
    worker.process.wait(timeout=20)
    [attempt] = cluster.app.tasks[TRAIN].attempts().of(run)
    assert attempt.end == "given back"
    cluster.start_worker()
    assert cluster.result(run).attempts == 2
