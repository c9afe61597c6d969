"""The sweeps of one cluster, kept in its Redis so that `watch` and `cancel` find them from any machine.

A sweep is a hash `seedsweep:sweep:<name>` with the fields

- `manifest`: the content of `sweep.json` in the sweep folder;
- `cancelled`: the reason of its cancellation; absent otherwise;
- `finished`: when a session last had a row for every job; absent until then;
- `seen`: when a session last worked on the sweep.

Times are seconds since the epoch. The set `seedsweep:sweeps` holds the names. Both expire with the results.
"""

import hashlib
import time
from collections.abc import Collection, Iterator

from orchestrator.errors import SweepExistsError, TrainerMissingError
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.naming import is_name
from worker.errors import TrainerUnusableError
from worker.records.store import Store, key, read_reason
from worker.redis import limits
from worker.redis.bounded import read_fields, read_members

_NAMES = "seedsweep:sweeps"

#: Replaces the manifest that was read with a later one, unless another session has replaced it meanwhile; returns
#: whether the later one is stored now. Safe to repeat if an answer was lost.
#: KEYS[1]: the sweep. ARGV[1]: the SHA-1 of the manifest that was read. ARGV[2]: the later one.
_REPLACE = """
local found = redis.call('HGET', KEYS[1], 'manifest')
if found and found ~= ARGV[2] then
    if redis.sha1hex(found) ~= ARGV[1] then return 0 end
    redis.call('HSET', KEYS[1], 'manifest', ARGV[2])
end
return 1
"""


class Registry:
    """The registered sweeps of one cluster."""

    def __init__(self, store: Store) -> None:
        self._client = store.client
        self._expires = store.expires

    def manifest(self, name: str) -> Manifest | None:
        """Return a sweep's manifest, or None if no sweep of this name is registered.

        Raises:
            SweepExistsError: this version cannot read the manifest, or it names another sweep.
            TrainerMissingError: the sweep's trainer is not installed here.
        """
        (stored,) = self._fields(name, limits.MANIFEST, "manifest")
        return None if stored is None else self._read(name, stored)

    @staticmethod
    def _read(name: str, stored: bytes) -> Manifest:
        try:
            manifest = Manifest.read(stored)
        except ValueError:
            raise SweepExistsError(
                f"The cluster's sweep {name} was registered by another version of Seedsweep, or is damaged: "
                "choose another --name, or go on without --broker and CELERY_BROKER_URL"
            ) from None
        if manifest.name != name:
            raise SweepExistsError(
                f"The cluster's sweep {name} has the manifest of another sweep, {manifest.name}: choose another --name"
            )
        return manifest

    def longer(self, manifest: Manifest) -> Manifest:
        """Return the manifest, with what another session has added to the registered sweep; see `register`."""
        return self._longer(manifest, self.manifest(manifest.name))

    @staticmethod
    def _longer(manifest: Manifest, known: Manifest | None) -> Manifest:
        """Return the later of a sweep's two manifests; ours if both have as much."""
        if known is None or known.extent == manifest.extent or manifest.goes_on(known):
            return manifest
        if not known.goes_on(manifest):
            if known.begins_as(manifest):
                raise SweepExistsError(
                    f"Another session has extended the sweep {manifest.name} on the cluster in another way: follow it "
                    "by watch from another --output, or choose another --name"
                )
            raise SweepExistsError(
                f"A sweep named {manifest.name} with other jobs is on the cluster: choose another --name for a new "
                "one, and another --output to follow that one"
            )
        return manifest.grown_as(known)

    def register(self, manifest: Manifest) -> Manifest:
        """Register a sweep, unless it is registered already.

        Returns:
            The manifest, with what another session has added or withdrawn meanwhile.

        Raises:
            SweepExistsError: the name belongs to a sweep of other jobs, or another session has extended this one in
                another way.
        """
        name = key("sweep", manifest.name)
        with self._client.pipeline() as pipeline:
            # Atomic, so that only one of two sweeps that begin at the same time gets the name.
            pipeline.hsetnx(name, "manifest", manifest.model_dump_json())
            pipeline.expire(name, self._expires)
            pipeline.sadd(_NAMES, manifest.name)
            pipeline.expire(_NAMES, self._expires)
            pipeline.execute()
        while True:
            (stored,) = self._fields(manifest.name, limits.MANIFEST, "manifest")
            if stored is None:
                # It expired, or Redis lost it.
                return manifest
            known = self._read(manifest.name, stored)
            longer = self._longer(manifest, known)
            before = hashlib.sha1(stored, usedforsecurity=False).hexdigest()
            if longer.extent == known.extent or self._client.eval(_REPLACE, 1, name, before, longer.model_dump_json()):
                return longer

    def reopen(self, manifest: Manifest) -> Manifest:
        """Register a sweep that begins, or is resumed after it was finished or cancelled; see `register`."""
        longer = self.register(manifest)
        self._client.hdel(key("sweep", manifest.name), "cancelled", "finished")
        return longer

    def keep(self, manifest: Manifest) -> None:
        """Keep a sweep from expiring, and register it again if Redis lost it.

        This is a write, so it also detects a full Redis.
        """
        name = key("sweep", manifest.name)
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.hset(name, "seen", str(time.time()))
            pipeline.expire(name, self._expires)
            pipeline.expire(_NAMES, self._expires)
            pipeline.hexists(name, "manifest")
            *_, known = pipeline.execute()
        if not known:
            self.register(manifest)

    def cancel(self, manifest: Manifest, reason: str) -> None:
        """Mark a sweep as cancelled."""
        self.register(manifest)
        self._client.hset(key("sweep", manifest.name), "cancelled", reason)

    def cancelled(self, name: str) -> str | None:
        """Return why a sweep is cancelled, or None."""
        return read_reason(self._fields(name, limits.REASON, "cancelled")[0])

    def finish(self, name: str) -> None:
        """Mark a sweep as finished: every job has its row."""
        with self._client.pipeline() as pipeline:
            pipeline.hset(key("sweep", name), "finished", str(time.time()))
            # If Redis lost the sweep, the key is new and has no time to live yet.
            pipeline.expire(key("sweep", name), self._expires)
            pipeline.execute()

    def finished(self, name: str) -> bool:
        """Return whether every job of a sweep has its row."""
        return bool(self._client.hexists(key("sweep", name), "finished"))

    def wanted_by_others(self, name: str, keys: Collection[str]) -> dict[str, str]:
        """Return which of these jobs other sweeps still wait for, each with the name of such a sweep."""
        wanted: dict[str, str] = {}
        ours = frozenset(keys)
        for other in self.open(but=name):
            wanted.update(dict.fromkeys(ours.intersection(other.jobs), other.name))
        return wanted

    def open(self, but: str = "") -> Iterator[Manifest]:
        """Yield the sweeps that are neither finished nor cancelled, and that this version can read, sorted by name."""
        stored = read_members(self._client, _NAMES, limits.NAME, limits.SWEEPS)
        names = {member.decode(errors="replace") for member in stored}
        for other in sorted(filter(is_name, names - {but})):
            if any(self._fields(other, limits.REASON, "cancelled", "finished")):
                continue
            try:
                manifest = self.manifest(other)
            except (SweepExistsError, TrainerMissingError, TrainerUnusableError):
                # Ignoring it is safe: its session submits again any job that ended for another sweep.
                continue
            if manifest is None:
                # The sweep has expired.
                self._client.srem(_NAMES, other)
            else:
                yield manifest

    def _fields(self, name: str, limit: int, *fields: str) -> list[bytes | None]:
        return read_fields(self._client, key("sweep", name), fields, limit)
