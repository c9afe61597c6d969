"""A client that gives up soon, and which of Redis's errors are transient."""

from __future__ import annotations

import re

import redis
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

#: The connection is lost.
LOST = (RedisConnectionError, RedisTimeoutError, OSError)
_TRANSIENT = (*LOST, OutOfMemoryError, MasterDownError, ReadOnlyError, TryAgainError)
#: How Redis begins the transient errors that have no class of their own: its disk is full, too few replicas are
#: connected, a script runs, its cluster reconfigures. For a pipeline, redis-py first names the command.
_WORDS = re.compile(r"(^|\) of pipeline caused error: )(MISCONF|NOREPLICAS|BUSY|CLUSTERDOWN)\b")


def connect(url: str, seconds: float) -> Redis:
    """Return a client that tries each command once. It connects when it is first used.

    Args:
        url: An address as `worker.redis.address.redis_url` returns it.
        seconds: Timeout for connecting, and then for each answer.

    Raises:
        ValueError: redis-py cannot use the address.
    """
    # redis-py spells the address of a unix socket differently.
    plain = url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=", 1)
    timeouts = {"socket_timeout": seconds}
    if not plain.startswith("unix:"):
        timeouts["socket_connect_timeout"] = seconds
    return Redis.from_url(plain, retry=Retry(NoBackoff(), 0), **timeouts)


def is_transient(error: BaseException) -> bool:
    """Return whether the same command may succeed later. Any other error is a fault of ours, or of the settings."""
    if isinstance(error, _TRANSIENT):
        return True
    return isinstance(error, redis.ResponseError) and _WORDS.search(str(error)) is not None
