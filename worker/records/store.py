"""The keys of Seedsweep and Celery in Redis, and the store of weights, evidence and small records.

| key                             | type   | content                   | written by            | goes away             |
|---------------------------------|--------|---------------------------|-----------------------|-----------------------|
| seedsweep                       | list   | queued messages (Celery)  | orchestrator, worker  | as workers take them  |
| seedsweep:unacked               | hash   | messages held by workers  | worker (kombu)        | as jobs end           |
| seedsweep:unacked_index         | zset   | when each was renewed     | worker (lease)        | as jobs end           |
| seedsweep:unacked_mutex         | string | lock of the search for    | worker (kombu)        | after the search      |
|                                 |        | messages without a lease  |                       |                       |
| celery-task-meta-<task id>      | string | state, result (Celery)    | worker, orchestrator  | `result_expires`      |
| seedsweep:weights:<job key>     | string | artifact of a trainer     | worker, before result | when a sweep has its  |
|   .<first digits of its SHA-256>|        |                           |                       | row, `result_expires` |
| seedsweep:finished:<job key>    | string | hash of the weights that  | worker, with weights  | `result_expires`      |
|                                 |        | finished first            |                       |                       |
| seedsweep:mismatch:<job key>    | list   | JSON, hashes that differ  | worker, before result | `result_expires`      |
| seedsweep:checkpoint:<task id>  | string | `records.checkpoints`     | worker, at epoch ends | with the job          |
|                                 |        |                           | orchestrator, at first|                       |
| seedsweep:attempts:<task id>    | hash   | JSON, one per attempt;    | worker, at start, end | `result_expires` after|
|                                 |        | not of the one that made  |                       | the job's end         |
|                                 |        | the stored result         |                       |                       |
| seedsweep:refusals:<task id>    | string | since when no worker has  | worker                | see below             |
|                                 |        | its trainer or data set   |                       |                       |
| seedsweep:log:<task id>         | string | end of a failed job's log | worker, before result | when a sweep has its  |
|                                 |        |                           |                       | row, `result_expires` |
| seedsweep:cancelled:<task id>   | string | the reason                | orchestrator          | see below             |
| seedsweep:sweep:<name>          | hash   | manifest, marks, times    | orchestrator          | `result_expires`      |
| seedsweep:sweeps                | set    | names of sweeps           | orchestrator          | `result_expires`      |
| seedsweep:released              | zset   | artifacts that no sweep   | orchestrator          | `result_expires`      |
|                                 |        | waits for, by `:bytes`    |                       |                       |
| seedsweep:released:bytes        | string | bytes released so far     | orchestrator          | `result_expires`      |
| seedsweep:withdrawn:<random>    | set    | hashes of messages that   | orchestrator          | after the withdrawal, |
|                                 |        | were withdrawn            |                       | or a day              |
| seedsweep:workers               | hash   | JSON, `records.presence`  | worker, at each       | 10 leases after the   |
|                                 |        |                           | heartbeat             | last worker           |

A task id is the job's key, or `<job key>.<label>` for a verification task (`job.task_id`).
Results, weights and evidence expire after the same time; no key is kept forever. The records of a task that has not
ended (checkpoint, attempts, refusals, cancellation) are kept for `OPEN_SECONDS` or `result_expires`, whichever is
longer, after a worker last held the task: they decide how the task goes on.
"""

import contextlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeVar

import redis
from pydantic import BaseModel, ValidationError
from redis.client import Pipeline

from nn.errors import WeightsError
from nn.files import digest, json_values
from worker.errors import WeightsMissingError
from worker.job import Mismatch
from worker.redis import limits
from worker.redis.bounded import chunks, read, read_lists
from worker.redis.clock import ServerClock

M = TypeVar("M", bound=BaseModel)

#: Least seconds for which the records of a task that has not ended are kept. Workers renew them.
OPEN_SECONDS = 7 * 86_400
_OPEN_KINDS = ("checkpoint", "attempts", "refusals", "cancelled")


def key(kind: str, name: str) -> str:
    """Return the Redis key of a record of this kind."""
    return f"seedsweep:{kind}:{name}"


def artifact(job_key: str, sha256: str) -> str:
    """Return the name of an artifact in Redis.

    Jobs whose artifacts have the same bytes store them separately: one may be removed while another is needed.
    """
    return f"{job_key}.{sha256[:16]}"


class Store:
    """Weights, evidence and small records in Redis.

    Args:
        client: A client of the result backend's Redis. Its policy decides which errors are retried
            (`worker.redis.waiting`).
        expires: Seconds for which results, weights and evidence are kept.

    Attributes:
        open_expires: Seconds for which the records of a task that has not ended are kept.
    """

    def __init__(self, client: redis.Redis, *, expires: int) -> None:
        self.client = client
        self.expires = expires
        self.open_expires = max(expires, OPEN_SECONDS)

    def put_weights(
        self, blob: bytes, job_key: str, sha256: str, task_id: str, worker: str, environment: str | None = None
    ) -> bool:
        """Store the weights of a finished attempt, unless it verifies the job: then only their hash matters.

        The hash is compared with that of the job's first attempt that finished. Attempts of a trainer that is not exact
        are compared within one environment (`worker.trainers.environment`). Only an attempt at the job's own task can
        become the first. A mismatch is recorded (see `mismatches`).

        Returns:
            Whether the weights are equal, or this is the first attempt that finished.
        """
        name = _finished(job_key, environment)
        if task_id == job_key:
            with self.client.pipeline() as pipeline:
                # If two attempts finish at the same time, only one stores its hash, and the other one reads it.
                pipeline.set(name, bytes.fromhex(sha256), ex=self.expires, nx=True)
                pipeline.set(key("weights", artifact(job_key, sha256)), blob, ex=self.expires)
                if pipeline.execute()[0]:
                    return True
        first = read(self.client, name, limits.SHORT)
        first_sha256 = sha256 if first is None else first.hex()
        if first_sha256 == sha256:
            return True
        found = Mismatch(first=first_sha256, second=sha256, run=task_id, worker=worker)
        with self.client.pipeline() as pipeline:
            pipeline.rpush(key("mismatch", job_key), found.model_dump_json())
            pipeline.expire(key("mismatch", job_key), self.expires)
            pipeline.execute()
        return False

    def weights(self, job_key: str, sha256: str, size: int) -> bytes:
        """Return a job's weights by their hash; at most `size` bytes are read.

        Raises:
            WeightsMissingError: the weights are not in the store.
            WeightsError: they do not match their hash and size.
        """
        blob = read(self.client, key("weights", artifact(job_key, sha256)), size, usual=size)
        if blob is None:
            raise WeightsMissingError(f"the weights {sha256} are not in the store; train the job again to get them")
        if len(blob) != size or digest(blob) != sha256:
            raise WeightsError(f"the stored weights {sha256} are damaged: they have another hash or size")
        return blob

    def drop(self, kind: str, names: Iterable[str]) -> None:
        """Remove the records of a kind: `weights` by artifact, the others by task, such as those that `cancel` left."""
        for chunk in chunks(key(kind, each) for each in names):
            self.client.unlink(*chunk)

    def has_finished(self, job_key: str, environment: str | None = None) -> bool:
        """Return whether the first finished attempt is on record: else it expired, or was lost with what came after."""
        return read(self.client, _finished(job_key, environment), limits.SHORT) is not None

    def mismatches(self, keys: Collection[str]) -> Iterator[tuple[str, list[Mismatch]]]:
        """Yield the mismatches that `put_weights` recorded, by job key. Jobs without a mismatch are absent."""
        names = (key("mismatch", job_key) for job_key in keys)
        stored = read_lists(self.client, names, limits.MISMATCH, limits.MISMATCHES)
        for job_key, items in zip(keys, stored, strict=True):
            # Without repetitions: a command whose answer was lost is sent again.
            if found := dict.fromkeys(filter(None, (read_record(Mismatch, item) for item in items))):
                yield job_key, list(found)

    def put_log(self, task_id: str, end: bytes) -> None:
        """Store the end of a failed task's log, at most `limits.LOG` bytes, unless Redis refuses it."""
        # The error of the job matters more.
        with contextlib.suppress(redis.RedisError):
            self.client.set(key("log", task_id), end, ex=self.expires)

    def log(self, task_id: str) -> bytes:
        """Return the end of a failed task's log; `b""` if there is none, or it is invalid."""
        return read(self.client, key("log", task_id), limits.LOG) or b""

    def cancel(self, task_ids: Iterable[str], reason: str, expires: int | None = None) -> None:
        """End these tasks as REVOKED: queued ones when a worker takes them, running ones at the next epoch.

        The reason is stored as their result. The cancellation holds for `expires` seconds; by default, as long as the
        tasks are open.
        """
        names = (key("cancelled", task_id) for task_id in task_ids)
        self._pipelined(names, lambda pipeline, name: pipeline.set(name, reason, ex=expires or self.open_expires))

    def cancelled(self, task_id: str) -> str | None:
        """Return why the task is cancelled, or None."""
        return read_reason(read(self.client, key("cancelled", task_id), limits.REASON))

    def is_known(self, task_id: str) -> bool:
        """Return whether there is any record of the task, which then may be cancelled, or have been begun before."""
        return bool(self.client.exists(*(key(kind, task_id) for kind in _OPEN_KINDS)))

    def refused_for(self, task_id: str) -> float:
        """Record that no worker has what the task needs; return the seconds since this was first recorded."""
        # By Redis's clock, because another worker may have been the first.
        now = ServerClock().measure(self.client)
        name = key("refusals", task_id)
        self.client.set(name, now, ex=self.open_expires, nx=True)
        try:
            seconds = now - float(read(self.client, name, limits.SHORT) or b"")
        except ValueError:
            return 0.0
        return max(0.0, seconds) if math.isfinite(seconds) else 0.0

    def keep_open(self, task_ids: Iterable[str]) -> None:
        """Keep the records of tasks that a worker holds from expiring, however long the tasks take."""
        names = (key(kind, task_id) for task_id in task_ids for kind in _OPEN_KINDS)
        self._pipelined(names, lambda pipeline, name: pipeline.expire(name, self.open_expires))

    def forget(self, task_ids: Collection[str]) -> None:
        """Remove every record of these tasks except their results, so that they can be submitted afresh."""
        for kind in (*_OPEN_KINDS, "log"):
            self.drop(kind, task_ids)

    def _pipelined(self, names: Iterable[str], command: Callable[[Pipeline, str], object]) -> None:
        for chunk in chunks(names):
            with self.client.pipeline(transaction=False) as pipeline:
                for name in chunk:
                    command(pipeline, name)
                pipeline.execute()


def _finished(job_key: str, environment: str | None) -> str:
    name = key("finished", job_key)
    return name if environment is None else f"{name}.{digest(environment.encode())[:16]}"


def read_reason(stored: bytes | None) -> str | None:
    """Return a stored reason of a cancellation; None if it is absent or invalid."""
    return stored.decode(errors="replace") if stored else None


def read_record(kind: type[M], stored: bytes, most: int = 100) -> M | None:
    """Return a stored record of at most `most` values; None if it is invalid: others wrote it, or another version."""
    with contextlib.suppress(ValidationError):
        # Each field that is missing costs a copy of all values.
        if json_values(stored) <= most:
            return kind.model_validate_json(stored)
    return None
