"""What operators and failing machines do to workers in mid-sweep: the sweep ends, or says within 10 s what is wrong."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.cluster.cluster import Cluster as ClusterView
from orchestrator.running.stalls import StallWatch
from tests.support.cluster import Cluster, make_job
from tests.support.command_line import CommandLine
from tests.support.output import Output
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess
from worker import health
from worker.messages import QUEUE, TRAIN

#: Eight jobs of some tenths of a second each.
STEADY = ("--seeds", "0-3", "--learning-rates", "0.01,0.03", "--epochs", "20", "--limit", "1000", "--name", "a")
JOBS = 8
#: Within this time a sweep says what it waits for, with the default lease.
SAID_SECONDS = 10.0

#: Makes the event loop of a worker stand still on SIGUSR2, while its other threads go on.
STAND_STILL = "import signal, time\nsignal.signal(signal.SIGUSR2, lambda *_: time.sleep(3600))\n"


@pytest.fixture
def patient_cluster(redis_server: RedisServer, tmp_path: Path, cache_dir: Path) -> Iterator[Cluster]:
    """A cluster with the default lease, which is longer than a sweep may be silent."""
    made = Cluster(redis_server, tmp_path, cache_dir, lease_seconds=30.0)
    try:
        yield made
    finally:
        made.close()


def start_sweep(command_line: CommandLine, cluster: Cluster, **environment: str) -> Output:
    """Start a sweep, and wait until it has a row."""
    process = command_line.start("sweep", *STEADY, **cluster.environment | environment)
    command_line.wait_for_rows("a", 1, process)
    return Output(process)


def ends_well(output: Output, command_line: CommandLine) -> bool:
    status, text = output.end()
    assert status == 0, text
    return [row["attempts"] for row in command_line.rows("a")] == [1] * JOBS


def shrink(cluster: Cluster) -> object:
    return cluster.app.control.pool_shrink(1, reply=True)


@pytest.mark.parametrize(
    ("operate", "answer"),
    [
        (lambda cluster: cluster.app.control.rate_limit(TRAIN, "1/h", reply=True), "rate_limit is rejected"),
        (lambda cluster: cluster.app.control.time_limit(TRAIN, 0.01, reply=True), "time_limit is rejected"),
        (lambda cluster: cluster.app.control.purge(), ""),
        (shrink, "hrink"),
    ],
    ids=["rate_limit", "time_limit", "purge", "pool_shrink"],
)
@pytest.mark.slow(reason="a sweep of eight jobs, which may have to be submitted again")
def test_a_sweep_ends_although_somebody_operates(
    command_line: CommandLine, patient_cluster: Cluster, operate: Callable[[Cluster], object], answer: str
) -> None:
    patient_cluster.start_worker(concurrency=2)
    output = start_sweep(command_line, patient_cluster)
    assert answer in str(operate(patient_cluster))
    assert ends_well(output, command_line)


def test_a_pool_shrinks_by_idle_processes_or_not_at_all(cluster: Cluster) -> None:
    # Given a worker with three processes, two of which train
    worker = cluster.start_worker(concurrency=3)
    for seed in range(2):
        run = cluster.submit(make_job(seed=seed, epochs=100_000)).id
        cluster.wait_for_state(run, "STARTED", "PROGRESS")

    # When it is to lose two, it loses none, and says why;
    [answer] = cluster.app.control.pool_shrink(2, reply=True)
    assert "n must be at most 1, the number of processes without a job" in str(answer)
    assert len(worker.children()) == 3
    # it can lose one.
    [answer] = cluster.app.control.pool_shrink(1, reply=True)
    assert "pool will shrink" in str(answer)
    wait_for(lambda: len(worker.children()) == 2, "the end of a process", report=cluster.logs)


def test_a_pool_grows_to_a_few_processes_for_each_cpu(cluster: Cluster) -> None:
    worker = cluster.start_worker(concurrency=1)
    most = 4 * (os.cpu_count() or 1)
    # One process more is too many, and none is started;
    [answer] = cluster.app.control.pool_grow(most, reply=True)
    assert f"n must be at most {most - 1}, which leaves 4 processes for each CPU" in str(answer)
    assert len(worker.children()) == 1
    # the worker can have one more than it has.
    [answer] = cluster.app.control.pool_grow(1, reply=True)
    assert "pool will grow" in str(answer)
    wait_for(lambda: len(worker.children()) == 2, "another process", report=cluster.logs)


@pytest.mark.slow(reason="waits for a sweep to notice")
def test_a_sweep_says_that_its_worker_is_drained(command_line: CommandLine, patient_cluster: Cluster) -> None:
    patient_cluster.start_worker()
    output = start_sweep(command_line, patient_cluster)
    patient_cluster.app.control.cancel_consumer(QUEUE, reply=True)
    line = output.wait_for("No worker at", timeout=SAID_SECONDS)
    assert "takes jobs: w1@test is connected but does not consume the queue: " in line
    # Once is enough, for a while, and it goes on as the message says.
    patient_cluster.app.control.add_consumer(QUEUE, reply=True)
    assert ends_well(output, command_line)
    assert output.text().count("No worker at") == 1


@pytest.mark.slow(reason="waits for a sweep to notice")
def test_a_sweep_says_that_its_worker_was_shut_down(command_line: CommandLine, patient_cluster: Cluster) -> None:
    worker = patient_cluster.start_worker()
    output = start_sweep(command_line, patient_cluster)
    patient_cluster.app.control.shutdown()
    output.wait_for("No worker is online at", timeout=SAID_SECONDS)
    assert worker.process.wait(timeout=30) == 0
    patient_cluster.start_worker()
    status, text = output.end()
    assert (status, len(command_line.rows("a"))) == (0, JOBS), text


@pytest.mark.slow(reason="waits for a sweep to notice")
def test_a_sweep_says_that_its_worker_was_killed(command_line: CommandLine, patient_cluster: Cluster) -> None:
    worker = patient_cluster.start_worker()
    output = start_sweep(command_line, patient_cluster)
    worker.kill()
    line = output.wait_for("No worker at", timeout=SAID_SECONDS)
    assert "takes jobs: w1@test has sent no heartbeat for " in line


@pytest.mark.slow(reason="waits for a sweep to notice")
def test_a_sweep_says_that_the_event_loop_of_its_worker_stands_still(
    command_line: CommandLine, patient_cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "stuck").mkdir()
    (tmp_path / "stuck" / "sitecustomize.py").write_text(STAND_STILL)
    worker = patient_cluster.start_worker(PYTHONPATH=str(tmp_path / "stuck"))
    output = start_sweep(command_line, patient_cluster)
    worker.process.send_signal(signal.SIGUSR2)
    line = output.wait_for("No worker at", timeout=SAID_SECONDS)
    assert "takes jobs: w1@test has an event loop that has stood still for " in line


@pytest.mark.slow(reason="waits for a sweep to notice")
def test_a_sweep_says_that_its_worker_ended_for_want_of_file_descriptors(
    command_line: CommandLine, patient_cluster: Cluster
) -> None:
    worker = patient_cluster.start_worker()
    output = start_sweep(command_line, patient_cluster)
    # Given a worker that can open no more files, which is known while it works,
    no_more_files(worker)
    wait_for(
        lambda: "w1@test can open no more files or connections (Too many open files): " in check(patient_cluster),
        "an unhealthy worker",
        timeout=SAID_SECONDS,
    )
    # When it needs some, for another process
    worker.children()[0].kill()
    output.wait_for("No worker is online at", timeout=SAID_SECONDS)
    worker.process.wait(timeout=30)
    # Then another worker goes on
    patient_cluster.start_worker()
    status, text = output.end()
    assert (status, len(command_line.rows("a"))) == (0, JOBS), text


def no_more_files(worker: WorkerProcess) -> None:
    process = psutil.Process(worker.process.pid)
    process.rlimit(resource.RLIMIT_NOFILE, (3, process.rlimit(resource.RLIMIT_NOFILE)[1]))


def check(cluster: Cluster) -> str:
    return health.check(cluster.app, socket.gethostname()).sentence


@pytest.mark.slow(reason="waits for a sweep to notice")
def test_one_worker_of_two_that_holds_the_last_jobs_is_named(patient_cluster: Cluster) -> None:
    # Given two workers, of which one stands still in the middle of a job, and a sweep that waits for this job
    workers = {worker.name: worker for worker in (patient_cluster.start_worker(), patient_cluster.start_worker())}
    task_id = patient_cluster.submit(make_job(epochs=1000)).id
    report = patient_cluster.wait_for_state(task_id, "PROGRESS")["result"]
    stuck = workers.pop(report["worker"])
    wait_for(
        lambda: len(patient_cluster.app.tasks[TRAIN].roster().online()) == 2,
        "both workers",
        report=patient_cluster.logs,
    )
    stuck.signal_all(signal.SIGSTOP)
    told: list[str] = []
    watch = StallWatch(ClusterView(patient_cluster.settings), told.append)

    def look() -> bool:
        watch.look(ended=False, running={task_id: report})
        return bool(told)

    wait_for(look, "a message", timeout=SAID_SECONDS)
    assert "1 of 2 workers at" in told[0]
    assert f" take no jobs: {stuck.name} has sent no heartbeat for " in told[0]
