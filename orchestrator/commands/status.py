"""`status`: the sweeps that run on this host and on a cluster, their jobs under way, and the workers."""

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis import RedisError

from nn.errors import SeedsweepError
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.connect import Place, connect, require_broker
from orchestrator.cluster.results import Cancelled, Failed, Finished, Running
from orchestrator.errors import ClusterError
from orchestrator.folder.activity import Activity, address
from orchestrator.folder.locks import holder, locks
from orchestrator.folder.rows import Rows, accepted_row, lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import Sweeps
from orchestrator.running.underway import Underway
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from orchestrator.sweeps.specification import MAX_JOBS
from worker.job import Job
from worker.records.presence import Roster, problem_of
from worker.redis.address import embedded_socket

#: Objects of figures by name, in the lists `sweeps`, `jobs` and `workers`.
Status = dict[str, list[dict[str, Any]]]
#: Most jobs of a cluster's sweeps that are shown: 100,000 take two seconds. A sweep counts as `_LEAST_JOBS` at least.
_MOST_JOBS, _LEAST_JOBS = 3 * MAX_JOBS, 200
_FIGURES = ("done", "running", "waiting", "failed", "diverged", "retried")


def status(output: Path, place: Place, name: str | None = None) -> Status:
    """Return the sweeps that run, their jobs under way, and all workers.

    The sweeps are those of an output folder that processes of this host train, and those of a cluster. `seconds_left`
    is an estimate; None if it is too early for one, and while no job is under way.

    Args:
        output: The folder.
        place: May name a cluster.
        name: Only this sweep; None for all.

    Raises:
        BrokerUnreachableError: the cluster does not answer.
        SweepUnreadableError: the folder cannot be read.
    """
    found: Status = {"sweeps": [], "jobs": [], "workers": []}
    cluster, told, taken = place.reached().cluster, set[str](), locks()
    for each in Sweeps(output, name).names():
        folder = SweepFolder(output, each)
        activity = Activity.read(folder.real) if holder(folder.path, taken) else None
        # A folder may be removed, and an embedded cluster may end meanwhile.
        with contextlib.suppress(SeedsweepError, RedisError, OSError):
            if activity is not None:
                manifest = folder.manifest()
                _add(found, each, manifest, manifest.jobs_by_key(), activity)
                told.add(manifest.name)
                if address(folder.real):
                    # It ends with its sweep: nobody waits for it to come back.
                    found["workers"] += _workers(reached(folder, place).impatient().roster, "here", found["jobs"])
    if cluster is not None:
        running, room = cluster.running(), _MOST_JOBS
        for manifest in cluster.registry.open():
            folder = SweepFolder(output, manifest.name)
            if manifest.name not in told and name in (None, folder.name):
                if (room := room - max(manifest.grown.size, _LEAST_JOBS)) < 0:
                    place.tell(f"There are more sweeps at {cluster.address}: orchestrator status SWEEP shows one")
                    break
                jobs = manifest.jobs_by_key()
                _add(found, folder.name, manifest, jobs, _observed(cluster, jobs, folder, running))
        if name is None or any(each["place"] == cluster.address for each in found["sweeps"]):
            # Read again: the sweeps may have taken a while, in which no worker is lost.
            found["workers"] += _workers(cluster.roster, cluster.address, found["jobs"])
    return found


def reached(folder: SweepFolder, place: Place) -> Cluster:
    """Return the cluster that trains a sweep: an embedded one, if the sweep's folder says where, or the place's.

    Raises:
        InvalidInputError: there is neither.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
    """
    settings, url = place.settings, address(folder.real)
    # That of a named cluster may last longer than the session that runs the sweep.
    if url is None or url == str(settings.broker_url).partition("?")[0]:
        if folder.exists():
            require_broker(settings, f"{folder.name} has no cluster of its own here")
        return connect(settings, place.tell)

    def check() -> None:
        if address(folder.real) != url:
            raise ClusterError(f"The sweep {folder.name} has ended, and so has its cluster")

    return connect(settings.model_copy(update={"broker_url": url, "result_backend": None}), place.tell, check)


def _observed(cluster: Cluster, jobs: dict[str, Job], folder: SweepFolder, running: set[str]) -> Activity | None:
    """Return what goes on in a sweep that no session on this host trains; its folder may be missing."""
    # A session trains again what failed or was cancelled before.
    rows = Rows({key: row for key, row in folder.rows_of(jobs).items() if row.accepted})
    reports, epochs = {}, max(job.epochs for job in jobs.values())
    for key, state in cluster.results.states([key for key in jobs if key not in rows], epochs):
        match state:
            case Running(report) if key in running:
                reports[key] = report
            case Finished(result):
                rows[key] = accepted_row(jobs[key], result)
            case Failed(why):
                rows[key] = lost_row(jobs[key], "failed", why)
            case Cancelled(why):
                rows[key] = lost_row(jobs[key], "cancelled", why)
    seen = Underway(jobs, rows, place=cluster.address)
    seen.running(reports, (), {})
    return seen.activity


def _add(found: Status, sweep: str, manifest: Manifest, jobs: Mapping[str, Job], activity: Activity | None) -> None:
    if activity is not None:
        figures = {name: getattr(activity, name) for name in _FIGURES} | {"seconds_left": activity.left}
        place = activity.place if embedded_socket(activity.place) is None else "here"
        found["sweeps"].append({"sweep": sweep, "place": place, "jobs": activity.planned} | figures)
        names = JobNames(jobs.values(), manifest.axes)
        for key, report in activity.jobs.items():
            if (job := jobs.get(key)) is not None:
                epoch, worker = (report.epoch, report.worker) if report else (0, None)
                told = {"sweep": sweep, "job": names.job(job.seed, job.options), "epoch": epoch}
                found["jobs"].append(told | {"epochs": job.epochs, "worker": worker})


def _workers(roster: Roster, place: str, jobs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the figures of workers. A job's report may be newer than its worker's heartbeat."""
    present, now, busy = roster.all(), roster.clock.now(), Counter(each["worker"] for each in jobs)
    for each in present:
        is_lost, training = each.age(now) >= roster.lease, max(len(each.running), busy[each.name])
        problem = problem_of(each, now, patience=roster.lease, idle=math.inf)
        yield {
            "place": place,
            "worker": each.name,
            "state": "lost" if is_lost else problem.kind if problem else "training" if training else "idle",
            "last_heartbeat": datetime.fromtimestamp(each.beat, UTC).isoformat(timespec="seconds"),
            "trainer": each.trainer,
            "data": each.data or str(each.dataset)[:12],
            "training": 0 if is_lost else training,
            "processes": each.concurrency,
            "jobs_per_minute": round(60 * each.done / max(1.0, each.beat - each.started), 1),
        }
