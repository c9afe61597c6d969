"""What Seedsweep keeps in Redis beside Celery's own keys, and how long.

| key                            | type   | content                   | written by            | goes away              |
|--------------------------------|--------|---------------------------|-----------------------|------------------------|
| seedsweep                      | list   | queued messages (Celery)  | orchestrator, worker  | as workers take them   |
| seedsweep:unacked              | hash   | messages that are held    | worker (kombu)        | as jobs end            |
| seedsweep:unacked_index        | zset   | when each was last held   | worker (lease)        | as jobs end            |
| seedsweep:unacked_mutex        | string | who looks for ended ones  | worker (kombu)        | when it has looked     |
| celery-task-meta-<run>         | string | state, result (Celery)    | worker, orchestrator  | `result_expires`       |
| seedsweep:weights:<sha256>     | string | safetensors               | worker, before result | `result_expires`       |
| seedsweep:finished:<job key>   | string | first run's weights' hash | worker, before result | `result_expires`       |
| seedsweep:mismatch:<job key>   | list   | JSON, hashes that differ  | worker, before result | `result_expires`       |
| seedsweep:checkpoint:<run>     | string | `records.checkpoints`     | worker, at epoch ends | with the job           |
| seedsweep:attempts:<run>       | hash   | JSON, one an attempt      | worker, at start, end | `result_expires`       |
| seedsweep:refusals:<run>       | string | since when it has no data | worker                | `result_expires`       |
| seedsweep:cancelled:<run>      | string | why                       | orchestrator          | `result_expires`       |
| seedsweep:sweep:<name>         | hash   | manifest, marks, times    | orchestrator          | `result_expires`       |
| seedsweep:sweeps               | set    | names of sweeps           | orchestrator          | `result_expires`       |
| seedsweep:workers              | hash   | JSON, `records.presence`  | worker, at every beat | 10 leases after all    |

A run's id is its Celery task id: the job's key, or `<job key>.<label>` for a run that checks a result (`job.task_id`).
Result, weights and evidence expire together; nothing is kept for ever.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

import redis
from pydantic import ValidationError
from redis.backoff import ExponentialWithJitterBackoff

from nn import weights
from nn.errors import WeightsError
from worker.job import Mismatch
from worker.redis.connection import is_transient

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: Keys that one command removes: few enough that Redis serves others in between.
CHUNK = 512


def key(kind: str, name: str) -> str:
    """Return the Redis key of something of this kind."""
    return f"seedsweep:{kind}:{name}"


class Store:
    """Weights, evidence and small records in Redis.

    Args:
        client: A connection to the Redis that holds the results (`app.backend.client`).
        expires: Seconds for which things are kept.
        patient: Whether to wait for as long as Redis is away or takes nothing (a worker, which has nothing else to do),
            or to raise at once (the orchestrator, which tells its user).
    """

    def __init__(self, client: redis.Redis, *, expires: int, patient: bool = False) -> None:
        self.client = client
        self.expires = expires
        self._patient = patient
        self._backoff = ExponentialWithJitterBackoff(cap=2.0, base=0.1)

    def call(self, command: Callable[[], T]) -> T:
        """Run a command, again and again if this store is patient. It may then run twice: make it harmless."""
        for failures in itertools.count(1):
            try:
                return command()
            except (redis.RedisError, OSError) as error:
                if not self._patient or not is_transient(error):
                    raise
                logger.warning("Redis does not take a command and is asked again: %s", error)
                time.sleep(self._backoff.compute(failures))
        raise AssertionError("endless")

    def put_weights(self, blob: bytes) -> str:
        """Store weights as safetensors and return their SHA-256."""
        sha256 = weights.digest(blob)
        self.call(lambda: self.client.set(key("weights", sha256), blob, ex=self.expires))
        return sha256

    def weights(self, sha256: str) -> bytes:
        """Return weights as safetensors.

        Raises:
            WeightsError: they are not there (any more), or are not what their hash says.
        """
        blob = self.call(lambda: self.client.get(key("weights", sha256)))
        if blob is None:
            raise WeightsError(f"the weights {sha256} are not in the store; train the job again to get the same ones")
        if weights.digest(cast("bytes", blob)) != sha256:
            raise WeightsError(f"the stored weights {sha256} are damaged: their hash is another one")
        return cast("bytes", blob)

    def drop_weights(self, hashes: Iterable[str]) -> None:
        """Remove weights that are no longer wanted."""
        self._unlink([key("weights", sha256) for sha256 in hashes])

    def kept_weights(self, hashes: Iterable[str]) -> set[str]:
        """Return those of the hashes whose weights are in the store."""
        return self._existing("weights", hashes)

    def compare_with_first(self, job_key: str, sha256: str, task_id: str, worker: str) -> bool:
        """Compare a finished run's weights with those of the first run of the job that finished.

        Returns:
            Whether they are the same (or this run is the first). If not, the difference is on record: `mismatches`.
        """
        name = key("finished", job_key)
        # In one step, so that of two runs that finish at the same instant one finds the other's hash.
        first = self.call(lambda: self.client.set(name, sha256, ex=self.expires, nx=True, get=True))
        first_sha256 = sha256 if first is None else cast("bytes", first).decode(errors="replace")
        if first_sha256 == sha256:
            return True
        found = Mismatch(first=first_sha256, second=sha256, run=task_id, worker=worker)
        self._push(key("mismatch", job_key), found.model_dump_json())
        return False

    def compared(self, job_keys: Iterable[str]) -> set[str]:
        """Return those of the jobs of which a run has finished, with whose weights `compare_with_first` compares."""
        return self._existing("finished", job_keys)

    def forget_compared(self, job_keys: Iterable[str]) -> None:
        """Remove what `compare_with_first` knows of these jobs, as if no run of them had finished."""
        keys = list(job_keys)
        # One kind after the other: a role may have a right to each, and not to both at once.
        for kind in ("finished", "mismatch"):
            self._unlink([key(kind, job_key) for job_key in keys])

    def mismatches(self, job_keys: Iterable[str]) -> dict[str, list[Mismatch]]:
        """Return what `compare_with_first` found wrong with these jobs, by the job's key; nothing for the others."""
        keys = list(job_keys)

        def command() -> list[list[bytes]]:
            with self.client.pipeline(transaction=False) as pipeline:
                for job_key in keys:
                    pipeline.lrange(key("mismatch", job_key), 0, -1)
                return pipeline.execute()

        found = zip(keys, self.call(command), strict=True)
        return {job_key: read for job_key, items in found if (read := list(_read_mismatches(items)))}

    def cancel(self, task_ids: Iterable[str], reason: str, expires: int | None = None) -> None:
        """Let these runs end as REVOKED: waiting ones when a worker takes them, running ones at the next epoch.

        Args:
            task_ids: The tasks.
            reason: What is stored as their result.
            expires: Seconds for which this holds; None for as long as results are kept.
        """
        names = [key("cancelled", task_id) for task_id in task_ids]
        seconds = min(self.expires, expires or self.expires)

        def command() -> None:
            with self.client.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.set(name, reason, ex=seconds)
                pipeline.execute()

        self.call(command)

    def cancelled(self, task_id: str) -> str | None:
        """Return why the run is cancelled, or None."""
        reason = self.call(lambda: self.client.get(key("cancelled", task_id)))
        return None if reason is None else cast("bytes", reason).decode(errors="replace")

    def revive(self, task_ids: Iterable[str]) -> None:
        """Take back `cancel` for runs that have not ended by it."""
        self._unlink([key("cancelled", task_id) for task_id in task_ids])

    def refused_for(self, task_id: str) -> float:
        """Note that no worker has the run's data set; return for how many seconds that has been so."""
        now = time.time()
        since = self.call(lambda: self.client.set(key("refusals", task_id), now, ex=self.expires, nx=True, get=True))
        try:
            return max(0.0, now - float(cast("bytes", since or b"")))
        except ValueError:
            return 0.0

    def forget_refusals(self, task_id: str) -> None:
        """Note that a worker has the run's data set again."""
        self._unlink([key("refusals", task_id)])

    def forget(self, task_ids: Iterable[str]) -> None:
        """Remove what is known of these runs but for their results, so that they can be submitted afresh."""
        kinds = ("checkpoint", "attempts", "refusals", "cancelled")
        self._unlink([key(kind, task_id) for task_id in task_ids for kind in kinds])

    def drop_checkpoints(self, task_ids: Iterable[str]) -> None:
        """Remove the checkpoints of runs that have ended."""
        self._unlink([key("checkpoint", task_id) for task_id in task_ids])

    def _existing(self, kind: str, names: Iterable[str]) -> set[str]:
        wanted = list(names)

        def command() -> list[int]:
            with self.client.pipeline(transaction=False) as pipeline:
                for name in wanted:
                    pipeline.exists(key(kind, name))
                return pipeline.execute()

        return {name for name, found in zip(wanted, self.call(command), strict=True) if found}

    def _unlink(self, names: list[str]) -> None:
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            self.call(lambda chunk=chunk: self.client.unlink(*chunk))  # type: ignore[misc]

    def _push(self, name: str, item: str) -> None:
        def command() -> None:
            with self.client.pipeline() as pipeline:
                pipeline.rpush(name, item)
                pipeline.expire(name, self.expires)
                pipeline.execute()

        self.call(command)


def _read_mismatches(items: Iterable[bytes]) -> Iterator[Mismatch]:
    for item in items:
        try:
            yield Mismatch.model_validate_json(item)
        except ValidationError:
            logger.warning("What is stored as a mismatch is none: %r", item[:200])
