"""Workers that are at fault themselves: the wrong data set, failure after failure, no progress."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from nn.datasets.mnist import MNIST_DIGEST
from tests.support.cluster import SLOW_EPOCHS, Cluster, make_job
from tests.support.idx_files import write_idx_folder
from tests.support.paths import ROOT
from tests.support.presences import presence
from tests.support.waiting import wait_for
from worker import health
from worker.messages import QUEUE, TRAIN

NEEDS = f"the trainer network, version 1, with the data set {MNIST_DIGEST[:12]}"


def test_a_job_waits_for_the_worker_that_has_its_data_set(cluster: Cluster, tmp_path: Path) -> None:
    # Given a worker with another data set, which refuses a job more than once, and says what it lacks
    write_idx_folder(tmp_path / "other", side=28)
    wrong = cluster.start_worker(name="wrong", SEEDSWEEP_DATA=str(tmp_path / "other"))
    runs = [cluster.submit(make_job(seed=seed)).id for seed in range(2)]
    wait_for(lambda: wrong.text().count(f"it needs {NEEDS}") >= 3, "refusals", report=cluster.logs)
    # While the jobs wait, they do not count as running.
    cluster.wait_for_state(runs[0], "GIVEN_BACK")
    # When a right one comes, then it trains the jobs, of which none has failed meanwhile
    cluster.start_worker(name="right")
    assert {cluster.result(run).worker for run in runs} == {"right@test"}


def test_a_worker_with_a_bad_setting_does_not_start(cluster: Cluster, tmp_path: Path) -> None:
    settings: dict[str, dict[str, str]] = {
        "SEEDSWEEP_LEASE_SECONDS is 'soon'; allowed: seconds from 3 to 86400": {"SEEDSWEEP_LEASE_SECONDS": "soon"},
        "CELERY_BROKER_URL is 'amqp://u:**@host'; allowed: redis://": {"CELERY_BROKER_URL": "amqp://u:secret@host"},
        f"the data set '{tmp_path}/nowhere' is not a folder": {"SEEDSWEEP_DATA": str(tmp_path / "nowhere")},
        "SEEDSWEEP_DATA is '~nobody-here/x.csv#y'; allowed: bundled (MNIST), digits, iris": {
            "SEEDSWEEP_TRAINER": "sklearn", "SEEDSWEEP_DATA": "~nobody-here/x.csv#y",
        },
        "SEEDSWEEP_TRAINER is 'softmx'; allowed: the name of an installed trainer: network, ": {
            "SEEDSWEEP_TRAINER": "softmx",
        },
    }  # fmt: skip
    for number, (sentence, variables) in enumerate(settings.items()):
        worker = cluster.start_worker(name=f"bad-{number}", ready=False, **variables)
        assert worker.process.wait(timeout=60) == 1
        assert worker.text().splitlines()[-1].startswith(f"Error: {sentence}")


#: Needs some hundred megabytes; its readable engine needs no compiler.
LARGE: dict[str, Any] = {"hidden_layer_sizes": (4096, 4096), "dtype": "float64", "engine": "numpy", "limit": 1}


def test_a_worker_on_which_every_job_fails_takes_no_more(cluster: Cluster) -> None:
    # Given a worker whose process gets no more memory
    strict = cluster.with_settings(breaker_failures=2)
    worker = strict.start_worker()
    [child] = worker.children()
    limits = child.rlimit(psutil.RLIMIT_AS)
    child.rlimit(psutil.RLIMIT_AS, (child.memory_info().vms + 50_000_000, limits[1]))
    # When as many jobs fail for it as are allowed
    for seed in range(2):
        error = strict.error(strict.submit(make_job(seed=seed, **LARGE)).id)
        assert type(error).__name__ == "OutOfMemoryError"
        assert str(error).startswith("the worker w1@test has not enough memory: ")
    # Then it leaves the next one alone, and says why
    worker.wait_until_logged("Takes no more jobs: 2 failed in a row, the last one with OutOfMemoryError")
    run = strict.submit(make_job()).id
    wait_for(lambda: "takes no more jobs" in check(strict)[1], "an unhealthy worker", report=strict.logs)
    assert not check(strict)[0]
    assert strict.state(run) == "PENDING"
    # And when it is well again and told so, it goes on
    child.rlimit(psutil.RLIMIT_AS, limits)
    strict.app.control.add_consumer(QUEUE, reply=True, limit=1)
    assert strict.result(run).status == "succeeded"
    wait_for(lambda: check(strict)[0], "a healthy worker", report=strict.logs)


def check(cluster: Cluster) -> tuple[bool, str]:
    return health.check(cluster.app, socket.gethostname())


def wait_until_healthy(cluster: Cluster) -> None:
    wait_for(lambda: check(cluster)[0], "a healthy worker", report=cluster.logs)


def wait_until_noticed(cluster: Cluster, sentence: str) -> None:
    wait_for(lambda: sentence in check(cluster)[1], sentence, report=cluster.logs)


def check_alive(cluster: Cluster, seconds: float) -> str:
    """Check the only worker, which is frozen, as if it were alive, and had done nothing for some seconds."""
    roster = cluster.app.tasks[TRAIN].roster()
    [seen] = roster.all()
    now = roster.now()
    running = dict.fromkeys(seen.running, now - seconds)
    # The last report of a job counts by the clock of its worker's host.
    changed = {"beat": now, "looped": now, "kept_up": now - seconds, "running": running, "ahead": seconds}
    roster.report(seen.model_copy(update=changed))
    return check(cluster)[1]


def test_a_worker_is_well_until_it_takes_no_jobs(cluster: Cluster) -> None:
    roster = cluster.app.tasks[TRAIN].roster()
    # Given a worker that just started, whose first heartbeat comes before its consumer: it is not drained
    worker = cluster.start_worker(ready=False)
    [first] = wait_for(roster.all, "its first heartbeat", report=cluster.logs)
    assert first.consuming
    worker.wait_until_ready()
    wait_until_healthy(cluster)
    # While there is nothing to do, it keeps up: a job that comes after a long rest must not seem neglected for as long
    wait_for(lambda: roster.all()[0].kept_up - first.started > 1.0, "a worker that keeps up", report=cluster.logs)
    # When it is drained, then that is noticed,
    cluster.app.control.cancel_consumer(QUEUE, reply=True, limit=1)
    wait_until_noticed(cluster, "w1@test is connected but does not consume the queue")
    cluster.app.control.add_consumer(QUEUE, reply=True, limit=1)
    wait_until_healthy(cluster)
    # and so it is when it is frozen,
    worker.signal_all(signal.SIGSTOP)
    wait_until_noticed(cluster, "w1@test has sent no heartbeat for")
    # and when it reports, has a process free, and takes nothing
    cluster.submit(make_job())
    idle = "w1@test is connected but has taken no job for"
    wait_for(lambda: idle in check_alive(cluster, health.IDLE_SECONDS + 1), idle)


def test_a_job_that_shows_no_new_epoch_is_noticed(cluster: Cluster) -> None:
    # Given a job whose process hangs
    worker = cluster.start_worker(*SLOW_EPOCHS)
    run = cluster.begin(make_job(epochs=1000))
    worker.children()[0].suspend()
    roster = cluster.app.tasks[TRAIN].roster()
    wait_for(lambda: run in roster.all()[0].running, "the job on record", report=cluster.logs)
    # At first, all is well; after a long time without progress, it is not
    assert check(cluster)[0]
    worker.signal_all(signal.SIGSTOP)
    silent = cluster.settings.hang_seconds + cluster.settings.lease_seconds + 1
    words = rf"has trained {run[:12]} for .* s without finishing an epoch$"
    wait_for(lambda: re.search(words, check_alive(cluster, silent)), words)


def test_the_command_says_in_one_line_whether_the_workers_of_this_host_are_well(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    host, roster = socket.gethostname(), cluster.app.tasks[TRAIN].roster()

    def says(status: int, *words: str) -> str:
        assert health.main([*words]) == status
        out, err = capsys.readouterr()
        assert (out.count("\n"), err) == (1, "")
        return out

    assert says(1) == f"no worker on {host} has sent a heartbeat recently\n"
    roster.report(presence())
    well = f"1 worker(s) on {host}: 0 job(s) in training, 0 waiting"
    assert says(0) == f"{well}\n"
    assert json.loads(says(0, "--json")) == {"healthy": True, "sentence": well}
    # What a worker reports does nothing to a terminal
    roster.report(presence(broken="\x1b]0;pwned\x07 \u202e"))
    assert "\\x1b]0;pwned\\x07 \\u202e" in says(1)
    # A Redis that is away is not well, as a container's check finds, too
    away = {"CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, "-m", "worker.health"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | away, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("Redis does not answer: ")
