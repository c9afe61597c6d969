"""Workers that are at fault themselves: the wrong data set, failure after failure, no progress."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from nn.datasets.mnist import BUNDLED, MNIST_DIGEST
from tests.support.cluster import Cluster, make_job
from tests.support.paths import ROOT
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from worker import health
from worker.messages import QUEUE, TRAIN


@pytest.fixture(scope="session")
def other_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MNIST's files, in which one pixel is another one."""
    folder = tmp_path_factory.mktemp("other-data")
    for path in BUNDLED.glob("*-ubyte*"):
        shutil.copy(path, folder)
    [images] = folder.glob("t10k-images*")
    content = bytearray(gzip.decompress(images.read_bytes()) if images.suffix == ".gz" else images.read_bytes())
    content[-1] ^= 1
    images.write_bytes(gzip.compress(bytes(content), 1) if images.suffix == ".gz" else bytes(content))
    return folder


def test_a_job_goes_to_the_worker_that_has_its_data_set(cluster: Cluster, other_data: Path) -> None:
    # Given a worker with another data set, and one with the right one
    wrong = cluster.start_worker(name="wrong", SEEDSWEEP_DATA=str(other_data))
    cluster.start_worker(name="right", ready=False)
    runs = [cluster.submit(make_job(seed=seed)).id for seed in range(4)]
    # Then the right one trains all jobs, and the other one has said what it lacks
    assert {cluster.result(run).worker for run in runs} == {"right@test"}
    wrong.wait_until_logged(f"it needs the trainer network, version 1, with the data set {MNIST_DIGEST[:12]}")


def test_a_job_waits_for_the_worker_that_has_its_data_set(cluster: Cluster, other_data: Path) -> None:
    # Given a worker with another data set, which refuses a job more than once
    wrong = cluster.start_worker(name="wrong", SEEDSWEEP_DATA=str(other_data))
    run = cluster.submit(make_job()).id
    wait_for(lambda: wrong.text().count("it needs the trainer network") >= 4, "refusals", report=cluster.logs)
    # When the right one is back
    cluster.start_worker(name="right")
    # Then the job has not failed meanwhile
    assert cluster.result(run).worker == "right@test"


def test_a_job_whose_data_set_nobody_has_fails_with_both_digests(cluster: Cluster, other_data: Path) -> None:
    cluster.start_worker(SEEDSWEEP_DATA=str(other_data), SEEDSWEEP_DATASET_SECONDS="3")
    run = cluster.submit(make_job()).id
    error = cluster.wait_for_state(run, "FAILURE", "SUCCESS")["result"]
    assert type(error).__name__ == "NoSuchWorkerError"
    assert str(error).startswith(
        f"no worker had the trainer network, version 1, with the data set {MNIST_DIGEST[:12]} for "
    )
    wait_for(lambda: not cluster.server.client().hlen("seedsweep:unacked"), "the message gone", report=cluster.logs)


def test_a_worker_without_its_data_set_does_not_start(cluster: Cluster, tmp_path: Path) -> None:
    worker = cluster.start_worker(SEEDSWEEP_DATA=str(tmp_path / "nowhere"), ready=False)
    assert worker.process.wait(timeout=60) == 1
    assert worker.text().splitlines()[-1].startswith(f"Error: the data set '{tmp_path}/nowhere' is not a folder")


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        (
            "SEEDSWEEP_LEASE_SECONDS",
            "soon",
            "Error: SEEDSWEEP_LEASE_SECONDS is 'soon'; allowed: seconds from 3 to 86400",
        ),
        (
            "CELERY_BROKER_URL",
            "amqp://u:secret@host",
            "Error: CELERY_BROKER_URL is 'amqp://u:**@host'; allowed: redis://",
        ),
    ],
)
def test_a_worker_with_a_bad_setting_does_not_start(cluster: Cluster, variable: str, value: str, sentence: str) -> None:
    worker = cluster.start_worker(**{variable: value}, ready=False)
    assert worker.process.wait(timeout=60) == 1
    assert worker.text().startswith(sentence)


#: Needs some hundred megabytes; its readable engine needs no compiler.
LARGE: dict[str, Any] = {"hidden_layer_sizes": (4096, 4096), "dtype": "float64", "engine": "numpy", "limit": 1}


def test_a_worker_on_which_every_job_fails_takes_no_more(
    redis_server: RedisServer, tmp_path: Path, cache_dir: Path
) -> None:
    cluster = Cluster(redis_server, tmp_path, cache_dir, breaker_failures=2)
    try:
        # Given a worker whose process gets no more memory
        worker = cluster.start_worker()
        [child] = worker.children()
        limits = child.rlimit(psutil.RLIMIT_AS)
        child.rlimit(psutil.RLIMIT_AS, (child.memory_info().vms + 50_000_000, limits[1]))
        # When so many jobs fail for it as are allowed
        for seed in range(2):
            run = cluster.submit(make_job(seed=seed, **LARGE)).id
            error = cluster.wait_for_state(run, "FAILURE", "SUCCESS")["result"]
            assert type(error).__name__ == "OutOfMemoryError"
            assert str(error).startswith("the worker w1@test has not enough memory for the job: ")
        # Then it leaves the next one alone, and says why
        worker.wait_until_logged("Takes no more jobs: 2 failed in a row, the last one with OutOfMemoryError")
        run = cluster.submit(make_job()).id
        wait_for(lambda: "takes no more jobs" in check(cluster).sentence, "an unhealthy worker", report=cluster.logs)
        assert not check(cluster).healthy
        assert cluster.state(run) == "PENDING"
        # And when it is well again and told so, it goes on
        child.rlimit(psutil.RLIMIT_AS, limits)
        cluster.app.control.add_consumer(QUEUE, reply=True)
        assert cluster.result(run).status == "succeeded"
        wait_for(lambda: check(cluster).healthy, "a healthy worker", report=cluster.logs)
    finally:
        cluster.close()


def check(cluster: Cluster, seconds_later: float = 0.0) -> health.Health:
    return health.check(cluster.app, socket.gethostname(), time.time() + seconds_later)


def run_health(cluster: Cluster, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "worker.health", *arguments]
    found = os.environ | cluster.environment | environment
    return subprocess.run(command, cwd=ROOT, env=found, capture_output=True, text=True, check=False, timeout=60)


def test_a_worker_that_is_well_is_found_well(cluster: Cluster) -> None:
    cluster.start_worker()
    wait_for(lambda: check(cluster).healthy, "a healthy worker", report=cluster.logs)
    done = run_health(cluster)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"1 worker(s) on {socket.gethostname()}: 0 job(s) in training, 0 waiting\n"
    assert json.loads(run_health(cluster, "--json").stdout)["healthy"] is True


def test_a_host_without_a_worker_is_not_well(cluster: Cluster) -> None:
    done = run_health(cluster)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == f"no worker on {socket.gethostname()} has sent a heartbeat recently\n"


def test_a_redis_that_is_away_is_not_well(cluster: Cluster) -> None:
    done = run_health(cluster, CELERY_BROKER_URL="redis://127.0.0.1:1/0")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("Redis does not answer: ")


def test_a_worker_that_is_connected_but_does_not_consume_is_not_well(cluster: Cluster) -> None:
    cluster.start_worker()
    cluster.app.control.cancel_consumer(QUEUE, reply=True)
    wait_for(lambda: "w1@test is connected but does not consume the queue" in check(cluster).sentence, "it noticed")


def test_a_worker_that_just_started_is_not_taken_for_a_drained_one(cluster: Cluster) -> None:
    # Its first heartbeat comes before its consumer.
    cluster.start_worker(ready=False)
    [presence] = wait_for(cluster.app.tasks[TRAIN].roster().all, "its first heartbeat", report=cluster.logs)
    assert presence.consuming


def test_a_frozen_worker_is_not_well(cluster: Cluster) -> None:
    worker = cluster.start_worker()
    wait_for(lambda: check(cluster).healthy, "a healthy worker", report=cluster.logs)
    worker.signal_all(signal.SIGSTOP)
    wait_for(lambda: "w1@test has sent no heartbeat for" in check(cluster).sentence, "it noticed")


def test_a_job_that_shows_no_new_epoch_is_noticed(cluster: Cluster) -> None:
    # Given a job whose process hangs
    worker = cluster.start_worker()
    run = cluster.submit(make_job(epochs=1000)).id
    cluster.wait_for_state(run, "PROGRESS")
    [child] = worker.children()
    child.suspend()
    wait_for(lambda: run in running(cluster), "the job on record", report=cluster.logs)
    # When somebody looks at once, then all is well; when somebody looks much later, it is not
    assert check(cluster).healthy
    [presence] = cluster.app.tasks[TRAIN].roster().all()
    later = cluster.settings.hang_seconds + cluster.settings.lease_seconds + 1
    alive = presence.model_copy(update={"beat": time.time() + later, "looped": time.time() + later})
    worker.signal_all(signal.SIGSTOP)
    cluster.app.tasks[TRAIN].roster().report(alive)
    sentence = check(cluster, later).sentence
    assert f"has trained {run[:12]} for " in sentence
    assert sentence.endswith(" s without finishing an epoch")


def running(cluster: Cluster) -> list[str]:
    return [run for presence in cluster.app.tasks[TRAIN].roster().all() for run in presence.running]


def test_the_answer_does_nothing_to_a_terminal(cluster: Cluster) -> None:
    cluster.start_worker()
    [presence] = wait_for(cluster.app.tasks[TRAIN].roster().all, "a worker", report=cluster.logs)
    named = {"name": "other@test", "broken": "\x1b]0;pwned\x07 \u202e", "beat": time.time()}
    sick = presence.model_copy(update=named)
    cluster.app.tasks[TRAIN].roster().report(sick)
    # With a lease that outlasts the command's start on a busy machine
    done = run_health(cluster, SEEDSWEEP_LEASE_SECONDS="60")
    assert done.returncode == 1
    assert "\\x1b]0;pwned\\x07 \\u202e" in done.stdout


def test_a_worker_for_which_there_is_nothing_to_do_keeps_up(cluster: Cluster) -> None:
    cluster.start_worker()

    def rested() -> float:
        return max((worker.kept_up - worker.started for worker in cluster.app.tasks[TRAIN].roster().all()), default=0.0)

    # A job that comes after a long rest shall not find a worker that seems to have neglected it as long.
    wait_for(lambda: rested() > 2.0, "a worker that keeps up", report=cluster.logs)


def test_a_worker_that_leaves_jobs_in_the_queue_is_noticed(cluster: Cluster) -> None:
    # Given a worker that reports, has a process free, and takes nothing
    worker = cluster.start_worker()
    wait_for(lambda: check(cluster).healthy, "a healthy worker", report=cluster.logs)
    worker.signal_all(signal.SIGSTOP)
    # Until its pending request for a message has timed out, which takes a second, the server would still give it one.
    time.sleep(1.5)
    cluster.submit(make_job())
    [presence] = cluster.app.tasks[TRAIN].roster().all()
    later = health.IDLE_SECONDS + 1
    alive = presence.model_copy(update={"beat": time.time() + later, "looped": time.time() + later})
    cluster.app.tasks[TRAIN].roster().report(alive)
    # Then that is noticed
    assert "w1@test is connected but has taken no job for" in check(cluster, later).sentence
