"""`status`: the sweeps that run on this host and on a cluster, their jobs under way, and the workers."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from redis import RedisError

from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.connect import Place
from orchestrator.cluster.results import Finished, Running
from orchestrator.commands.watch import embedded
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import Sweeps
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from worker.records.presence import Presence, problem_of

#: Objects of figures by name, in the lists `sweeps`, `jobs` and `workers`.
Status = dict[str, list[dict[str, Any]]]


def status(output: Path, place: Place, name: str | None = None) -> Status:
    """Return the sweeps that run, their jobs under way, and all workers.

    The sweeps are those of an output folder that embedded clusters train, and those of a cluster. `seconds_left` is an
    estimate by the epochs so far; None before the first one, and while no job is under way.

    Args:
        output: The folder.
        place: May name a cluster.
        name: Only this sweep; None for all.

    Raises:
        BrokerUnreachableError: the cluster does not answer.
        SweepUnreadableError: the folder cannot be read.
    """
    found: Status = {"sweeps": [], "jobs": [], "workers": []}
    for cluster, where, own in _clusters(output, place):
        # An embedded cluster may end meanwhile.
        with contextlib.suppress(*((RedisError, OSError) if own else ())):
            present, lease, now = cluster.roster.all(), cluster.app.settings.lease_seconds, cluster.roster.now()
            # A job whose worker is lost waits for another one.
            alive = [each for each in present if each.age(now) < lease]
            by = {task: each.name for each in alive for task in each.running}
            workers = [{"place": where} | _worker(each, now, lease) for each in present]
            before = len(found["sweeps"])
            for manifest in cluster.registry.open():
                folder = own or SweepFolder(output, manifest.name)
                if name in (None, folder.name):
                    sweep, jobs = _sweep(cluster, manifest, folder, by)
                    found["sweeps"].append({"sweep": folder.name, "place": where} | sweep)
                    found["jobs"] += jobs
            if name is None or len(found["sweeps"]) > before:
                found["workers"] += workers
    return found


def _clusters(output: Path, place: Place) -> Iterator[tuple[Cluster, str, SweepFolder | None]]:
    """Yield the cluster of the settings, and the embedded ones, each with the folder of its sweep."""
    named = place.reached().cluster
    if named is not None:
        yield named, named.address, None
    for name in Sweeps(output).names() if os.path.lexists(output) else ():
        folder = SweepFolder(output, name)
        if (cluster := embedded(folder, place)) is not None:
            yield cluster, "here", folder


def _sweep(
    cluster: Cluster, manifest: Manifest, folder: SweepFolder, by: Mapping[str, str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a sweep, and its jobs under way; `by` names the worker of each running task."""
    jobs = manifest.jobs_by_key()
    rows, names = folder.rows_of(jobs), JobNames(jobs.values(), manifest.axes)
    # A session trains again what failed or was cancelled before.
    trained = {key for key, row in rows.items() if row.accepted}
    states = cluster.results.states([key for key in jobs if key not in trained])
    ended = trained | {key for key, state in states.items() if not isinstance(state, Running)}
    took = [each for row in rows.values() for each in row.epoch_seconds]
    took += [each for state in states.values() if isinstance(state, Finished) for each in state.result.epoch_seconds]
    seconds, epochs, left = sum(took), len(took), sum(job.epochs for key, job in jobs.items() if key not in ended)
    running = []
    for key, job in jobs.items():
        if key in by and key not in ended:
            state = states.get(key)
            report = state.report if isinstance(state, Running) else None
            epoch = 0 if report is None else report.epoch
            seconds, epochs, left = seconds + (report.seconds if report else 0.0), epochs + epoch, left - epoch
            told = {"job": names.job(job.seed, job.options), "epoch": epoch, "epochs": job.epochs, "worker": by[key]}
            running.append({"sweep": folder.name} | told)
    waiting = len(jobs) - len(ended) - len(running)
    rest = left * seconds / epochs / len(running) if running and epochs else None
    counts = {"jobs": len(jobs), "done": len(ended), "running": len(running), "waiting": waiting}
    return counts | {"seconds_left": rest}, running


def _worker(worker: Presence, now: float, lease: float) -> dict[str, Any]:
    is_lost, problem = worker.age(now) >= lease, problem_of(worker, now, patience=lease, idle=math.inf)
    return {
        "worker": worker.name,
        "state": "lost" if is_lost else problem.kind if problem else "training" if worker.running else "idle",
        "last_heartbeat": datetime.fromtimestamp(worker.beat).astimezone().isoformat(" ", "seconds"),
        "trainer": worker.trainer,
        "data": worker.data or str(worker.dataset)[:12],
        "training": 0 if is_lost else len(worker.running),
        "processes": worker.concurrency,
        "jobs_per_minute": round(60 * worker.done / max(1.0, worker.beat - worker.started), 1),
    }
