"""Celery's Redis result backend, with changes for polling, redelivered jobs, and values that others stored."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Collection
from functools import cached_property
from typing import Annotated, Any

import redis
from celery import states
from celery.backends.redis import RedisBackend
from celery.exceptions import TaskRevokedError, TimeLimitExceeded
from celery.utils.log import get_logger
from kombu.utils import json
from pydantic import BaseModel, Field
from redis.commands.core import Script

from nn.errors import DatasetError, WeightsError
from nn.files import json_values
from worker.errors import JobRefusedError, NoSuchWorkerError, OutOfMemoryError, TooManyAttemptsError
from worker.redis import limits
from worker.redis.bounded import read, read_each
from worker.redis.waiting import Patient, WaitingRedis, is_transient

logger = get_logger(__name__)

#: What most results have in common; a compressed one refers to it, so a change makes stored results invalid.
_USUAL = (
    b'", "traceback": null, "children": [], "date_done": "20T:.+00:00", "task_id": "", "error": "", "others": {"", '
    b'"stopped": "", "correct": "", "cause": "worker lost", "epochs_before": , "code": ", files ", "environment": '
    b'" (x86_64), Python 3., numpy 2.", "attempts": 1, "started": 1, "ended": 1, "weights_bytes": , "worker": "@", '
    b'"weights_sha256": "", "epoch_seconds": [0.00e-05, "status": "diverged", "validation_score": [0.9, 0.8'
    b'{"status": "SUCCESS", "result": {"job": "", "status": "succeeded", "validation_score": [0.'
)
#: The first byte of a compressed state, which no JSON has.
_COMPRESSED = b"x"
#: The longest state in bytes that is compressed: others may store one that becomes as long when it is read.
_LONGEST = 2**16

#: The types of stored errors that are restored, by name: each takes one sentence as its argument.
_ERRORS: dict[str, type[Exception]] = {
    error.__name__: error
    for error in (
        TaskRevokedError, JobRefusedError, NoSuchWorkerError, OutOfMemoryError, TooManyAttemptsError, DatasetError,
        WeightsError,
    )
}  # fmt: skip


class _StoredError(BaseModel):
    """An error as Celery stores it: the name of its type, and its arguments."""

    exc_type: Annotated[str, Field(pattern=r"^[!-~]{1,200}$")]
    exc_message: str | list[Any]


#: Replaces a task's state, unless that may be final: it is compressed, or has such a word. Then the caller reads it.
#: KEYS[1]: the task's key. ARGV[1]: the new state. ARGV[2]: seconds to keep it; 0 for no expiry.
#: ARGV[3]: the SHA-1 of a state that the caller has read, and that is not final.
#: ARGV[4]: the most bytes of a valid state. ARGV[5] and the rest: how a compressed state begins, and the words.
_REPLACE = """
local stored = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[4])
if type(stored) == 'string' and #stored <= tonumber(ARGV[4]) and redis.sha1hex(stored) ~= ARGV[3] then
    if string.sub(stored, 1, 1) == ARGV[5] then return 0 end
    for i = 6, #ARGV do
        if string.find(stored, ARGV[i], 1, true) then return 0 end
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

    - Submitting a task does not subscribe to its channel: the orchestrator polls, and 10,000 subscriptions cost more
      than 10,000 jobs. `AsyncResult.get()` still subscribes.
    - A stored success is final. A progress report replaces no failure, either: a job over its time limit fails before
      its process is killed. Celery reads the state and then writes; a worker that was frozen in between would overwrite
      the result of another worker. Here, one script does both.
    - All transient errors are retried, including those of a Redis that is full or rejects writes.
    - A success is stored compressed, because it stays beside hundreds of thousands of others.
    - An invalid stored state counts as absent and is replaced by the next result. Celery would raise in every process
      that reads the state, or retry forever.
    - A stored error is read as one of our own types or as a new type. Celery would look its type up in all loaded
      modules, and call it with the stored arguments; hundreds of types then give errors that cannot be shown.

    Workers and the orchestrator read states only through `decode_result`.

    Attributes:
        stored: Whether the last state was stored; a stored success keeps others away.
    """

    stored = False

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do nothing. Celery would subscribe to the task's channel."""

    def get(self, key: Any) -> bytes | None:
        """Return a stored state, within the bounds of `worker.redis.limits`."""
        return read(self.client, key, limits.RESULT)

    def mget(self, keys: Any) -> list[bytes | None]:
        """Return stored states, within the same bounds."""
        return list(read_each(self.client, keys, limits.RESULT))

    def store_result(
        self, task_id: Any, result: Any, state: Any, traceback: Any = None, request: Any = None, **options: Any
    ) -> Any:
        """Store a state with only the end of its traceback."""
        end = traceback[-limits.ERROR_TEXT :] if traceback else None
        return super().store_result(task_id, result, state, end, request, **options)

    def prepare_exception(self, exc: Exception, serializer: Any = None) -> Any:
        """Return an error as it is stored, with a message that fits, and that says what the limit of a job was."""
        if isinstance(exc, TimeLimitExceeded):
            exc = TimeLimitExceeded(f"the job took longer than {exc.args[0]:g} s")
        prepared = super().prepare_exception(exc, serializer)
        if len(self.encode(prepared)) > limits.ERROR_TEXT:
            return prepared | {"exc_message": [str(exc)[: limits.ERROR_TEXT]]}
        return prepared

    def decode_result(self, payload: Any) -> dict[str, Any]:
        """Return the stored state; `PENDING` if it is invalid."""
        return parse(payload, self.meta_from_decoded)

    def exception_to_python(self, exc: Any) -> Exception | None:
        """Return a stored error.

        Raises:
            ValueError: the value is not an error.
        """
        # Celery converts some errors twice.
        if not exc or isinstance(exc, Exception):
            return exc or None
        stored = _StoredError.model_validate(exc)
        words = stored.exc_message if isinstance(stored.exc_message, str) else ", ".join(map(str, stored.exc_message))
        kind: type[Exception] = _ERRORS.get(stored.exc_type) or type(stored.exc_type, (Exception,), {})
        return kind(words)

    def exception_safe_to_retry(self, exc: BaseException) -> bool:
        """Return whether the error is transient. Celery would retry a `KeyError`, but not an error of a full Redis."""
        return is_transient(exc)

    def on_backend_retryable_error(self, exc: BaseException) -> None:  # noqa: ARG002
        """Show that this process waits for Redis and does not hang. Celery calls this before each retry."""
        self.app.liveness.sign()

    def on_connection_error(self, *args: Any) -> Any:
        """Show the same before the retries that Celery makes itself when it stores a state."""
        self.app.liveness.sign()
        return super().on_connection_error(*args)

    def _store_result(
        self, task_id: Any, result: Any, state: Any, traceback: Any = None, request: Any = None, **_: Any
    ) -> Any:
        # Without Celery's look at the stored state: it is taken where it is replaced.
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        self._set_with_state(self.get_key_for_task(task_id), self.encode(meta | {"task_id": task_id}), state)
        return result

    def _set_with_state(self, key: Any, value: Any, state: str) -> Any:
        expires = self.failure_expires if state == states.FAILURE else self.expires
        value = value.encode()
        if state == states.SUCCESS and len(value) <= _LONGEST:
            packing = zlib.compressobj(zdict=_USUAL)
            value = packing.compress(value) + packing.flush()
        final = {states.SUCCESS} if state in states.READY_STATES else states.READY_STATES
        self.stored = self.ensure(self._store_unless, (final, key, value, math.ceil(expires or 0)))

    def _store_unless(self, final: Collection[str], key: Any, value: Any, expires: int) -> bool:
        seen, words = "", [f'"{each}"' for each in final]
        while not self._replace(keys=[key], args=[value, expires, seen, limits.RESULT, _COMPRESSED, *words]):
            stored = self.get(key) or b""
            # After a connection that was lost, it may be this one.
            if stored and parse(stored)["status"] in final:
                return bool(stored == value)
            seen = hashlib.sha1(stored, usedforsecurity=False).hexdigest()
        return True

    @cached_property
    def patient(self) -> WaitingRedis:
        """The same client, with commands that wait for Redis; their process shows that it does not hang."""
        return WaitingRedis(self.client, Patient(on_retry=self.app.liveness.sign))

    @cached_property
    def _replace(self) -> Script:
        client: redis.Redis = self.client
        return client.register_script(_REPLACE)


def parse(payload: Any, finish: Callable[[Any], Any] = lambda meta: meta) -> dict[str, Any]:
    """Return a stored state as parsed JSON; `PENDING` if it is invalid. Only this function decides what is valid."""
    try:
        raw = payload.encode() if isinstance(payload, str) else payload
        if raw.startswith(_COMPRESSED):
            unpacking = zlib.decompressobj(zdict=_USUAL)
            raw = unpacking.decompress(raw, _LONGEST)
            if not unpacking.eof:
                raise ValueError("it is cut off or too long")
        if json_values(raw) > limits.RESULT_VALUES:
            raise ValueError("it has too many values")
        meta = json.loads(raw)  # type: ignore[no-untyped-call]
        if isinstance(meta, dict) and isinstance(meta["status"], str) and "result" in meta:
            return dict(finish(meta))
    except Exception as error:
        # Its words alone: a handler that keeps records would keep the state.
        logger.warning("A stored task state is invalid: %s", repr(error))
    return {"status": states.PENDING, "result": None}
