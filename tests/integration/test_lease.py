"""The lease: a job outlives it and runs once; a dead worker's job does not wait long; and so when Redis goes, too."""

import os
import signal
import time
from pathlib import Path

import pytest
from celery import Celery

from nn.datasets.mnist import load_mnist
from nn.files import digest
from tests.support.cluster import SLOW_EPOCHS, Cluster, make_job
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess
from worker.training.trainer import train

#: Takes two seconds with `SLOW_EPOCHS`: long enough to be disturbed in the middle.
LONG = {"epochs": 20}
#: Longer than a worker may need to begin with a dead one's job, on a machine that has other things to do.
SOON_SECONDS = 15.0


# The longer one is the requirement; the shorter one is quick enough to run each time.
@pytest.mark.parametrize("leases", [1.6, pytest.param(10.0, marks=pytest.mark.slow(reason="waits ten leases"))])
def test_a_job_much_longer_than_the_lease_runs_once(cluster: Cluster, leases: float) -> None:
    # Given two workers, one of which is idle and looks for abandoned messages every half second
    busy = cluster.start_worker(*SLOW_EPOCHS)
    run = cluster.begin(make_job(**LONG))
    cluster.start_worker()
    # When a job takes many leases, because its process is frozen,
    busy.children()[0].suspend()
    # while a Celery application that knows no leases gives back all that it finds unacknowledged,
    with Celery("other", broker=cluster.server.url, set_as_current=False).connection_for_read() as connection:
        connection.transport_options["visibility_timeout"] = 0
        connection.channel().qos.restore_visible()
    assert cluster.server.client().llen("seedsweep") == 0
    # and every connection is cut
    for kind in ("normal", "pubsub"):
        cluster.server.client().execute_command("CLIENT", "KILL", "TYPE", kind)
    time.sleep(leases * cluster.settings.lease_seconds)
    busy.children()[0].resume()
    # Then it runs once, and its message is gone when it ends
    assert cluster.result(run).attempts == 1
    assert cluster.causes(run) == ["first run"]
    cluster.wait_until_acknowledged()


def test_a_killed_workers_job_goes_on_elsewhere_from_its_checkpoint_to_the_same_bits(cluster: Cluster) -> None:
    # Given a worker in the middle of a job that has been checkpointed while it runs, and an idle one
    often = cluster.with_settings(checkpoint_seconds=0.1)
    first = often.start_worker(*SLOW_EPOCHS)
    job = make_job(**LONG)
    run = often.submit(job).id
    checkpoint = f"seedsweep:checkpoint:{run}"
    wait_for(lambda: cluster.server.client().exists(checkpoint), "a checkpoint", report=often.logs)
    assert 0 < cluster.server.client().ttl(checkpoint) <= cluster.settings.result_expires
    first.children()[0].suspend()  # It does not end before there is another one.
    other = often.start_worker()
    # When the machine of the first loses power
    first.kill()
    killed = time.time()
    # Then the other begins with the job when the lease has ended and it has looked for such jobs,
    result = often.result(run)
    assert (result.worker, result.attempts) == (other.name, 2)
    assert often.causes(run) == ["first run", "worker lost"]
    assert often.attempts(run)[1].started - killed < SOON_SECONDS
    # goes on from the checkpoint, and ends with the same weights as if nothing had happened
    other.wait_until_logged("Resumes after epoch")
    undisturbed = often.result(often.submit(job, label="verify-1").id)
    assert result.weights_sha256 == undisturbed.weights_sha256


@pytest.mark.slow(reason="waits for an outage of two leases")
def test_leases_are_renewed_while_a_result_backend_of_its_own_is_away(
    cluster: Cluster, second_redis_server: RedisServer
) -> None:
    # Given workers whose results go to another Redis than their messages
    apart = cluster.with_settings(result_backend=second_redis_server.url)
    apart.start_worker(*SLOW_EPOCHS)
    run = apart.begin(make_job(epochs=100))
    apart.start_worker(*SLOW_EPOCHS)
    # When that one is away for two leases
    second_redis_server.stop()
    time.sleep(2 * cluster.settings.lease_seconds)
    second_redis_server.start()
    # Then the job is not given to the idle worker
    assert apart.result(run).attempts == 1


@pytest.mark.parametrize(
    ("refuse", "allow"),
    [("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
     ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE")],
    ids=["by replicas", "as a replica"],
)  # fmt: skip
def test_a_redis_that_takes_no_writes_for_a_moment_costs_no_job(cluster: Cluster, refuse: str, allow: str) -> None:
    # Given jobs in training, one after another
    cluster.start_worker(*SLOW_EPOCHS, SEEDSWEEP_BREAKER_FAILURES="1")
    runs = [cluster.submit(make_job(seed=seed, epochs=10)).id for seed in range(3)]
    cluster.wait_for_state(runs[0], "PROGRESS")
    client = cluster.server.client()
    # When Redis refuses writes, as it does in a fail-over
    for _ in range(3):
        client.execute_command(*refuse.split())
        time.sleep(0.5)
        client.execute_command(*allow.split())
        time.sleep(0.3)
    # Then every job ends as if nothing had happened
    assert [cluster.result(run).status for run in runs] == ["succeeded"] * 3


@pytest.mark.slow(reason="waits for several leases to end")
def test_a_frozen_worker_that_wakes_up_does_no_harm(cluster: Cluster) -> None:
    # Given a worker that is frozen in the middle of a job for longer than its lease
    frozen = cluster.start_worker(*SLOW_EPOCHS)
    job = make_job(**LONG)
    run = cluster.begin(job)
    frozen.signal_all(signal.SIGSTOP)
    # When another one has begun with the job, and the first wakes up
    second = cluster.start_worker(*SLOW_EPOCHS)
    second.wait_until_logged("Attempt 2 (")
    frozen.signal_all(signal.SIGCONT)
    # Then the job has one result, and both attempts agree about it
    result = cluster.result(run)
    for worker in (frozen, second):
        worker.wait_until_logged(f"[{run}] succeeded")
    assert list(cluster.store().mismatches([job.key])) == []
    # And the attempt that was thought lost has corrected that
    wait_for(lambda: cluster.ends(run) == ["finished", "finished"], "both attempts finished", report=cluster.logs)
    # And both workers go on, to the same weights
    assert cluster.result(cluster.submit(job, label="verify-1").id).weights_sha256 == result.weights_sha256
    cluster.wait_until_acknowledged()


@pytest.mark.persistent
@pytest.mark.slow(reason="waits for a restart of Redis and for a lease to end")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_dies_just_before_redis_costs_an_attempt_not_the_job(
    cluster: Cluster, cache_dir: Path, how: signal.Signals
) -> None:
    # Given a worker in the middle of a job
    worker = cluster.start_worker()
    job = make_job(epochs=300)
    run = cluster.submit(job).id
    cluster.wait_for_state(run, "PROGRESS")
    # When its process dies, and Redis goes before the worker has noticed, and comes back
    worker.children()[0].kill()
    cluster.server.stop(how)
    # Either it finds its connection gone, or first the dead process, and waits for Redis to store that.
    signs = ("Cannot connect", "Failed operation")
    wait_for(lambda: any(sign in worker.text() for sign in signs), "a sign of the loss", report=worker.text)
    cluster.server.start()
    # Then the job is tried again and ends with its bits, and the same worker goes on
    assert cluster.result(run).weights_sha256 == digest(train(job, load_mnist(cache_dir=cache_dir)).weights)
    assert worker.process.poll() is None, worker.text()
    cluster.wait_until_acknowledged()


def test_a_retry_does_not_wait_behind_another_job_while_a_worker_is_idle(cluster: Cluster) -> None:
    # Given a worker that takes a job again whose process died, and just then a much longer one
    worker = cluster.start_worker(*SLOW_EPOCHS)
    run = cluster.begin(make_job(**LONG))
    worker.children()[0].kill()
    worker.wait_until_logged(f"[{run}] received", times=2)
    longer = cluster.submit(make_job(seed=1, epochs=1000)).id
    # When there is another worker, then both are trained
    cluster.start_worker(*SLOW_EPOCHS)
    assert cluster.result(run).attempts == 2
    cluster.wait_for_state(longer, "PROGRESS")


#: The soft limit of open files, far below the usual 1024: a leak shows soon.
DESCRIPTORS = 256
#: How long writes are refused: a leak of a descriptor in two seconds shows.
REFUSED_SECONDS = 60.0


def descriptors(worker: WorkerProcess) -> int:
    return len(os.listdir(f"/proc/{worker.process.pid}/fd"))  # noqa: PTH208 - a count


def refuse_writes(cluster: Cluster, seconds: float) -> None:
    """Let Redis refuse writes and cut every connection once a second, then let it take writes again."""
    client = cluster.server.client()
    client.config_set("min-replicas-to-write", 1)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        client.client_kill_filter(_type="normal")
        client.client_kill_filter(_type="pubsub")
        time.sleep(1)
    client.config_set("min-replicas-to-write", 0)


@pytest.mark.slow(reason="refuses writes for a minute")
@pytest.mark.timeout(300)
def test_a_worker_takes_the_next_job_after_writes_were_refused(cluster: Cluster) -> None:
    # Given two workers with few descriptors
    limited = ("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}")
    for name in ("w1", "w2"):
        worker = WorkerProcess(name, cluster.folder, cluster.environment, sociable=True, prefix=limited)
        cluster.workers.append(worker)
    for worker in cluster.workers:
        worker.wait_until_ready()
    before = [descriptors(worker) for worker in cluster.workers]
    # When Redis refuses writes, and connections are cut meanwhile
    refuse_writes(cluster, REFUSED_SECONDS)
    # Then neither has more open than it needs
    for worker, count in zip(cluster.workers, before, strict=True):
        assert worker.process.poll() is None, worker.text()
        assert descriptors(worker) <= count + 20, worker.text()[-3000:]
    # And each takes the next jobs
    tasks = [cluster.submit(make_job(seed=seed, epochs=100)).id for seed in range(8)]
    wait_for(
        lambda: all("received" in worker.text() for worker in cluster.workers), "a job in each", report=cluster.logs
    )
    assert {cluster.result(task).status for task in tasks} == {"succeeded"}
