"""Hosts whose clocks disagree: it is said, and leases do not suffer, because Redis's clock times them."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, make_job
from tests.support.command_line import SMALL, CommandLine, small
from tests.support.skewed_clock import SkewedClock
from tests.support.waiting import wait_for
from worker import health
from worker.messages import TRAIN

HOST = socket.gethostname()
SENTENCE = "Clocks disagree with that of Redis's host: {} is {:.1f} s {}; synchronize the clocks of all hosts (NTP)"


def causes(cluster: Cluster, task_id: str) -> list[str]:
    return [attempt.cause for attempt in cluster.app.tasks[TRAIN].attempts().of(task_id)]


@pytest.mark.parametrize(("seconds", "side"), [(10.0, "ahead"), (-10.0, "behind")])
@pytest.mark.slow(reason="trains for some leases")
def test_a_clock_that_is_wrong_is_reported_and_costs_no_job(
    command_line: CommandLine, cluster: Cluster, tmp_path: Path, seconds: float, side: str
) -> None:
    # Given a worker whose clock is wrong by three leases, and one whose clock is right, which looks for abandoned jobs
    wrong = cluster.start_worker(**SkewedClock(tmp_path / "clock", seconds).environment)
    cluster.start_worker()
    sentence = SENTENCE.format(HOST, 10.0, side)
    wait_for(lambda: sentence in wrong.text(), "a warning in the log", timeout=10, report=cluster.logs)
    wait_for(lambda: sentence in health.check(cluster.app, HOST).sentence, "a warning of the health check", timeout=10)
    # When jobs of a lease or more are trained
    done = command_line.run("sweep", *small(epochs="250"), "--name", "a", **cluster.environment)
    # Then the sweep says so, once, and each job is trained once, by both workers
    assert done.stdout.count(sentence) == 1
    rows = command_line.rows("a")
    assert [row["attempts"] for row in rows] == [1] * 4
    assert {row["worker"] for row in rows} == {"w1@test", "w2@test"}


@pytest.mark.parametrize(("seconds", "side"), [(10.0, "ahead"), (-10.0, "behind")])
def test_a_killed_workers_job_goes_on_at_once_by_whatever_clock(
    cluster: Cluster, tmp_path: Path, seconds: float, side: str
) -> None:
    # Given a worker in the middle of a job, and another one, whose clock is wrong
    killed = cluster.start_worker(**SkewedClock(tmp_path / "clock", -seconds).environment)
    task_id = cluster.submit(make_job(epochs=1000)).id
    cluster.wait_for_state(task_id, "PROGRESS")
    cluster.start_worker(**SkewedClock(tmp_path / "other", seconds).environment)
    killed.kill()
    before = time.monotonic()
    wait_for(
        lambda: len(causes(cluster, task_id)) == 2, f"an attempt of the worker that is {side}", report=cluster.logs
    )
    assert time.monotonic() - before < cluster.settings.lease_seconds + 6
    assert causes(cluster, task_id) == ["first run", "worker lost"]


def test_the_clock_of_the_orchestrator_is_compared_as_well(
    command_line: CommandLine, cluster: Cluster, tmp_path: Path
) -> None:
    cluster.start_worker()
    skewed = SkewedClock(tmp_path / "clock", 10.0)
    done = command_line.run("sweep", *SMALL, "--name", "a", **cluster.environment, **skewed.environment)
    assert done.stdout.count(SENTENCE.format(HOST, 10.0, "ahead")) == 1
