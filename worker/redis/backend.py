"""Celery's Redis result backend with three differences, each needed by a ledger that is polled."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import redis
from celery import states
from celery.backends.redis import RedisBackend
from celery.utils.log import get_logger
from kombu.utils import json
from redis.commands.core import Script

from worker.redis.connection import is_transient

logger = get_logger(__name__)

#: Stores a task's state unless a SUCCESS is stored already.
#: KEYS[1]: the task's key. ARGV[1]: the new state as JSON. ARGV[2]: seconds to keep it, 0 for ever.
_STORE_UNLESS_SUCCEEDED = """
local stored = redis.call('GET', KEYS[1])
if stored then
    local readable, meta = pcall(cjson.decode, stored)
    if readable and type(meta) == 'table' and meta['status'] == 'SUCCESS' then
        return 0
    end
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
      than 10,000 jobs. `AsyncResult.get()` subscribes by itself, so that it works as any Celery user expects.
    - A stored SUCCESS is final in one atomic step. Celery reads the state and then writes, and a frozen worker that
      wakes up between the two could put its PROGRESS in the place of another worker's result.
    - A Redis that is full, or takes no writes for the moment, is waited for like an absent one.
    - What cannot be read counts as nothing stored, so that a job gets a result in its place. Celery would raise in
      every process that looks at it, and for some of it try again for ever.
    """

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do nothing where Celery would subscribe to the task's channel."""

    def decode_result(self, payload: Any) -> dict[str, Any]:
        """Return the state that is stored as JSON; `PENDING` for anything else, packed JSON among it."""
        try:
            meta = json.loads(payload)  # type: ignore[no-untyped-call]
            if isinstance(meta, dict) and isinstance(meta["status"], str) and "result" in meta:
                return dict(self.meta_from_decoded(meta))
        except Exception as error:
            logger.warning("What is stored as a task's state is none: %r", error)
        return {"status": states.PENDING, "result": None}

    def exception_safe_to_retry(self, exc: BaseException) -> bool:
        """Return whether the error passes. Celery's own answer is yes to a KeyError, and no to a full Redis."""
        return is_transient(exc)

    def _set_with_state(self, key: Any, value: Any, state: str) -> Any:
        expires = self.failure_expires if state == states.FAILURE else self.expires
        return self.ensure(self._store_unless_succeeded, (key, value, math.ceil(expires or 0)))

    def _store_unless_succeeded(self, key: Any, value: Any, expires: int) -> bool:
        return bool(self._script(keys=[key], args=[value, expires]))

    @cached_property
    def _script(self) -> Script:
        client: redis.Redis = self.client
        return client.register_script(_STORE_UNLESS_SUCCEEDED)
