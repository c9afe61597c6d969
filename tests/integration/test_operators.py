"""What operators and failing machines do to workers in mid-sweep: the sweep ends, or says within 10 s what is wrong."""

import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.output import Output
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess
from worker import health
from worker.messages import QUEUE, TRAIN

#: Eight jobs of some tenths of a second each.
STEADY = ("--seeds", "0-3", "--learning-rates", "0.01,0.03", "--epochs", "20", "--limit", "1000")
JOBS = 8
#: Within this time a sweep says what it waits for, with the default lease.
SAID_SECONDS = 10.0

#: Makes the event loop of a worker stand still on SIGUSR2, while its other threads go on.
STAND_STILL = "import signal, time\nsignal.signal(signal.SIGUSR2, lambda *_: time.sleep(3600))\n"


@pytest.fixture
def patient_cluster(cluster: Cluster) -> Cluster:
    """A cluster with the default lease, which is longer than a sweep may be silent."""
    return cluster.with_settings(lease_seconds=30.0)


@pytest.mark.slow(reason="a sweep of eight jobs, which may have to be submitted again")
def test_a_sweep_ends_although_somebody_operates(command_line: CommandLine, patient_cluster: Cluster) -> None:
    control = patient_cluster.app.control
    patient_cluster.start_worker(concurrency=2)
    output = Output(command_line.begin(*STEADY, **patient_cluster.environment))
    assert "time_limit is rejected" in str(control.time_limit(TRAIN, 0.01, reply=True, limit=1))
    control.purge()
    status, text = output.end()
    assert status == 0, text
    assert [row["attempts"] for row in command_line.rows("a")] == [1] * JOBS


def drain(worker: WorkerProcess, cluster: Cluster) -> None:
    cluster.app.control.cancel_consumer(QUEUE, reply=True, limit=1)


def shut_down(worker: WorkerProcess, cluster: Cluster) -> None:
    cluster.app.control.shutdown()


def stand_still(worker: WorkerProcess, cluster: Cluster) -> None:
    worker.process.send_signal(signal.SIGUSR2)


def exhaust(worker: WorkerProcess, cluster: Cluster) -> None:
    """Let a worker open no more files, which is known while it works; then it needs some, for another process."""
    process = psutil.Process(worker.process.pid)
    process.rlimit(resource.RLIMIT_NOFILE, (3, process.rlimit(resource.RLIMIT_NOFILE)[1]))
    known = "w1@test can open no more files or connections (Too many open files): "
    host = socket.gethostname()
    wait_for(lambda: known in health.check(cluster.app, host)[1], "a sick worker", timeout=SAID_SECONDS)
    worker.children()[0].kill()


@pytest.mark.slow(reason="waits for a sweep to notice")
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (drain, "takes jobs: w1@test is connected but does not consume the queue: "),
        (stand_still, "takes jobs: w1@test has an event loop that has stood still for "),
        (shut_down, "No worker is online at"),
        (exhaust, "No worker is online at"),
    ],
)
def test_a_sweep_says_what_is_wrong_with_its_only_worker_and_goes_on_when_that_is_put_right(
    command_line: CommandLine,
    patient_cluster: Cluster,
    tmp_path: Path,
    harm: Callable[[WorkerProcess, Cluster], None],
    sentence: str,
) -> None:
    # Given a sweep in training
    (tmp_path / "stuck").mkdir()
    (tmp_path / "stuck" / "sitecustomize.py").write_text(STAND_STILL)
    worker = patient_cluster.start_worker(PYTHONPATH=str(tmp_path / "stuck"))
    output = Output(command_line.begin(*STEADY, **patient_cluster.environment))
    # When its worker takes no more jobs, then it says so soon
    harm(worker, patient_cluster)
    assert sentence in output.wait_for("No worker", timeout=SAID_SECONDS)
    if harm is stand_still:
        # Its job would wait for the end of its lease.
        return
    # When jobs are taken again, as the message says, or by another worker, then it ends
    if harm is drain:
        patient_cluster.app.control.add_consumer(QUEUE, reply=True, limit=1)
    else:
        worker.process.wait(timeout=30)
        assert harm is exhaust or worker.process.returncode == 0
        patient_cluster.start_worker()
    status, text = output.end()
    assert (status, len(command_line.rows("a"))) == (0, JOBS), text
    # It has said it once, which is enough for a while
    assert text.count(sentence) == 1
