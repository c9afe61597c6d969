"""Checks what sweeps depend on, here and on the cluster, and names the cure of each problem."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nn.errors import InvalidInputError, SeedsweepError
from nn.files import real
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.connect import place_for
from orchestrator.cluster.patience import ANSWER_SECONDS, ERRORS
from orchestrator.commands.trainers import TrainerFacts, trainers
from orchestrator.sweeps.provenance import provenance
from orchestrator.text import counted, sized
from worker.records.presence import clocks_of, problem_of
from worker.redis.address import hide_password, redis_url
from worker.redis.clock import disagreement
from worker.redis.waiting import connect
from worker.settings import Settings, read_settings
from worker.text import one_line
from worker.trainers import registry

#: Free bytes of a disk below which it counts as nearly full: the weights of some 2,000 jobs.
LEAST_FREE = 10**9
#: The share of its `maxmemory` above which Redis counts as nearly full.
MOST_USED = 0.8


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    Attributes:
        what: What was checked.
        found: How it is.
        cure: What to do about it; None if all is well.
    """

    what: str
    found: str
    cure: str | None = None


def examine(output: Path, broker: str | None = None) -> Iterator[Finding]:
    """Yield what is found, check by check; a problem ends no other check.

    Args:
        output: The folder of the sweeps.
        broker: The address of a Redis server; None for that of the settings, if they name one.

    Raises:
        InvalidInputError: `broker` is not the address of a Redis server.
    """
    if broker is not None:
        redis_url(broker, "broker")
    made = provenance()
    packages = ", ".join(f"{name} {version}" for name, version in made.packages.items())
    commit = "" if made.git_commit is None else f", commit {made.git_commit[:12]}{' changed' if made.git_dirty else ''}"
    yield Finding("Python", f"{made.python} on {made.platform}; {packages}{commit}")
    settings: Settings | None = None
    cluster = None
    try:
        settings, origins = read_settings()
        yield Finding("settings", "; ".join(f"{name} from {where}" for name, where in origins.items()) or "defaults")
        place = place_for(broker)
        settings = place.settings
        cluster = place.reached().cluster
    except InvalidInputError as error:
        yield Finding("settings", "invalid", str(error))
    except SeedsweepError as error:
        yield Finding("server", str(error), "start it, or correct its address")
    found = trainers(None, {})
    if cluster is not None:
        try:
            for url in dict.fromkeys((cluster.app.broker_address, cluster.app.backend_address)):
                with connect(url, ANSWER_SECONDS) as client:
                    yield _server(hide_password(url), client.info())
            yield from _workers(cluster)
            found = trainers(cluster.impatient(), {})
        except ERRORS as error:
            yield Finding("server", one_line(str(error)), "see its log, and the rights of this user")
    elif settings is not None and settings.broker_url is None:
        yield Finding("server", "none: each sweep starts its own")
    yield from map(_trainer, found)
    folders = {"sweeps": output, "temporary files": Path(tempfile.gettempdir())}
    # Invalid settings name neither data nor a cache.
    if settings is not None:
        yield _data(settings, found)
        folders["cache"] = settings.cache_dir
    yield from _folders(folders)


def _server(address: str, info: Mapping[str, Any]) -> Finding:
    used, limit, policy = info["used_memory"], info["maxmemory"], info.get("maxmemory_policy", "an unknown policy")
    log = "append-only file" if info["aof_enabled"] else "no append-only file"
    memory = f"{sized(used)} of {sized(limit) if limit else 'no limit'}, {policy}"
    found = f"{info.get('server_name', 'redis')} {info['redis_version']} at {address}; {log}; {memory}"
    cures = {
        "set appendonly yes: a restart would lose jobs and results": not info["aof_enabled"],
        "see its log and its disk: it could not write its append-only file": info.get("aof_last_write_status") == "err",
        "set maxmemory-policy noeviction: it may evict results": bool(limit) and policy != "noeviction",
        "raise its maxmemory, or lower SEEDSWEEP_RESULT_EXPIRES": bool(limit) and used > MOST_USED * limit,
    }
    return Finding("server", found, "; ".join(cure for cure, needed in cures.items() if needed) or None)


def _workers(cluster: Cluster) -> Iterator[Finding]:
    lease, roster = cluster.app.settings.lease_seconds, cluster.impatient().roster
    workers = roster.all()
    now = roster.clock.now()
    jobs = counted(sum(len(each.running) for each in workers), "job")
    running = f"{counted(len(workers), 'worker')}, {jobs} in training"
    yield Finding("workers", running, None if workers else "start one: celery -A worker worker --concurrency auto")
    for worker in workers:
        if problem := problem_of(worker, now, patience=lease, idle=float("inf")):
            yield Finding("worker", f"{worker.name} {problem.sentence}", "see its log, and restart it")
    ahead = clocks_of(workers, roster.clock)
    cure = disagreement(ahead, lease)
    yield Finding("clocks", f"at most {max(map(abs, ahead.values())):.1f} s from that of Redis's host", cure)


def _trainer(facts: TrainerFacts) -> Finding:
    there = {version for _, versions, _ in facts.workers for version in versions}
    found = facts.problem or f"version {facts.version}"
    if facts.workers:
        found += f"; {counted(len(facts.workers), 'worker')} with version {' and '.join(map(str, sorted(there)))}"
    cure = None
    if facts.version is None and facts.name in registry.names():
        cure = "repair its package"
    elif facts.version is not None and there and facts.version not in there:
        cure = "install the same version here and on the workers"
    return Finding(f"trainer {facts.name}", found, cure)


def _data(settings: Settings, facts: Sequence[TrainerFacts]) -> Finding:
    workers = [worker for each in facts if each.name == settings.trainer for worker in each.workers]
    try:
        trainer = registry.trainer(settings.trainer, "SEEDSWEEP_TRAINER")
        source = registry.source(trainer, settings.data or trainer.data, "SEEDSWEEP_DATA")
        digest = trainer.digest(source, settings.cache_dir)
    except SeedsweepError as error:
        return Finding("data", f"{settings.data or 'the default'} of {settings.trainer}", str(error))
    lacking = workers and digest not in [dataset for _, _, dataset in workers]
    cure = f"start a worker with this data set: SEEDSWEEP_DATA={source}" if lacking else None
    return Finding("data", f"{source}, SHA-256 {digest[:12]}", cure)


def _folders(folders: dict[str, Path]) -> Iterator[Finding]:
    for what, path in folders.items():
        # Not `Path.exists`, which raises if a name is too long, or a folder may not be entered.
        existing = next(each for each in (real(path), *real(path).parents) if os.path.exists(each))  # noqa: PTH110
        free = shutil.disk_usage(existing).free
        found, cure = f"{free / 1e9:.0f} GB free", "free some space, or use another disk" if free < LEAST_FREE else None
        try:
            # It has no name. Not `os.access`, which root passes everywhere.
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            found = f"which cannot be written: {error.strerror or error}"
            cure = f"make {existing} writable, or name another folder"
        yield Finding(what, f"{path}, {found}", cure)
