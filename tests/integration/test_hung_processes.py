"""Processes that hang: their worker ends them, and their jobs go on from their checkpoints."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn.datasets.mnist import load_mnist
from nn.weights import digest, initial_weights, to_safetensors
from tests.support.cluster import Cluster, make_job
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess
from worker.job import Job
from worker.messages import TRAIN
from worker.records.checkpoints import Epoch, SavedCheckpoint, pack
from worker.records.history import Attempt
from worker.training.trainer import train

#: Seconds of silence after which a worker of these tests ends a process: three timeouts of a command to Redis.
LIMIT = 6.0
#: Far longer than that.
LONG_AFTER = LIMIT + 3.0

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def make_cluster(redis_server: RedisServer, tmp_path: Path, cache_dir: Path) -> Iterator[MakeCluster]:
    """Makes the test's cluster, whose workers find out soon that a process hangs."""
    made: list[Cluster] = []

    def make(**settings: Any) -> Cluster:
        soon = {"hang_seconds": 1.0, "socket_seconds": LIMIT / 3, "lease_seconds": 60.0}
        made.append(Cluster(redis_server, tmp_path, cache_dir, **soon | settings))
        return made[-1]

    try:
        yield make
    finally:
        for cluster in made:
            cluster.close()


def slow_job(**fields: Any) -> Job:
    """Return a job whose epochs take a second or so."""
    return make_job(**{"engine": "numpy", "limit": 5000} | fields)


def attempts(cluster: Cluster, run: str) -> list[Attempt]:
    return cluster.app.tasks[TRAIN].attempts().of(run)


def begin(cluster: Cluster, worker: WorkerProcess, job: Job, number: int = 1) -> str:
    """Submit a job, and wait until its first attempt has begun."""
    run = cluster.submit(job).id
    worker.wait_until_logged(f"Attempt {number} (")
    return run


@pytest.mark.slow(reason="waits until a process has been silent for 6 s")
def test_a_process_that_hangs_before_its_first_epoch_is_ended(make_cluster: MakeCluster) -> None:
    # Given a process that hangs in the first epoch
    cluster = make_cluster()
    worker = cluster.start_worker()
    run = begin(cluster, worker, slow_job())
    [child] = worker.children()
    child.suspend()
    # Then its worker ends it, and the job goes on in another process of the same worker
    result = cluster.result(run)
    assert (result.status, result.attempts) == ("succeeded", 2)
    worker.wait_until_logged(f"Ends a process that hangs: {child.pid} has trained {run}, without a sign of life for ")
    assert not child.is_running()
    # And both are on record
    assert [attempt.cause for attempt in attempts(cluster, run)] == ["first run", "hung"]
    wait_for(lambda: [a.end for a in attempts(cluster, run)] == ["hung", "finished"], "both ends", report=cluster.logs)


@pytest.mark.slow(reason="waits until a process has been silent for 6 s")
def test_a_process_that_hangs_before_it_begins_costs_no_attempt(make_cluster: MakeCluster) -> None:
    # Given a worker whose only process hangs while it has nothing to do
    cluster = make_cluster()
    worker = cluster.start_worker()
    [child] = worker.children()
    child.suspend()
    # When it is given a job
    result = cluster.result(cluster.submit(make_job()).id)
    # Then another process trains the job
    assert (result.status, result.attempts) == ("succeeded", 1)
    worker.wait_until_logged(f"Ends a process that hangs: {child.pid} has not begun with {result.job}")


@pytest.mark.slow(reason="waits until a process has been silent for 6 s")
def test_a_job_whose_process_hung_goes_on_from_its_checkpoint_to_the_same_bits(
    make_cluster: MakeCluster, cache_dir: Path
) -> None:
    # Given a job with a checkpoint, whose process hangs
    cluster = make_cluster(checkpoint_seconds=0.1)
    worker = cluster.start_worker()
    job = make_job(epochs=150)
    run = cluster.submit(job).id
    wait_for(lambda: cluster.server.client().exists(f"seedsweep:checkpoint:{run}"), "a checkpoint")
    [child] = worker.children()
    child.suspend()
    # Then it goes on from there, to the same bits
    result = cluster.result(run)
    worker.wait_until_logged("Resumes after epoch")
    assert result.weights_sha256 == digest(train(job, load_mnist(cache_dir=cache_dir)).weights)
    assert [attempt.cause for attempt in attempts(cluster, run)] == ["first run", "hung"]


@pytest.mark.slow(reason="waits until three processes have been silent for 6 s each")
def test_a_job_whose_processes_hang_again_and_again_fails_with_the_reason(make_cluster: MakeCluster) -> None:
    # Given a job whose process hangs each time it is tried
    cluster = make_cluster()
    worker = cluster.start_worker(SEEDSWEEP_BREAKER_FAILURES="1")
    run = begin(cluster, worker, slow_job())
    for number in range(1, cluster.settings.max_attempts + 1):
        worker.wait_until_logged(f"Attempt {number} (")
        worker.children()[-1].suspend()
    # Then it fails with the reason
    error = cluster.wait_for_state(run, "FAILURE", "SUCCESS")["result"]
    assert str(error) == (
        "the job hung or took its worker down 3 times (hung on w1@test, hung on w1@test, hung on w1@test) and is given "
        "up"
    )
    # And the worker, which is not to blame, goes on
    assert cluster.result(cluster.submit(make_job()).id).status == "succeeded"


@pytest.mark.slow(reason="waits until a process has been silent for 6 s")
def test_a_job_that_is_cancelled_while_its_process_hangs_ends(make_cluster: MakeCluster) -> None:
    # Given a job whose process hangs
    cluster = make_cluster()
    worker = cluster.start_worker()
    run = begin(cluster, worker, slow_job())
    worker.children()[-1].suspend()
    # When it is cancelled
    cluster.store().cancel([run], "not wanted")
    # Then it ends once the process does
    cluster.wait_for_state(run, "REVOKED")
    assert [attempt.end for attempt in attempts(cluster, run)] == ["hung"]


@pytest.mark.slow(reason="lets a process stand still for longer than the setting")
def test_ten_of_a_jobs_slowest_epochs_are_no_hang(make_cluster: MakeCluster) -> None:
    # Given a job of which ten epochs take longer than the setting: its checkpoint says so
    cluster = make_cluster()
    job = make_job(epochs=150)
    weights = initial_weights((784, 128, 64, 10), np.random.RandomState(0), "float32")
    blob = pack(job, SavedCheckpoint((Epoch(10.0, 0.5),), to_safetensors(weights)))
    cluster.server.client().set(f"seedsweep:checkpoint:{job.key}", blob)
    worker = cluster.start_worker()
    run = cluster.submit(job).id
    cluster.wait_for_state(run, "PROGRESS")
    worker.wait_until_logged("Resumes after epoch 1")
    # When an epoch takes longer than the setting, and less than ten of that one
    [child] = worker.children()
    child.suspend()
    time.sleep(LONG_AFTER)
    child.resume()
    # Then the job goes on
    assert cluster.result(run).attempts == 1
    assert child.is_running()


@pytest.mark.slow(reason="freezes a worker for longer than processes may hang")
def test_a_worker_that_is_frozen_as_a_whole_ends_no_process(make_cluster: MakeCluster) -> None:
    # Given a worker that trains, in the first epoch
    cluster = make_cluster(hang_seconds=20.0)
    worker = cluster.start_worker()
    run = begin(cluster, worker, slow_job(limit=30_000))
    children = worker.children()
    # When it has looked at its process, stands still, and goes on long after
    time.sleep(1.5)
    worker.signal_all(signal.SIGSTOP)
    time.sleep(21.0)
    worker.signal_all(signal.SIGCONT)
    # Then its process goes on
    assert cluster.result(run).attempts == 1
    assert worker.children() == children


@pytest.mark.slow(reason="waits for a Redis that is silent for longer than processes may hang")
def test_a_process_that_waits_for_redis_does_not_hang(make_cluster: MakeCluster, short_path: Path) -> None:
    # Given a worker whose results go to another Redis than its messages, so that it watches during the outage
    folder = short_path / "b"
    folder.mkdir()
    backend = RedisServer(folder)
    try:
        cluster = make_cluster(result_backend=backend.start().url)
        worker = cluster.start_worker()
        run = cluster.submit(make_job(epochs=150)).id
        cluster.wait_for_state(run, "PROGRESS")
        # When that one is silent for long
        backend.send(signal.SIGSTOP)
        time.sleep(2 * LONG_AFTER)
        backend.send(signal.SIGCONT)
        # Then the job goes on
        assert cluster.result(run).attempts == 1
        assert "A command to Redis failed and is retried" in worker.text()
    finally:
        backend.send(signal.SIGCONT)
        backend.stop()


@contextlib.contextmanager
def another_suspect(worker: WorkerProcess) -> Iterator[None]:
    """Hold the isolation lock of a worker, an open file without a name, as another of its processes would."""
    with contextlib.ExitStack() as stack:
        for link in Path(f"/proc/{worker.process.pid}/fd").iterdir():
            name = str(link.readlink())
            if name.startswith(tempfile.gettempdir()) and name.endswith("(deleted)"):
                fcntl.lockf(stack.enter_context(link.open("r+b")), fcntl.LOCK_EX)
        yield


@pytest.mark.slow(reason="lets a job wait for longer than processes may hang")
def test_a_job_that_waits_for_another_one_to_end_does_not_hang(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(lease_seconds=9.0)
    worker = cluster.start_worker()
    roster = cluster.app.tasks[TRAIN].roster()
    # Given a job that seems to have taken two workers down, and so must run alone
    job = make_job()
    for _ in range(cluster.settings.max_attempts - 1):
        cluster.app.tasks[TRAIN].attempts().start(job.key, "gone@test")
    # When another such job runs for long
    with another_suspect(worker):
        run = cluster.submit(job).id
        worker.wait_until_logged(f"[{run}] received")
        later = time.time() + LONG_AFTER
        wait_for(lambda: roster.all()[0].beat > later, "a heartbeat long after", report=cluster.logs)
        # Then it waits, and nobody calls its worker sick
        assert "Attempt" not in worker.text()
        [presence] = roster.all()
        assert presence.beat - presence.running[run] < LIMIT
    # And it is trained in its turn, by the same process
    assert cluster.result(run).attempts == cluster.settings.max_attempts
    assert "Ends a process that hangs" not in worker.text()


@pytest.mark.slow(reason="trains an epoch that takes longer than processes may hang")
@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_pool_without_processes_ends_no_job(make_cluster: MakeCluster, pool: str) -> None:
    # Given a worker that trains in its own process
    cluster = make_cluster()
    worker = cluster.start_worker("--pool", pool)
    worker.wait_until_logged("A job that hangs will not be ended: the pool")
    # When it trains an epoch that takes long
    result = cluster.result(cluster.submit(slow_job(epochs=1, limit=20_000, hidden_layer_sizes=(768, 64))).id)
    # Then nobody ends it
    assert result.attempts == 1
    assert sum(result.epoch_seconds) > LIMIT
