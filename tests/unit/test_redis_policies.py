"""What a client does when a real Redis rejects its commands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import redis
from redis.exceptions import ResponseError

from orchestrator.cluster.patience import Patience
from orchestrator.errors import BrokerUnreachableError, ClusterFullError
from tests.support.redis_server import RedisServer
from worker.redis.waiting import Once, Patient, Policy, WaitingRedis


def refuse_writes(server: RedisServer, seconds: float) -> None:
    """Let the server refuse writes for some seconds."""
    server.client().config_set("min-replicas-to-write", "1")
    timer = threading.Timer(seconds, lambda: server.client().config_set("min-replicas-to-write", "0"))
    timer.daemon = True
    timer.start()


def alone(client: redis.Redis) -> object:
    return client.set("name", "value")


def in_a_pipeline(client: redis.Redis) -> object:
    with client.pipeline(transaction=False) as pipeline:
        pipeline.set("name", "value")
        pipeline.get("name")
        return pipeline.execute()


def in_a_transaction(client: redis.Redis) -> object:
    with client.pipeline() as pipeline:
        pipeline.set("name", "value")
        pipeline.get("name")
        return pipeline.execute()


WRITES = [(alone, True), (in_a_pipeline, [True, b"value"]), (in_a_transaction, [True, b"value"])]


@pytest.mark.parametrize(("write", "answer"), WRITES)
def test_a_patient_client_repeats_a_command_until_it_succeeds(
    redis_server: RedisServer, write: Callable[[redis.Redis], object], answer: object
) -> None:
    refuse_writes(redis_server, 0.5)
    assert write(WaitingRedis(redis_server.client(), Patient())) == answer


@pytest.mark.parametrize(("write", "answer"), WRITES)
def test_the_orchestrators_client_says_what_it_waits_for_and_when_that_is_over(
    redis_server: RedisServer, write: Callable[[redis.Redis], object], answer: object
) -> None:
    told: list[str] = []
    client = redis_server.client()
    refuse_writes(redis_server, 0.5)
    policy = Patience("redis://here/0", client, told.append, lambda: None)
    assert write(WaitingRedis(client, policy)) == answer
    assert len(told) == 2
    assert told[0].startswith("redis://here/0 rejects commands (")
    assert told[1].startswith("redis://here/0 is back, after ")


@pytest.mark.parametrize(("write", "_answer"), WRITES)
def test_an_impatient_client_raises_at_once(
    redis_server: RedisServer, write: Callable[[redis.Redis], object], _answer: object
) -> None:
    redis_server.client().config_set("min-replicas-to-write", "1")
    with pytest.raises(redis.RedisError):
        write(WaitingRedis(redis_server.client(), Once()))


def test_an_error_that_stays_is_raised_by_every_policy(redis_server: RedisServer) -> None:
    client = redis_server.client()
    client.lpush("name", "x")
    policies: list[Policy] = [Once(), Patient()]
    for policy in policies:
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            WaitingRedis(client, policy).get("name")
    patience = Patience("redis://here/0", client, lambda _: None, lambda: None)
    with pytest.raises(BrokerUnreachableError, match="redis://here/0 rejects the command: WRONGTYPE"):
        WaitingRedis(client, patience).get("name")


def test_the_orchestrator_does_not_wait_for_a_full_server_or_a_dead_cluster(redis_server: RedisServer) -> None:
    client = redis_server.client()
    client.config_set("maxmemory", "1")
    patience = Patience("redis://here/0", client, lambda _: None, lambda: None)
    with pytest.raises(ClusterFullError, match="Redis at redis://here/0 is full"):
        WaitingRedis(client, patience).set("name", "value")

    def ended() -> None:
        raise RuntimeError("the server ended")

    redis_server.stop()
    with pytest.raises(RuntimeError, match="the server ended"):
        WaitingRedis(client, Patience("", client, lambda _: None, ended)).get("name")


def test_a_patient_client_waits_for_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given more failures than a power of two can count in a float
    failures = iter([redis.ConnectionError("away")] * 1500)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    def command() -> str:
        for failure in failures:
            raise failure
        return "an answer"

    retries: list[None] = []
    assert Patient(on_retry=lambda: retries.append(None)).run(command) == "an answer"
    assert len(pauses) == len(retries) == 1500
    assert max(pauses) <= 2.0
