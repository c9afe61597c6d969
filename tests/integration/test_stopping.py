"""How workers end: jobs are given back at an epoch's end, and go on elsewhere where they stopped."""

import json
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.support.cluster import SLOW_EPOCHS, Cluster, make_job
from tests.support.waiting import wait_for

POOLS = ["prefork", "threads", "solo"]
#: Takes two seconds with `SLOW_EPOCHS`.
LONG = {"epochs": 20}


def test_however_a_worker_is_told_to_end_it_gives_its_job_back_and_blames_it_for_nothing(cluster: Cluster) -> None:
    # Given a worker in the middle of a job, which may take a worker down no more than once
    impatient = cluster.with_settings(max_attempts=1)
    first = impatient.start_worker(*SLOW_EPOCHS)
    job = make_job(**LONG)
    run = impatient.begin(job)
    # When it is told to end
    assert first.stop(timeout=10) == 0
    # Then nothing in its log looks like a fault
    assert "Traceback" not in first.text()
    # And the message is back in the queue at once, shows what it showed before, and a checkpoint is there
    client = cluster.server.client()
    [message] = map(json.loads, client.lrange("seedsweep", 0, -1))
    assert (message["headers"]["argsrepr"], message["headers"]["kwargsrepr"]) == ("", str(job))
    assert not client.hlen("seedsweep:unacked")
    stopped_after = impatient.app.backend.get_task_meta(run, cache=False)
    assert stopped_after["status"] == "GIVEN_BACK"
    # And another worker goes on after that epoch,
    second = impatient.start_worker(*SLOW_EPOCHS)
    second.wait_until_logged(f"Resumes after epoch {stopped_after['result']['epoch']}")
    # which gives the job back, too, when it is told to end at once;
    second.process.send_signal(signal.SIGQUIT)
    second.process.wait(timeout=20)
    assert impatient.ends(run) == ["given back", "given back"]
    # and a third one ends it, to the same bits
    impatient.start_worker()
    result = impatient.result(run)
    assert (result.attempts, len(result.epoch_seconds)) == (3, job.epochs)
    assert impatient.causes(run) == ["first run", "given back", "given back"]
    assert impatient.result(impatient.submit(job, label="verify-1").id).weights_sha256 == result.weights_sha256
    # And the checkpoint went away with the job
    wait_for(lambda: not client.exists(f"seedsweep:checkpoint:{run}"), "no checkpoint", report=impatient.logs)


@pytest.mark.parametrize("how", ["TERM", "QUIT", "INT, INT"])
@pytest.mark.parametrize("pool", POOLS)
def test_an_epoch_that_takes_too_long_is_cut_off(cluster: Cluster, pool: str, how: str, tmp_path: Path) -> None:
    # Given a worker in the middle of an epoch that does not end, of a job that may take a worker down no more than
    # once. It could take another job, too.
    hasty = cluster.with_settings(stop_seconds=1.0 if how == "TERM" else 60.0, max_attempts=1)
    lock = tmp_path / "pid"
    options = ("--pool", pool, "--pidfile", str(lock), *SLOW_EPOCHS)
    worker = hasty.start_worker(*options, concurrency=2, EPOCH_TENTHS="600")
    run = hasty.submit(make_job()).id
    worker.wait_until_logged("Attempt 1")
    children = worker.children()
    for child in children:
        child.suspend()
    # When the worker is told to end
    if how == "INT, INT":
        worker.process.send_signal(signal.SIGINT)
        worker.wait_until_logged("Ctrl-C again")
    assert lock.exists()
    worker.process.send_signal(getattr(signal, f"SIG{how[-4:].strip()}"))
    # Then it ends in order with its processes, and the message is back without waiting for the lease
    assert worker.process.wait(timeout=10) == 0
    assert not lock.exists()
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert cluster.server.client().llen("seedsweep") == 1
    assert not cluster.server.client().hlen("seedsweep:workers")
    # And this is no fault of the job, nor of Redis
    assert not any(fault in worker.text() for fault in ("Traceback", "CRITICAL"))
    assert hasty.ends(run) == ["given back"]
    hasty.start_worker()
    assert hasty.result(run).attempts == 2


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("jobs", [0, 5])
def test_a_worker_that_is_told_to_end_at_once_gives_back_what_it_has_just_taken(
    cluster: Cluster, pool: str, jobs: int
) -> None:
    # Given a worker that has just begun to take jobs, or waits for one
    careful = cluster.with_settings(max_attempts=1)
    worker = careful.start_worker("--pool", pool, *SLOW_EPOCHS, concurrency=3, EPOCH_TENTHS="600")
    client = cluster.server.client()
    runs = [careful.submit(make_job(seed=seed)).id for seed in range(jobs)]
    wait_for(lambda: not jobs or client.hlen("seedsweep:unacked"), "a message is taken", report=cluster.logs)
    # When it is told to end at once
    worker.process.send_signal(signal.SIGQUIT)
    assert worker.process.wait(timeout=10) == 0
    # Then all messages are in the queue, and no job is blamed
    assert (client.llen("seedsweep"), client.hlen("seedsweep:unacked")) == (jobs, 0)
    assert {end for run in runs for end in careful.ends(run)} <= {"given back"}


def test_jobs_that_are_given_back_at_the_last_moment_are_back(cluster: Cluster) -> None:
    # Given two processes in the middle of an epoch of two seconds
    hasty = cluster.with_settings(stop_seconds=1.0, max_attempts=1)
    worker = hasty.start_worker(*SLOW_EPOCHS, concurrency=2, EPOCH_TENTHS="20")
    runs = [hasty.submit(make_job(seed=seed)).id for seed in range(2)]
    worker.wait_until_logged("Attempt 1", times=2)
    # When the worker is told to end, and they end their epochs just before its time is up
    time.sleep(1.2)
    assert worker.stop(timeout=10) == 0
    # Then both messages are back, and this is nobody's fault
    assert cluster.server.client().llen("seedsweep") == 2
    assert "CRITICAL" not in worker.text()
    assert [hasty.ends(run) for run in runs] == [["given back"]] * 2


@pytest.mark.slow(reason="waits for a Redis that stays silent")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_ends_although_redis_does_not_answer(cluster: Cluster, how: signal.Signals) -> None:
    # Given a busy worker of each kind, and an idle one
    hasty = cluster.with_settings(stop_seconds=1.0)
    busy, runs = [], []
    for seed, pool in enumerate(POOLS):
        busy.append(hasty.start_worker("--pool", pool, *SLOW_EPOCHS, EPOCH_TENTHS="600"))
        runs.append(hasty.submit(make_job(seed=seed)).id)
        busy[-1].wait_until_logged("Attempt 1")
    idle = hasty.start_worker()
    children = [child for worker in (*busy, idle) for child in worker.children()]
    # When Redis stands still, and they are told to end
    cluster.server.send(signal.SIGSTOP)
    try:
        for worker in (*busy, idle):
            worker.process.send_signal(how)
        # Then they end in time, say what they could not do, and leave nothing behind
        assert [worker.process.wait(timeout=10) for worker in busy] == [1, 1, 1]
        idle.process.wait(timeout=10)
    finally:
        cluster.server.send(signal.SIGCONT)
    assert all("are not given back" in worker.text() for worker in busy)
    assert not psutil.wait_procs(children, timeout=10)[1]
    # And the jobs go on elsewhere
    hasty.start_worker()
    assert {hasty.result(run).status for run in runs} == {"succeeded"}


@pytest.mark.slow(reason="starts worker after worker")
def test_a_rolling_restart_loses_at_most_an_epoch_each(cluster: Cluster) -> None:
    # Given two workers with more jobs than they can train at once
    workers = [cluster.start_worker(*SLOW_EPOCHS) for _ in range(2)]
    runs = [cluster.submit(make_job(seed=seed, **LONG)).id for seed in range(4)]
    for worker in workers:
        worker.wait_until_logged("Attempt 1")
    # When each is replaced in turn
    for worker in workers:
        worker.stop(timeout=10)
        cluster.start_worker(*SLOW_EPOCHS)
    # Then every job ends, and none of its epochs was trained twice
    assert {cluster.result(run).status for run in runs} == {"succeeded"}
    for run in runs:
        assert cluster.logs().count(f"[{run}]: Resumes after epoch") == cluster.ends(run).count("given back")
