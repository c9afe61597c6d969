"""What to do when Redis rejects a command: one policy, which a client gets when it is made and its users cannot forget.

A command that a policy repeats may run twice, when its answer was lost. Every command that Seedsweep sends is harmless
when repeated.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import redis
from celery.utils.log import get_logger
from redis.backoff import ExponentialWithJitterBackoff
from redis.client import Pipeline

from worker.redis.connection import is_transient

T = TypeVar("T")

logger = get_logger(__name__)


class Policy(Protocol):
    """Runs commands, and decides what becomes of one that fails."""

    def run(self, command: Callable[[], T]) -> T:
        """Return what the command returns; it may be called several times."""


class Once:
    """Lets every error through."""

    def run(self, command: Callable[[], T]) -> T:
        """Return what the command returns."""
        return command()


class Patient:
    """Repeats a command while its error is transient: for workers, which have nothing else to do."""

    def __init__(self) -> None:
        self._backoff = ExponentialWithJitterBackoff(cap=2.0, base=0.1)

    def run(self, command: Callable[[], T]) -> T:
        """Return what the command returns."""
        for failures in itertools.count(1):
            try:
                return command()
            except (redis.RedisError, OSError) as error:
                if not is_transient(error):
                    raise
                logger.warning("Redis rejects a command, which is retried: %s", error)
                time.sleep(self._backoff.compute(failures))
        raise AssertionError("endless")


class WaitingRedis(redis.Redis):
    """A client whose commands and pipelines go through a policy.

    Args:
        client: Another client, whose connections it shares.
        policy: What to do when Redis rejects a command.
    """

    def __init__(self, client: redis.Redis, policy: Policy) -> None:
        super().__init__(connection_pool=client.connection_pool)
        self._policy = policy

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command, and return its answer."""
        send: Callable[..., Any] = super().execute_command
        return self._policy.run(lambda: send(*args, **options))

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Pipeline:
        """Return a pipeline; with `transaction`, Redis runs its commands as one."""
        return _WaitingPipeline(self, self._policy, transaction, shard_hint)


class _WaitingPipeline(Pipeline):
    def __init__(self, client: redis.Redis, policy: Policy, transaction: Any, shard_hint: Any) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._policy = policy

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands = list(self.command_stack)

        def attempt() -> list[Any]:
            # redis-py empties the pipeline whether it succeeds or fails.
            self.command_stack = list(commands)
            return super(_WaitingPipeline, self).execute(raise_on_error)

        return self._policy.run(attempt)
