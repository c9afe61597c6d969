"""A plain connection to Redis that gives up soon, beside those of Celery and kombu, which do not."""

from __future__ import annotations

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def connect(url: str, seconds: float) -> Redis:
    """Return a client that tries each command once. It connects when it is first used.

    Args:
        url: An address as `worker.urls.redis_url` returns it.
        seconds: The longest wait for a connection, and then for each answer.

    Raises:
        ValueError: redis-py cannot use the address.
    """
    # redis-py has its own spelling of a unix socket's address.
    plain = url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=", 1)
    timeouts = {"socket_timeout": seconds}
    if not plain.startswith("unix:"):
        timeouts["socket_connect_timeout"] = seconds
    return Redis.from_url(plain, retry=Retry(NoBackoff(), 0), **timeouts)
