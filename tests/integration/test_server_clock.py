"""Redis's clock as a process of the cluster reads it, and the sentence about hosts that disagree with it."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from worker.redis.clock import ServerClock, disagreement
from worker.redis.waiting import connect


def test_setting_the_hosts_clock_changes_the_difference_and_not_the_time(
    shared_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, client, right = ServerClock(), shared_server.client(), time.time
    for seconds in (0.0, 10.0, -10.0):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: right() + seconds)
        before = right()
        clock.measure(client)
        assert clock.ahead == pytest.approx(seconds, abs=0.5)
        assert clock.ahead == 0.0 or seconds
        # It is late by a round trip at most.
        assert before - 0.5 < clock.now() <= right()


def test_a_slow_round_trip_is_no_difference(shared_server: RedisServer) -> None:
    # Given a network that holds the question, or the answer, back for a while
    proxy = Proxy(shared_server.port).start()
    try:
        client = connect(proxy.url, 30.0)
        client.ping()
        proxy.stall()
        threading.Timer(0.5, proxy.resume).start()
        clock = ServerClock()
        clock.measure(client)
        assert clock.ahead == 0.0
        assert clock.now() <= time.time()
    finally:
        proxy.close()


def test_a_clock_must_be_measured() -> None:
    with pytest.raises(RuntimeError, match="has not been measured"):
        ServerClock().now()


def test_hosts_beyond_a_third_of_a_lease_are_named() -> None:
    assert disagreement({"a": 9.9, "b": -9.9}, 30.0) is None
    assert disagreement({"b": -10.1, "a": 12.34, "c": 1.0}, 30.0) == (
        "Clocks disagree with that of Redis's host: a is 12.3 s ahead, b is 10.1 s behind; synchronize the clocks of "
        "all hosts (NTP)"
    )
    many = {f"h{number}": 20.0 for number in range(8)}
    assert "h4 is 20.0 s ahead, and 3 more; " in str(disagreement(many, 30.0))
