"""Celery's Redis result backend with the four differences that polling and redelivered jobs need."""

from __future__ import annotations

import hashlib
import math
from functools import cached_property
from typing import Any, cast

import redis
from celery import states
from celery.backends.redis import RedisBackend
from celery.utils.log import get_logger
from kombu.utils import json
from redis.commands.core import Script

from worker.redis.connection import is_transient

logger = get_logger(__name__)

#: Replaces a task's state, unless it has changed since it was read.
#: KEYS[1]: the task's key. ARGV[1]: the new state as JSON. ARGV[2]: seconds to keep it, 0 forever.
#: ARGV[3]: the SHA-1 of the state that was read, or of no bytes if there was none.
_REPLACE = """
if redis.sha1hex(redis.call('GET', KEYS[1]) or '') ~= ARGV[3] then
    return 0
end
if tonumber(ARGV[2]) > 0 then
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
else
    redis.call('SET', KEYS[1], ARGV[1])
end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""


class LedgerBackend(RedisBackend):
    """The ledger of jobs.

    - Submitting does not subscribe to the task's channel: the orchestrator polls, and 10,000 subscriptions cost more
      than 10,000 jobs. `AsyncResult.get()` subscribes by itself, as any Celery user expects.
    - A stored success is final. Celery reads the state and then writes, and a frozen worker that wakes up in between
      would overwrite another worker's result with its progress report. Here the write fails if the state changed.
    - A Redis that is full, or takes no writes for the moment, is waited for like one that does not answer.
    - A stored state that cannot be read counts as absent, so that a job gets a result in its place. Celery would raise
      in every process that reads it, or retry forever.

    Workers and orchestrator read states through `decode_result`, which alone decides what a success is.
    """

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do nothing where Celery would subscribe to the task's channel."""

    def decode_result(self, payload: Any) -> dict[str, Any]:
        """Return the state that is stored as JSON; `PENDING` if it cannot be read or is compressed."""
        try:
            meta = json.loads(payload)  # type: ignore[no-untyped-call]
            if isinstance(meta, dict) and isinstance(meta["status"], str) and "result" in meta:
                return dict(self.meta_from_decoded(meta))
        except Exception as error:
            logger.warning("A stored task state is invalid: %r", error)
        return {"status": states.PENDING, "result": None}

    def exception_safe_to_retry(self, exc: BaseException) -> bool:
        """Return whether the error is transient. Celery retries on a KeyError, and not when Redis is full."""
        return is_transient(exc)

    def _set_with_state(self, key: Any, value: Any, state: str) -> Any:
        expires = self.failure_expires if state == states.FAILURE else self.expires
        return self.ensure(self._store_unless_succeeded, (key, value, math.ceil(expires or 0)))

    def _store_unless_succeeded(self, key: Any, value: Any, expires: int) -> bool:
        while True:
            stored = cast("bytes", self.client.get(key) or b"")
            if stored and self.decode_result(stored)["status"] == states.SUCCESS:
                return False
            read = hashlib.sha1(stored, usedforsecurity=False).hexdigest()
            if self._replace(keys=[key], args=[value, expires, read]):
                return True

    @cached_property
    def _replace(self) -> Script:
        client: redis.Redis = self.client
        return client.register_script(_REPLACE)
