"""The lease: a job outlives it and runs once; a dead worker's job does not wait long."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from nn.datasets.mnist import load_mnist
from nn.weights import digest
from tests.support.cluster import Cluster, make_job
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from worker.job import Job
from worker.messages import TRAIN
from worker.training.trainer import train

#: Takes a second or some, in small epochs: long enough to be disturbed in the middle.
LONG = {"epochs": 150}
#: What an idle worker needs to begin with a job, on a machine that has other things to do.
BEGIN_SECONDS = 2.0


@pytest.fixture
def persistent_cluster(persistent_redis_server: RedisServer, tmp_path: Path, cache_dir: Path) -> Iterator[Cluster]:
    made = Cluster(persistent_redis_server, tmp_path, cache_dir)
    try:
        yield made
    finally:
        made.close()


def causes(cluster: Cluster, run: str) -> list[str]:
    return [attempt.cause for attempt in cluster.app.tasks[TRAIN].attempts().of(run)]


def ends(cluster: Cluster, run: str) -> list[str | None]:
    return [attempt.end for attempt in cluster.app.tasks[TRAIN].attempts().of(run)]


def weights_of(job: Job, cache_dir: Path) -> str:
    return digest(train(job, load_mnist(cache_dir=cache_dir)).weights)


# The longer one is the requirement; the shorter one is quick enough to run each time.
@pytest.mark.parametrize("leases", [2.2, pytest.param(10.0, marks=pytest.mark.slow(reason="waits ten leases"))])
def test_a_job_much_longer_than_the_lease_runs_once(cluster: Cluster, leases: float) -> None:
    # Given two workers, one of which is idle and looks for abandoned messages every half second
    busy = cluster.start_worker()
    run = cluster.submit(make_job(**LONG)).id
    cluster.wait_for_state(run, "PROGRESS")
    cluster.start_worker()
    # When a job takes many leases, because its process is frozen for so long
    busy.children()[0].suspend()
    time.sleep(leases * cluster.settings.lease_seconds)
    busy.children()[0].resume()
    # Then it runs once
    assert cluster.result(run).attempts == 1
    assert causes(cluster, run) == ["first run"]


def test_a_killed_workers_job_goes_on_elsewhere_to_the_same_bits(cluster: Cluster, cache_dir: Path) -> None:
    # Given a worker in the middle of a job, and an idle one
    workers = {worker.name: worker for worker in (cluster.start_worker(), cluster.start_worker())}
    job = make_job(**LONG)
    run = cluster.submit(job).id
    cluster.wait_for_state(run, "PROGRESS")
    (first,) = cluster.app.tasks[TRAIN].attempts().of(run)
    # When the machine of the first loses power
    workers.pop(first.worker).kill()
    killed = time.time()
    result = cluster.result(run)
    # Then the other begins with the job when the lease has ended and it has looked for such jobs,
    _, second = cluster.app.tasks[TRAIN].attempts().of(run)
    assert second.started - killed < cluster.settings.lease_seconds + cluster.settings.restore_seconds + BEGIN_SECONDS
    # and finishes it, to the same weights as if nothing had happened
    assert ([result.worker], result.attempts) == ([*workers], 2)
    assert result.weights_sha256 == weights_of(job, cache_dir)
    assert causes(cluster, run) == ["first run", "worker lost"]


def test_cut_connections_do_not_run_a_job_twice(cluster: Cluster) -> None:
    # Given a worker in the middle of a job, and an idle one
    cluster.start_worker()
    run = cluster.submit(make_job(**LONG)).id
    cluster.wait_for_state(run, "PROGRESS")
    cluster.start_worker()
    # When every connection is cut
    for kind in ("normal", "pubsub"):
        cluster.server.client().execute_command("CLIENT", "KILL", "TYPE", kind)
    # Then the job goes on, once, and its message is gone when it ends
    assert cluster.result(run).attempts == 1
    assert causes(cluster, run) == ["first run"]
    wait_for(
        lambda: not cluster.server.client().hlen("seedsweep:unacked"), "an acknowledged message", report=cluster.logs
    )


def test_other_applications_on_the_same_redis_leave_the_jobs_alone(cluster: Cluster) -> None:
    # Given a worker in the middle of a job
    cluster.start_worker()
    run = cluster.submit(make_job(**LONG)).id
    cluster.wait_for_state(run, "PROGRESS")
    # When a Celery application that knows no leases gives back all that it finds unacknowledged
    with Celery("other", broker=cluster.server.url, set_as_current=False).connection_for_read() as connection:
        connection.transport_options["visibility_timeout"] = 0
        connection.channel().qos.restore_visible()
    # Then the job runs on, once
    assert cluster.server.client().llen("seedsweep") == 0
    assert cluster.result(run).attempts == 1


@pytest.mark.slow(reason="trains 1,500 epochs beside an outage")
def test_leases_are_renewed_while_a_result_backend_of_its_own_is_away(
    cluster: Cluster, short_path: Path, cache_dir: Path
) -> None:
    # Given workers whose results go to another Redis than their messages
    folder = short_path / "b"
    folder.mkdir()
    backend = RedisServer(folder, persistent=True)
    apart = Cluster(cluster.server, cluster.folder, cache_dir, result_backend=backend.start().url)
    try:
        apart.start_worker()
        run = apart.submit(make_job(epochs=1500)).id
        apart.wait_for_state(run, "PROGRESS")
        apart.start_worker()
        # When that one is away for two leases
        backend.stop()
        time.sleep(2 * cluster.settings.lease_seconds)
        backend.start()
        # Then the job is not given to the idle worker
        assert apart.result(run).attempts == 1
    finally:
        apart.close()
        backend.stop()


@pytest.mark.parametrize("refusing", [{"min-replicas-to-write": "1"}, {"replicaof": None}])
def test_a_redis_that_takes_no_writes_for_a_moment_costs_no_job(
    cluster: Cluster, refusing: dict[str, str | None]
) -> None:
    # Given jobs in training, one after another
    cluster.start_worker(SEEDSWEEP_BREAKER_FAILURES="1")
    runs = [cluster.submit(make_job(seed=seed, epochs=100)).id for seed in range(3)]
    cluster.wait_for_state(runs[0], "PROGRESS")
    client = cluster.server.client()
    # When Redis refuses writes, as it does in a fail-over
    for _ in range(3):
        if "replicaof" in refusing:
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
            time.sleep(0.5)
            client.execute_command("REPLICAOF", "NO", "ONE")
        else:
            client.config_set("min-replicas-to-write", "1")
            time.sleep(0.5)
            client.config_set("min-replicas-to-write", "0")
        time.sleep(0.3)
    # Then every job ends as if nothing had happened
    assert [cluster.result(run).status for run in runs] == ["succeeded"] * 3


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_redis_that_restarts_does_not_lose_or_double_a_job(persistent_cluster: Cluster, how: signal.Signals) -> None:
    cluster = persistent_cluster
    # Given a running job and a waiting one
    cluster.start_worker()
    runs = [cluster.submit(make_job(seed=seed, **LONG)).id for seed in range(2)]
    cluster.wait_for_state(runs[0], "PROGRESS")
    # When Redis restarts
    cluster.server.restart(how)
    # Then both end, each after one attempt
    assert [cluster.result(run).attempts for run in runs] == [1, 1]


@pytest.mark.slow(reason="waits for several leases to end")
def test_a_frozen_worker_that_wakes_up_does_no_harm(cluster: Cluster, cache_dir: Path) -> None:
    # Given a worker that is frozen in the middle of a job for longer than its lease
    frozen = cluster.start_worker()
    job = make_job(**LONG)
    run = cluster.submit(job).id
    cluster.wait_for_state(run, "PROGRESS")
    frozen.signal_all(signal.SIGSTOP)
    # When another one has begun with the job, and the first wakes up
    second = cluster.start_worker()
    second.wait_until_logged("Attempt 2 (worker lost)")
    frozen.signal_all(signal.SIGCONT)
    # Then the job has one result, and both attempts agree about it
    assert cluster.result(run).weights_sha256 == weights_of(job, cache_dir)
    for worker in (frozen, second):
        worker.wait_until_logged(f"[{run}] succeeded")
    assert cluster.store().mismatches([job.key]) == {}
    # And the attempt that was thought lost has corrected that
    wait_for(lambda: ends(cluster, run) == ["finished", "finished"], "both attempts finished", report=cluster.logs)
    # And both workers go on
    assert cluster.result(cluster.submit(make_job(seed=7)).id).status == "succeeded"
    wait_for(
        lambda: not cluster.server.client().hlen("seedsweep:unacked"), "an empty unacked hash", report=cluster.logs
    )
