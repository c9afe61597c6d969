"""Hosts whose clocks disagree: it is said, and leases do not suffer, because Redis's clock times them."""

import re
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.support.cluster import SLOW_EPOCHS, Cluster, make_job
from tests.support.command_line import SMALL, CommandLine, small
from tests.support.proxy import Proxy
from tests.support.skewed_clock import SkewedClock
from tests.support.waiting import wait_for
from worker import health
from worker.redis.clock import ServerClock, disagreement
from worker.redis.waiting import connect

HOST = socket.gethostname()
# By the part of ten seconds that the round trip to Redis does not explain.
SENTENCE = (
    r"Clocks disagree with that of Redis's host: {} is (9\.\d|10\.0) s {}; synchronize the clocks of all hosts \(NTP\)"
)


@pytest.mark.parametrize(("seconds", "side"), [(10.0, "ahead"), (-10.0, "behind")])
@pytest.mark.slow(reason="trains for some leases")
def test_a_clock_that_is_wrong_is_reported_and_costs_no_job(
    command_line: CommandLine, cluster: Cluster, tmp_path: Path, seconds: float, side: str
) -> None:
    # Given a worker whose clock is wrong by three leases, and one whose clock is right, which looks for abandoned jobs
    wrong = cluster.start_worker(*SLOW_EPOCHS, **SkewedClock(tmp_path / "clock", seconds).environment)
    cluster.start_worker(*SLOW_EPOCHS)
    sentence = re.compile(SENTENCE.format(re.escape(HOST), side))
    wait_for(lambda: sentence.search(wrong.text()), "a warning in the log", report=cluster.logs)
    wait_for(lambda: sentence.search(health.check(cluster.app, HOST)[1]), "a warning of the health check")
    # When jobs of a lease or more are trained
    done = command_line.run("sweep", *small(epochs="35"), "--name", "a", **cluster.environment)
    # Then the sweep says so, once, and each job is trained once, by both workers
    assert len(sentence.findall(done.stdout)) == 1
    rows = command_line.rows("a")
    assert [row["attempts"] for row in rows] == [1] * 4
    assert {row["worker"] for row in rows} == {"w1@test", "w2@test"}


def test_a_killed_workers_job_goes_on_at_once_by_whatever_clock(cluster: Cluster, tmp_path: Path) -> None:
    # Given a worker in the middle of a job, whose clock is ahead
    ahead = SkewedClock(tmp_path / "clock", 600.0).environment
    worker = cluster.start_worker(*SLOW_EPOCHS, **ahead)
    run = cluster.begin(make_job(epochs=1000))
    # When it is killed beside one whose clock is behind its own, and then that one beside one whose clock is ahead
    for number, environment in enumerate(({}, ahead), start=2):
        other = cluster.start_worker(*SLOW_EPOCHS, **environment)
        worker.kill()
        wait_for(lambda number=number: len(cluster.causes(run)) == number, "an attempt", report=cluster.logs)
        worker = other
    # Then the job goes on long before it would by these clocks, and not before its lease has ended
    assert cluster.causes(run) == ["first run", "worker lost", "worker lost"]


def test_the_clock_of_the_orchestrator_is_compared_as_well(
    command_line: CommandLine, cluster: Cluster, tmp_path: Path
) -> None:
    cluster.start_worker()
    skewed = SkewedClock(tmp_path / "clock", 10.0)
    done = command_line.run("sweep", *SMALL, "--name", "a", **cluster.environment, **skewed.environment)
    assert len(re.findall(SENTENCE.format(re.escape(HOST), "ahead"), done.stdout)) == 1


def test_a_slow_round_trip_is_no_difference(proxy: Proxy) -> None:
    # Given a network that holds the question, or the answer, back for a while
    client, measured = connect(proxy.url, 30.0), ServerClock()
    client.ping()
    proxy.stall()
    threading.Timer(0.5, proxy.resume).start()
    measured.measure(client)
    assert measured.ahead == 0.0
    assert measured.now() <= time.time()


def test_a_clock_must_be_measured_and_is_measured_again_after_a_while(cluster: Cluster) -> None:
    client, measured = cluster.server.client(), ServerClock()
    with pytest.raises(RuntimeError, match="has not been measured"):
        measured.now()
    for within, times in ((60.0, 1), (0.0, 4)):
        assert all(measured.recent(client, within) > time.time() - 60 for _ in range(3))
        assert client.info("commandstats")["cmdstat_time"]["calls"] == times


def test_hosts_beyond_a_third_of_a_lease_are_named() -> None:
    assert disagreement({"a": 9.9, "b": -9.9}, 30.0) is None
    assert disagreement({"b": -10.1, "a": 12.34, "c": 1.0}, 30.0) == (
        "Clocks disagree with that of Redis's host: a is 12.3 s ahead, b is 10.1 s behind; synchronize the clocks of "
        "all hosts (NTP)"
    )
    many = {f"h{number}": 20.0 for number in range(8)}
    assert "h4 is 20.0 s ahead, and 3 more; " in str(disagreement(many, 30.0))
