"""Clients of Redis, and their retry policies. A policy applies to all commands and pipelines of its client.

Which errors are transient, so that a policy may retry, is decided here, too.

A retried command may run twice, if the answer to the first try was lost. Every command that Seedsweep sends is safe to
repeat: it sets a value, or answers as it did the first time (`orchestrator.cluster.queue`), or readers ignore its
repetition (`Store.mismatches`).
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from celery.utils.log import get_logger
from redis.backoff import DecorrelatedJitterBackoff, NoBackoff
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

T = TypeVar("T")

logger = get_logger(__name__)

#: Errors of a lost connection.
LOST = (RedisConnectionError, RedisTimeoutError, OSError)
_TRANSIENT = (*LOST, OutOfMemoryError, MasterDownError, ReadOnlyError, TryAgainError)
#: The beginning of transient errors without a class: disk full, too few replicas, a script is running, the cluster is
#: being reconfigured. In a pipeline, redis-py prepends the command.
_WORDS = re.compile(r"(^|\) of pipeline caused error: )(MISCONF|NOREPLICAS|BUSY|CLUSTERDOWN)\b")


def connect(url: str, seconds: float) -> redis.Redis:
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
    return redis.Redis.from_url(plain, retry=Retry(NoBackoff(), 0), **timeouts)


def is_transient(error: BaseException) -> bool:
    """Return whether the same command may succeed later. Other errors are bugs or wrong settings."""
    if isinstance(error, _TRANSIENT):
        return True
    return isinstance(error, redis.ResponseError) and _WORDS.search(str(error)) is not None


#: Runs a command, which may be called several times, and decides whether a failed one is retried.
Policy = Callable[[Callable[[], Any]], Any]


class Patient:
    """Retries a command while its error is transient, with growing random pauses and without a limit. For workers."""

    def __init__(self, on_retry: Callable[[], None] = lambda: None) -> None:
        self._on_retry = on_retry

    def __call__(self, command: Callable[[], T]) -> T:
        """Return what the command returns."""
        # Made for each command, because it remembers its last pause. An exponential one overflows at 1,024 failures.
        pauses = DecorrelatedJitterBackoff(cap=2.0, base=0.1)
        retry = Retry(pauses, retries=-1, supported_errors=(redis.RedisError, OSError))
        return retry.call_with_retry(command, self._failed, is_transient)

    def _failed(self, error: Exception) -> None:
        logger.warning("A command to Redis failed and is retried: %s", error)
        self._on_retry()


class WaitingRedis(redis.Redis):
    """A client whose commands and pipelines go through a policy. It shares the connections of another client."""

    def __init__(self, client: redis.Redis, policy: Policy) -> None:
        super().__init__(connection_pool=client.connection_pool)
        self._policy = policy

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command, and return its answer."""
        send: Callable[..., Any] = super().execute_command
        return self._policy(lambda: send(*args, **options))

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Pipeline:
        """Return a pipeline. With `transaction`, Redis runs its commands atomically."""
        return _WaitingPipeline(self, self._policy, transaction, shard_hint)


class _WaitingPipeline(Pipeline):
    def __init__(self, client: redis.Redis, policy: Policy, transaction: Any, shard_hint: Any) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._policy = policy

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands = list(self.command_stack)

        def attempt() -> list[Any]:
            # Restored, because redis-py empties the pipeline even if it fails.
            self.command_stack = list(commands)
            return super(_WaitingPipeline, self).execute(raise_on_error)

        answers: list[Any] = self._policy(attempt)
        return answers
