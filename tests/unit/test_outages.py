"""Which of Redis's errors pass, on a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from tests.support.redis_server import RedisServer
from worker.redis.connection import is_transient


def alone(client: redis.Redis) -> None:
    client.set("name", "value")


def in_a_pipeline(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as pipeline:
        pipeline.get("name")
        pipeline.set("name", "value")
        pipeline.execute()


def in_a_transaction(client: redis.Redis) -> None:
    with client.pipeline() as pipeline:
        pipeline.get("name")
        pipeline.set("name", "value")
        pipeline.execute()


WRITES = (alone, in_a_pipeline, in_a_transaction)


def error_of(write: Callable[[redis.Redis], None], client: redis.Redis) -> redis.RedisError:
    with pytest.raises(redis.RedisError) as found:
        write(client)
    return found.value


@pytest.mark.parametrize("write", WRITES)
def test_a_server_that_takes_no_writes_is_waited_for(
    redis_server: RedisServer, write: Callable[[redis.Redis], None]
) -> None:
    client = redis_server.client()
    client.config_set("min-replicas-to-write", "1")
    assert is_transient(error_of(write, client))
    client.config_set("min-replicas-to-write", "0")
    client.config_set("maxmemory", "1")
    assert is_transient(error_of(write, client))
    client.config_set("maxmemory", "0")
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    assert is_transient(error_of(write, client))


@pytest.mark.parametrize("write", WRITES)
def test_a_mistake_of_ours_is_not(redis_server: RedisServer, write: Callable[[redis.Redis], None]) -> None:
    client = redis_server.client()
    client.lpush("name", "x")
    with pytest.raises(redis.ResponseError) as found:
        client.get("name")
    assert not is_transient(found.value)
    redis_server.stop()
    assert is_transient(error_of(write, client))
