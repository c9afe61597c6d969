"""The keys of Seedsweep and Celery in Redis, and the store of weights, evidence and small records.

| key                             | type   | content                   | written by            | goes away             |
|---------------------------------|--------|---------------------------|-----------------------|-----------------------|
| seedsweep                       | list   | queued messages (Celery)  | orchestrator, worker  | as workers take them  |
| seedsweep:unacked               | hash   | messages held by workers  | worker (kombu)        | as jobs end           |
| seedsweep:unacked_index         | zset   | when each was renewed     | worker (lease)        | as jobs end           |
| seedsweep:unacked_mutex         | string | lock of the search for    | worker (kombu)        | after the search      |
|                                 |        | messages without a lease  |                       |                       |
| celery-task-meta-<task id>      | string | state, result (Celery)    | worker, orchestrator  | `result_expires`      |
| seedsweep:weights:<sha256>      | string | safetensors               | worker, before result | `result_expires`      |
| seedsweep:finished:<job key>    | string | hash of the weights that  | worker, before result | `result_expires`      |
|                                 |        | finished first            |                       |                       |
| seedsweep:mismatch:<job key>    | list   | JSON, hashes that differ  | worker, before result | `result_expires`      |
| seedsweep:checkpoint:<task id>  | string | `records.checkpoints`     | worker, at epoch ends | with the job          |
| seedsweep:attempts:<task id>    | hash   | JSON, one per attempt     | worker, at start, end | `result_expires`      |
| seedsweep:refusals:<task id>    | string | since when no worker has  | worker                | `result_expires`      |
|                                 |        | its data set              |                       |                       |
| seedsweep:cancelled:<task id>   | string | the reason                | orchestrator          | `result_expires`      |
| seedsweep:sweep:<name>          | hash   | manifest, marks, times    | orchestrator          | `result_expires`      |
| seedsweep:sweeps                | set    | names of sweeps           | orchestrator          | `result_expires`      |
| seedsweep:workers               | hash   | JSON, `records.presence`  | worker, at each       | 10 leases after the   |
|                                 |        |                           | heartbeat             | last worker           |

A task id is the job's key, or `<job key>.<label>` for a verification task (`job.task_id`).
Results, weights and evidence expire after the same time; no key is kept forever.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import cast

import redis
from pydantic import ValidationError

from nn import weights
from nn.errors import WeightsError
from worker.job import Mismatch

logger = logging.getLogger(__name__)

#: The number of keys that one command removes: few enough not to block other clients.
CHUNK = 512


def key(kind: str, name: str) -> str:
    """Return the Redis key of a record of this kind."""
    return f"seedsweep:{kind}:{name}"


class Store:
    """Weights, evidence and small records in Redis.

    Args:
        client: A client of the result backend's Redis. Its policy decides which errors are retried
            (`worker.redis.waiting`).
        expires: Seconds for which records are kept.
    """

    def __init__(self, client: redis.Redis, *, expires: int) -> None:
        self.client = client
        self.expires = expires

    def put_weights(self, blob: bytes) -> str:
        """Store weights as safetensors and return their SHA-256."""
        sha256 = weights.digest(blob)
        self.client.set(key("weights", sha256), blob, ex=self.expires)
        return sha256

    def weights(self, sha256: str) -> bytes:
        """Return weights as safetensors.

        Raises:
            WeightsError: the weights are not in the store, or do not match their hash.
        """
        blob = self.client.get(key("weights", sha256))
        if blob is None:
            raise WeightsError(f"the weights {sha256} are not in the store; train the job again to get the same ones")
        if weights.digest(cast("bytes", blob)) != sha256:
            raise WeightsError(f"the stored weights {sha256} are damaged: they have another hash")
        return cast("bytes", blob)

    def compare_with_first(self, job_key: str, sha256: str, task_id: str, worker: str) -> bool:
        """Compare the weights of a finished attempt with those of the job's first attempt that finished.

        Only an attempt at the job's own task can become the first. A mismatch is recorded (see `mismatches`).

        Returns:
            Whether the weights are equal, or this is the first attempt that finished.
        """
        name = key("finished", job_key)
        if task_id == job_key:
            # Atomic, so that of two attempts which finish at the same time, one reads the hash of the other.
            first = self.client.set(name, sha256, ex=self.expires, nx=True, get=True)
        else:
            first = self.client.get(name)
        first_sha256 = sha256 if first is None else cast("bytes", first).decode(errors="replace")
        if first_sha256 == sha256:
            return True
        found = Mismatch(first=first_sha256, second=sha256, run=task_id, worker=worker)
        self._push(key("mismatch", job_key), found.model_dump_json())
        return False

    def mismatches(self, job_keys: Iterable[str]) -> dict[str, list[Mismatch]]:
        """Return the mismatches that `compare_with_first` recorded, by job key. Jobs without a mismatch are absent."""
        keys = list(job_keys)
        with self.client.pipeline(transaction=False) as pipeline:
            for job_key in keys:
                pipeline.lrange(key("mismatch", job_key), 0, -1)
            found = zip(keys, pipeline.execute(), strict=True)
        return {job_key: read for job_key, items in found if (read := list(_read_mismatches(items)))}

    def cancel(self, task_ids: Iterable[str], reason: str, expires: int | None = None) -> None:
        """End these tasks as REVOKED: queued ones when a worker takes them, running ones at the next epoch.

        Args:
            task_ids: The tasks.
            reason: The reason, stored as their result.
            expires: Seconds for which the cancellation is in force; None for as long as results are kept.
        """
        seconds = min(self.expires, expires or self.expires)
        with self.client.pipeline(transaction=False) as pipeline:
            for task_id in task_ids:
                pipeline.set(key("cancelled", task_id), reason, ex=seconds)
            pipeline.execute()

    def cancelled(self, task_id: str) -> str | None:
        """Return why the task is cancelled, or None."""
        reason = self.client.get(key("cancelled", task_id))
        return None if reason is None else cast("bytes", reason).decode(errors="replace")

    def revive(self, task_ids: Iterable[str]) -> None:
        """Undo `cancel` for tasks that have not ended yet."""
        self._unlink([key("cancelled", task_id) for task_id in task_ids])

    def refused_for(self, task_id: str) -> float:
        """Record that no worker has the task's data set; return the seconds since this was first recorded."""
        now = time.time()
        since = self.client.set(key("refusals", task_id), now, ex=self.expires, nx=True, get=True)
        try:
            return max(0.0, now - float(cast("bytes", since or b"")))
        except ValueError:
            return 0.0

    def forget_refusals(self, task_id: str) -> None:
        """Record that a worker has the task's data set again."""
        self._unlink([key("refusals", task_id)])

    def forget(self, task_ids: Iterable[str]) -> None:
        """Remove every record of these tasks except their results, so that they can be submitted afresh."""
        kinds = ("checkpoint", "attempts", "refusals", "cancelled")
        self._unlink([key(kind, task_id) for task_id in task_ids for kind in kinds])

    def drop_checkpoints(self, task_ids: Iterable[str]) -> None:
        """Remove the checkpoints of tasks that have ended."""
        self._unlink([key("checkpoint", task_id) for task_id in task_ids])

    def _unlink(self, names: list[str]) -> None:
        for start in range(0, len(names), CHUNK):
            self.client.unlink(*names[start : start + CHUNK])

    def _push(self, name: str, item: str) -> None:
        with self.client.pipeline() as pipeline:
            pipeline.rpush(name, item)
            pipeline.expire(name, self.expires)
            pipeline.execute()


def _read_mismatches(items: Iterable[bytes]) -> Iterator[Mismatch]:
    for item in items:
        try:
            yield Mismatch.model_validate_json(item)
        except ValidationError:
            logger.warning("A stored mismatch is invalid: %r", item[:200])
