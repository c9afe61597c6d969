"""What a client does when a real Redis rejects its commands: which errors pass, and who waits for that."""

from collections.abc import Callable
from functools import partial
from operator import call
from unittest.mock import Mock

import pytest
import redis

from orchestrator.cluster.patience import Patience
from orchestrator.errors import BrokerUnreachableError, ClusterFullError
from tests.support.redis_server import RedisServer, free_port
from worker.redis.waiting import Patient, Policy, WaitingRedis, connect, is_transient

Write = Callable[[redis.Redis], object]


@pytest.fixture
def client(shared_server: RedisServer) -> redis.Redis:
    """A client that tries each command once."""
    return connect(shared_server.url, 20.0)


@pytest.fixture
def absent() -> redis.Redis:
    """A client of a server that does not run."""
    return connect(f"redis://127.0.0.1:{free_port()}/0", 20.0)


def alone(client: redis.Redis) -> object:
    return client.set("name", "value")


def in_a_pipeline(client: redis.Redis, transaction: bool = False) -> object:
    with client.pipeline(transaction=transaction) as pipeline:
        pipeline.set("name", "value")
        pipeline.get("name")
        return pipeline.execute()


def in_a_transaction(client: redis.Redis) -> object:
    return in_a_pipeline(client, transaction=True)


ANSWERS = {alone: True, in_a_pipeline: [True, b"value"], in_a_transaction: [True, b"value"]}
every_write = pytest.mark.parametrize("write", ANSWERS)


def is_waited_for(write: Write, client: redis.Redis) -> bool:
    with pytest.raises(redis.RedisError) as found:
        write(client)
    return is_transient(found.value)


@every_write
def test_a_server_that_takes_no_writes_is_waited_for(client: redis.Redis, absent: redis.Redis, write: Write) -> None:
    client.config_set("min-replicas-to-write", "1")
    assert is_waited_for(write, client)
    client.config_set("min-replicas-to-write", "0")
    client.config_set("maxmemory", "1")
    assert is_waited_for(write, client)
    client.config_set("maxmemory", "0")
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    assert is_waited_for(write, client)
    assert is_waited_for(write, absent)


@every_write
def test_each_policy_waits_until_writes_are_taken_again_or_raises_at_once(client: redis.Redis, write: Write) -> None:
    refuse, allow = (partial(client.config_set, "min-replicas-to-write", replicas) for replicas in ("1", "0"))
    # An impatient client raises
    refuse()
    with pytest.raises(redis.RedisError):
        write(WaitingRedis(client, call))
    # A worker's tries again
    assert write(WaitingRedis(client, Patient(on_retry=allow))) == ANSWERS[write]
    # The orchestrator's says what it waits for, and when that is over
    told: list[str] = []

    def tell(message: str) -> None:
        told.append(message)
        allow()

    refuse()
    assert write(WaitingRedis(client, Patience("redis://here/0", client, tell, lambda: None))) == ANSWERS[write]
    assert len(told) == 2
    assert told[0].startswith("redis://here/0 rejects commands (")
    assert told[1].startswith("redis://here/0 is back, after ")


def test_an_error_that_stays_is_raised_by_every_policy(client: redis.Redis) -> None:
    client.lpush("name", "x")
    policies: list[Policy] = [call, Patient()]
    for policy in policies:
        with pytest.raises(redis.ResponseError, match="WRONGTYPE") as found:
            WaitingRedis(client, policy).get("name")
        assert not is_transient(found.value)
    patience = Patience("redis://here/0", client, lambda _: None, lambda: None)
    with pytest.raises(BrokerUnreachableError, match="redis://here/0 rejects the command: WRONGTYPE"):
        WaitingRedis(client, patience).get("name")


def test_the_orchestrator_does_not_wait_for_a_full_server_or_a_dead_cluster(
    client: redis.Redis, absent: redis.Redis
) -> None:
    client.config_set("maxmemory", "1")
    patience = Patience("redis://here/0", client, lambda _: None, lambda: None)
    with pytest.raises(ClusterFullError, match="Redis at redis://here/0 is full"):
        WaitingRedis(client, patience).set("name", "value")
    ended = Mock(side_effect=RuntimeError("the server ended"))
    with pytest.raises(RuntimeError, match="the server ended"):
        WaitingRedis(absent, Patience("", absent, lambda _: None, ended)).get("name")


def test_a_patient_client_waits_for_as_long_as_it_takes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given more failures than a power of two can count in a float
    command = Mock(side_effect=[redis.ConnectionError("away")] * 1500 + ["an answer"])
    pauses: list[float] = []
    monkeypatch.setattr("redis.retry.sleep", pauses.append)
    assert Patient(on_retry=(retries := Mock()))(command) == "an answer"
    assert len(pauses) == retries.call_count == 1500
    assert max(pauses) <= 2.0
    assert caplog.messages == ["A command to Redis failed and is retried: away"] * 1500
