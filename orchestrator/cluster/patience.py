"""The orchestrator's retry policy: transient errors of Redis are retried without a limit, and shown to the user."""

import time
from collections.abc import Callable
from typing import TypeVar

from kombu.exceptions import BatchPublishError, KombuError, OperationalError
from redis import Redis
from redis.exceptions import AuthenticationError, AuthorizationError, OutOfMemoryError, RedisError

from orchestrator.errors import BrokerUnreachableError, ClusterFullError
from orchestrator.text import sized
from worker.redis.address import hide_password
from worker.redis.waiting import LOST, connect, is_transient

T = TypeVar("T")

#: Timeout of `check_answer`, in seconds: for connecting, and then for the answer.
ANSWER_SECONDS = 4.0
#: The longest pause between two retries, in seconds.
LONGEST_PAUSE = 2.0
#: Seconds of an outage after which the user is told again.
REMINDER_SECONDS = 60.0

_REFUSED = (AuthenticationError, AuthorizationError)
_LOST = (*LOST, OperationalError)
#: Every error with which Redis, or kombu on its behalf, rejects a command.
ERRORS = (*_LOST, BatchPublishError, RedisError)


class Patience:
    """A policy (`worker.redis.waiting`) that retries a command while its error is transient, and tells the user.

    Args:
        address: The address of Redis, without its password, for messages.
        client: A client of this Redis that tries each command once.
        tell: Shows a message to the user.
        check: Raises if waiting is futile, because a part of the embedded cluster ended.
    """

    def __init__(self, address: str, client: Redis, tell: Callable[[str], None], check: Callable[[], None]) -> None:
        self._address = address
        self._client = client
        self._tell = tell
        self._check = check

    def __call__(self, command: Callable[[], T]) -> T:
        """Return what the command returns; it may be called several times.

        Raises:
            BrokerUnreachableError: Redis rejects the command with a permanent error.
            ClusterFullError: Redis is full.
        """
        pause, lost_since, mentioned = 0.1, 0.0, 0.0
        while True:
            try:
                value = command()
            except ERRORS as error:
                self._give_up_if_refused(error)
                self._check()
                now = time.monotonic()
                lost_since = lost_since or now
                if not mentioned or now - mentioned > REMINDER_SECONDS:
                    what = "does not answer" if isinstance(error, _LOST) else "rejects commands"
                    self._tell(f"{self._address} {what} ({_reason(error)}); retrying")
                    mentioned = now
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if lost_since:
                    self._tell(f"{self._address} is back, after {time.monotonic() - lost_since:.1f} s")
                return value

    def _give_up_if_refused(self, error: BaseException) -> None:
        # Kombu wraps transient and permanent errors in the same exception.
        while isinstance(error, KombuError) and error.__cause__ is not None:
            error = error.__cause__
        if isinstance(error, _REFUSED):
            raise BrokerUnreachableError(f"{self._address} denies access: {_reason(error)}") from None
        if isinstance(error, OutOfMemoryError):
            raise ClusterFullError(self._full()) from None
        if isinstance(error, RedisError) and not is_transient(error):
            raise BrokerUnreachableError(f"{self._address} rejects the command: {_reason(error)}") from None

    def _full(self) -> str:
        try:
            memory = self._client.info("memory")
            used, limit = (sized(memory[name]) for name in ("used_memory", "maxmemory"))
        except ERRORS:
            used, limit = "too much data", "reached"
        return (
            f"Redis at {self._address} is full: it holds {used}, and its maxmemory is {limit}; raise that limit, or "
            "set a smaller SEEDSWEEP_RESULT_EXPIRES so that results expire sooner"
        )


def check_answer(url: str) -> None:
    """Check that the Redis server at this address answers, within twice `ANSWER_SECONDS`.

    Raises:
        BrokerUnreachableError: no server answers, the server denies access, or it lacks the database.
    """
    address = hide_password(url)
    try:
        with connect(url, ANSWER_SECONDS) as client:
            client.ping()
    except _REFUSED as error:
        raise BrokerUnreachableError(f"{address} denies access: {_reason(error)}") from None
    except (RedisError, OSError, ValueError) as error:
        if "DB index" in str(error):
            raise BrokerUnreachableError(
                f"The database index in {address} is out of range: the server has fewer databases"
            ) from None
        raise BrokerUnreachableError(f"No Redis server answers at {address}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
