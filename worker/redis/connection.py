"""Makes clients without retries, and decides which errors of Redis are transient."""

from __future__ import annotations

import re

import redis
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

#: Errors of a lost connection.
LOST = (RedisConnectionError, RedisTimeoutError, OSError)
_TRANSIENT = (*LOST, OutOfMemoryError, MasterDownError, ReadOnlyError, TryAgainError)
#: The beginning of transient errors without a class: disk full, too few replicas, a script is running, the cluster is
#: being reconfigured. In a pipeline, redis-py prepends the command.
_WORDS = re.compile(r"(^|\) of pipeline caused error: )(MISCONF|NOREPLICAS|BUSY|CLUSTERDOWN)\b")


def connect(url: str, seconds: float) -> Redis:
    """Return a client that tries each command once. It connects at first use.

    Args:
        url: A URL that `worker.redis.address.redis_url` returned.
        seconds: The timeout for connecting and for each answer, in seconds.

    Raises:
        ValueError: redis-py rejects the URL.
    """
    # redis-py uses another form for the URL of a unix socket.
    plain = url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=", 1)
    timeouts = {"socket_timeout": seconds}
    if not plain.startswith("unix:"):
        timeouts["socket_connect_timeout"] = seconds
    return Redis.from_url(plain, retry=Retry(NoBackoff(), 0), **timeouts)


def is_transient(error: BaseException) -> bool:
    """Return whether the same command may succeed later. Other errors are bugs or wrong settings."""
    if isinstance(error, _TRANSIENT):
        return True
    return isinstance(error, redis.ResponseError) and _WORDS.search(str(error)) is not None
