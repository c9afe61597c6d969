"""Removes the artifacts of jobs from Redis once a sweep folder has them, or has decided against them.

An artifact stays while another unfinished sweep has its job. Of the others, the last ones stay for later sweeps, up to
`Settings.artifact_bytes`.
"""

from __future__ import annotations

from itertools import accumulate

from orchestrator.cluster.cluster import Cluster
from worker.job import Result
from worker.records.store import artifact, key
from worker.redis import limits
from worker.redis.bounded import read_lowest

#: Bytes of artifacts that are released together.
SOME_BYTES = 2**24
#: Bytes that Redis needs for an artifact beside its content.
_OVERHEAD = 512
#: The artifacts that stay, by how many bytes had been released before them.
_RELEASED = key("released", "")[:-1]
_BYTES = key("released", "bytes")


class Artifacts:
    """The artifacts of one sweep in Redis.

    Args:
        cluster: The cluster.
        sweep: The sweep's name.
    """

    def __init__(self, cluster: Cluster, sweep: str) -> None:
        self._cluster = cluster
        self._sweep = sweep
        #: The artifacts to release, with their sizes.
        self._waiting: dict[str, int] = {}
        self._bytes = 0

    def add(self, job_key: str, result: Result) -> None:
        """Release an artifact that this sweep no longer needs in Redis, now or with later ones."""
        size = result.weights_bytes + _OVERHEAD
        self._waiting[artifact(job_key, result.weights_sha256)] = size
        self._bytes += size
        if self._bytes > SOME_BYTES:
            self.release()

    def release(self) -> None:
        """Release all, and remove those that nobody waits for and that exceed what stays."""
        waiting, size = self._waiting, self._bytes
        self._waiting, self._bytes = {}, 0
        store = self._cluster.store
        if self._cluster.embedded or not waiting:
            # An embedded cluster ends with this command.
            store.drop("weights", waiting)
            return
        released = int(store.client.incrby(_BYTES, size))
        before = accumulate(waiting.values(), initial=released - size)
        store.client.zadd(_RELEASED, dict(zip(waiting, before, strict=False)))
        for name in (_RELEASED, _BYTES):
            store.client.expire(name, store.expires)
        job_of: dict[str, str] = {}
        highest = released - self._cluster.app.settings.artifact_bytes
        while oldest := read_lowest(store.client, _RELEASED, limits.ARTIFACT, highest):
            names = (name.decode(errors="replace") for name in oldest)
            job_of.update((name, name.partition(".")[0]) for name in names)
            # If another session removes some meanwhile, others are forgotten here: they expire.
            store.client.zremrangebyrank(_RELEASED, 0, len(oldest) - 1)
        # A sweep that waits for a job releases its artifact, too.
        wanted = self._cluster.registry.wanted_by_others(self._sweep, job_of.values()) if job_of else {}
        store.drop("weights", (name for name, job in job_of.items() if job not in wanted))
