"""Which of Redis's errors pass: it is away, full, or does not take writes for the moment."""

from __future__ import annotations

import re

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError
from redis.exceptions import TimeoutError as RedisTimeoutError

#: The connection is lost.
LOST = (RedisConnectionError, RedisTimeoutError, OSError)
_PASSING = (*LOST, OutOfMemoryError, MasterDownError, ReadOnlyError, TryAgainError)
#: How Redis begins errors that have no class of their own: its disk is full, it has no replica to write to, a script
#: runs, its cluster changes. Before that, redis-py says which command of a pipeline it was.
_WORDS = re.compile(r"(^|\) of pipeline caused error: )(MISCONF|NOREPLICAS|BUSY|CLUSTERDOWN)\b")


def passes(error: BaseException) -> bool:
    """Return whether the same command may succeed later. Whatever else Redis answers is a fault of ours."""
    if isinstance(error, _PASSING):
        return True
    return isinstance(error, redis.ResponseError) and _WORDS.search(str(error)) is not None
