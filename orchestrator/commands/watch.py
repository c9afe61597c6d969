"""`watch` and `cancel`: follow a sweep on a cluster from any machine, or end its jobs.

A sweep on an embedded cluster is followed or ended by another process of the same user: its folder says where.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from nn.errors import Described, InvalidInputError
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.connect import Place, connect
from orchestrator.commands.plan import Display, SweepPlan, jobs_of, silent
from orchestrator.commands.sweep import finish
from orchestrator.errors import BrokerUnreachableError, SweepBusyError, SweepExistsError, SweepNotFoundError
from orchestrator.folder.address import address
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import held, locks
from orchestrator.interruption import Interruption
from orchestrator.running.cancel import Cancellation, cancel_sweep
from orchestrator.running.session import Session
from orchestrator.sweeps.manifest import Manifest
from orchestrator.text import counted
from worker.job import Job
from worker.records.report import Report
from worker.settings import Settings

#: Seconds between two looks at a folder that another process writes.
LOOK_SECONDS = 0.5


class WatchPlan(SweepPlan):
    """The plan of `watch`; without a cluster, another process of this host trains the sweep."""

    @contextlib.contextmanager
    def begin(self, interruption: Interruption | None = None, display: Display = silent) -> Iterator[Session]:
        """Make the sweep's folder if it is missing, and hold its lock while the block runs.

        While another process holds the lock, that process's rows are shown.

        Args:
            interruption: Defers signals while files are written; None if the caller handles no signals.
            display: Shows the progress of the other process.

        Raises:
            OutputError: the folder cannot be written.
        """
        interruption = interruption or Interruption()
        if not self.folder.exists():
            # If two watchers begin at once, one makes the folder, and the other looks on.
            with interruption.shield(), contextlib.suppress(SweepExistsError):
                self.folder.create(self.manifest)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self.folder.exclusive())
            except SweepBusyError:
                _look_on(self, display, stack)
            if self.place.cluster is not None:
                self.note_resumption()
            yield self.session(interruption)


def plan_watch(folder: SweepFolder, place: Place) -> WatchPlan:
    """Find the sweep, and return the plan, after all checks that can be made before it begins.

    Args:
        folder: Where the sweep is kept on this machine; it may not exist yet.
        place: Names the cluster; it need not have been `reached`.

    Raises:
        InvalidInputError: no cluster is named, and no process of this host runs the sweep on an embedded one.
        SweepNotFoundError: neither the cluster nor the folder has such a sweep.
        SweepExistsError: the folder is another sweep's.
        OutputError: the folder cannot be made.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
    """
    # The folder first: the cluster may take a while to answer.
    if folder.exists():
        manifest = folder.manifest()
        if address(folder.path) or (place.settings.broker_url is None and held(folder.path, locks())):
            return WatchPlan(folder, manifest, jobs_of(manifest), replace(place, cluster=None), resuming=True)
    else:
        folder.check_writable()
    cluster = _connect(folder, place)
    manifest = _find(cluster, folder)
    return WatchPlan(folder, manifest, jobs_of(manifest), replace(place, cluster=cluster), resuming=True)


def _look_on(plan: SweepPlan, display: Display, stack: contextlib.ExitStack) -> None:
    """Show the rows that another process writes, until the folder's lock is free; then enter it on the stack."""
    jobs = dict(plan.jobs)
    new_rows, written = plan.folder.follow(jobs), plan.folder.new_manifest
    shown = new_rows()
    cluster = plan.place.cluster or embedded(plan.folder, plan.place)
    if cluster is not None:
        # The other process trains again what failed or was cancelled before it began.
        failed = {key for key, row in shown.items() if not row.accepted}
        again = failed - cluster.results.ended(failed).keys()
        shown = {key: row for key, row in shown.items() if key not in again}
    with display(dict(jobs), shown, plan.manifest.axes, plan.manifest.metric) as progress:
        progress.message(f"Another process writes to {plan.folder.path}: looking on")
        while True:
            # Before their rows, which would be skipped otherwise.
            if added := _added(jobs, written):
                jobs.update(added)
                progress.added(added)
            for key, row in new_rows().items():
                if key not in shown:
                    shown[key] = row
                    progress.finished(row)
            cluster = cluster or embedded(plan.folder, plan.place)
            progress.running(_reports(cluster, [key for key in jobs if key not in shown]))
            with contextlib.suppress(SweepBusyError):
                stack.enter_context(plan.folder.exclusive())
                return
            time.sleep(LOOK_SECONDS)


def _added(known: Mapping[str, Job], written: Callable[[], Manifest | None]) -> dict[str, Job]:
    """Return the jobs that the other process has added meanwhile."""
    manifest = written()
    if manifest is None or len(manifest.jobs) == len(known):
        return {}
    return {key: job for key, job in jobs_of(manifest).items() if key not in known}


def embedded(folder: SweepFolder, place: Place) -> Cluster | None:
    """Return the embedded cluster of another process, if the sweep's folder says where it is; without retries."""
    own = _settings(folder, place)
    with contextlib.suppress(BrokerUnreachableError):
        # It ends with its sweep: nobody waits for it to come back.
        return None if own is place.settings else connect(own, place.tell).impatient()
    return None


def _connect(folder: SweepFolder, place: Place) -> Cluster:
    settings = _settings(folder, place)
    if settings.broker_url is None and folder.exists():
        allowed = "the address of a Redis server, also as CELERY_BROKER_URL"
        raise InvalidInputError("broker", Described("missing"), f"{allowed}; {folder.name} does not run on this host")
    return connect(settings, place.tell)


def _settings(folder: SweepFolder, place: Place) -> Settings:
    """Return the settings of the cluster that trains a sweep: of an embedded one, if the folder says where that is."""
    url, settings = address(folder.path), place.settings
    return settings.model_copy(update={"broker_url": url, "result_backend": None}) if url else settings


def _reports(cluster: Cluster | None, missing: list[str]) -> dict[str, Report | None]:
    # Imports Celery, which a watched cluster has imported already.
    from redis import RedisError

    from orchestrator.cluster.results import Running

    with contextlib.suppress(RedisError, OSError):
        states = {} if cluster is None else cluster.results.states(missing)
        return {key: state.report for key, state in states.items() if isinstance(state, Running)}
    return {}


def follow(session: Session, *, display: Display = silent) -> Sweep:
    """Collect the results of jobs that another orchestrator submitted, until every job has its row.

    Args:
        session: From `WatchPlan.begin`.
        display: Shows the progress.

    Raises:
        SeedsweepError: the sweep cannot go on; rows and weights so far are kept (see `Session.follow`).
    """
    if session.place.cluster is None:
        rows = session.folder.rows_of(session.jobs)
        if len(rows) < len(session.jobs):
            left = f"{len(session.jobs) - len(rows)} of {counted(len(session.jobs), 'job')} have not ended"
            told = f"The process of {session.folder.name} has ended, and {left}"
            session.place.tell(f"{told}; go on with: orchestrator sweep --resume --name {session.folder.name}")
        return Sweep.of(session.folder, session.manifest, session.jobs, rows)
    session.keep_own()
    with display(session.jobs, session.rows, session.axes, session.manifest.metric) as progress:
        where = session.place.describe(len(session.jobs))
        progress.message(f"Watching {session.folder.name} {where}: {counted(len(session.jobs), 'job')}")
        if session.rows:
            verb = "is" if len(session.rows) == 1 else "are"
            progress.message(f"{len(session.rows)} {verb} in {session.folder.path} already")
        session.follow(progress)
    return finish(session)


def cancel(folder: SweepFolder, place: Place) -> Cancellation:
    """Cancel a sweep on a cluster. Its folder, if there is one, is only read.

    Args:
        folder: Where the sweep is kept on this machine; it need not exist.
        place: Names the cluster; it need not have been `reached`.

    Raises:
        InvalidInputError: no cluster is named, and no process of this host runs the sweep on an embedded one.
        SweepNotFoundError: neither the cluster nor the folder has such a sweep.
        SweepExistsError: the folder is another sweep's.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
    """
    cluster = _connect(folder, place)
    return cancel_sweep(cluster, _find(cluster, folder))


def _find(cluster: Cluster, folder: SweepFolder) -> Manifest:
    """Return the folder's manifest, or the cluster's if there is no folder; with the jobs of the longer one.

    Raises:
        SweepExistsError: the folder and the cluster hold two sweeps of the same name.
        SweepNotFoundError: neither has the sweep.
    """
    if folder.exists():
        # By the manifest's name: the folder may have been renamed. Another session may have added jobs to it.
        return cluster.registry.longer(folder.manifest())
    manifest = cluster.registry.manifest(folder.name)
    if manifest is None:
        raise SweepNotFoundError(
            f"There is no sweep named {folder.name} at {cluster.address}, nor in {folder.path.parent}"
        )
    return manifest
