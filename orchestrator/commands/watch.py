"""`watch` and `cancel`: follow a sweep on a cluster from any machine, or end its jobs.

A sweep on an embedded cluster is followed or ended by another process of the same user: its folder says where.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace

from nn.errors import InvalidInputError
from orchestrator.analysis.summary import Summary, summary
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.connect import Place, Tell, ignore
from orchestrator.commands.status import reached
from orchestrator.commands.sweep import Display, SweepPlan, finish, jobs_of, silent, snapshot
from orchestrator.errors import ClusterError, SweepBusyError, SweepExistsError, SweepNotFoundError
from orchestrator.folder.activity import Activity, address
from orchestrator.folder.locks import holder, locks
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import content
from orchestrator.running.cancel import Cancellation, cancel_sweep
from orchestrator.running.session import Session
from orchestrator.sweeps.manifest import Manifest
from orchestrator.text import counted

#: Seconds between two looks at a folder that another process writes.
LOOK_SECONDS = 0.5
#: Seconds that a sweep's process may take to begin before its embedded cluster, and to end after it.
ENDING_SECONDS = 8.0


class WatchPlan(SweepPlan):
    """The plan of `watch`; without a cluster, another process of this host trains the sweep, or none does."""

    @contextlib.contextmanager
    def begin(self, display: Display = silent) -> Iterator[Session]:
        """Make the sweep's folder if it is missing, and hold its lock while the block runs.

        While another process holds the lock, that process's rows are shown.

        Args:
            display: Shows the progress of the other process.

        Raises:
            OutputError: the folder cannot be written.
        """
        with contextlib.ExitStack() as stack:
            for _ in self._enter(stack, display):
                pass
            yield self.session(self.folder.manifest())

    def rows(self) -> Iterator[Row]:
        """Follow the sweep, and yield the row of each job as it ends. Raises: as `begin` and `follow`."""
        with contextlib.ExitStack() as stack:
            if holder(self.folder.path, locks()) == os.getpid():
                told = "close the iterator of an earlier watch, or wait for what another thread does"
                raise SweepBusyError(f"This process works on the sweep {self.folder.name} already: {told}")
            yield from self._enter(stack, silent)
            session = self.session(self.folder.manifest())
            if session.place.cluster is not None:
                session.keep_own()
                yield from session.follow()
                finish(session)

    def _enter(self, stack: contextlib.ExitStack, display: Display) -> Iterator[Row]:
        """Yield the rows that another process writes, until the folder's lock is free; enter that on the stack."""
        new = None if self.folder.exists() else self.manifest.model_copy(update={"followed": True})
        try:
            with self.place.interruption.shield():
                stack.enter_context(self.folder.exclusive(new))
        except SweepExistsError:
            # If two watchers begin at once, one makes the folder, and the other looks on.
            yield from _look_on(self, display, stack)
        if self.place.cluster is not None:
            self.note_resumption()


def plan_watch(folder: SweepFolder, place: Place) -> WatchPlan:
    """Find the sweep, and return the plan, after all checks that can be made before it begins.

    Args:
        folder: Where the sweep is kept on this machine; it may not exist yet.
        place: Names the cluster; it need not have been `reached`.

    Raises:
        InvalidInputError: there is no such folder, and no cluster is named.
        SweepNotFoundError: neither the cluster nor the folder has such a sweep.
        SweepExistsError: the folder is another sweep's.
        OutputError: the folder cannot be made.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
    """
    # The folder first: the cluster may take a while to answer.
    if folder.exists():
        manifest, named = folder.manifest(), place.settings.broker_url
        if named is None or address(folder.real) not in (None, named.partition("?")[0]):
            return WatchPlan(folder, manifest, jobs_of(manifest), replace(place, cluster=None), resuming=True)
    else:
        folder.check_writable()
    cluster = reached(folder, place)
    manifest = _find(cluster, folder)
    return WatchPlan(folder, manifest, jobs_of(manifest), replace(place, cluster=cluster), resuming=True)


def _look_on(plan: SweepPlan, display: Display, stack: contextlib.ExitStack) -> Iterator[Row]:
    """Show and yield the rows that another process writes, until the folder's lock is free; enter it on the stack."""
    folder, jobs, seen, due, is_over = plan.folder, dict(plan.jobs), content(plan.folder.path), 0.0, False
    rows = folder.rows_of(jobs)
    shown = {key: row for key, row in rows.items() if row.accepted}
    with display(Sweep.of(folder, plan.manifest, jobs, shown)) as progress:
        progress.message(f"Another process writes to {folder.path}: looking on")
        while not is_over:
            with contextlib.suppress(SweepBusyError):
                stack.enter_context(folder.exclusive())
                is_over = True
            began = time.monotonic()
            if is_over or (began >= due and seen != content(folder.path)):
                seen = content(folder.path)
                jobs |= jobs_of(folder.manifest())
                # The other process trains again what had failed or was cancelled when it began.
                for key, row in folder.rows_of(jobs).items():
                    if key not in shown and row != rows.get(key):
                        shown[key] = row
                        progress.finished(row)
                        yield row
                # There may be thousands of rows: reading them takes a tenth of the time at most.
                due = time.monotonic() + 9 * (time.monotonic() - began)
            progress.underway(Activity.read(folder.real))
            time.sleep(0.0 if is_over else LOOK_SECONDS)


def follow(session: Session, *, display: Display = silent) -> Sweep:
    """Collect the results of jobs that another orchestrator submitted, until every job has its row.

    Args:
        session: From `WatchPlan.begin`.
        display: Shows the progress.

    Raises:
        SeedsweepError: the sweep cannot go on; rows and weights so far are kept (see `Session.follow`).
    """
    if session.place.cluster is None:
        return Sweep.of(session.folder, session.manifest, session.jobs, session.folder.rows_of(session.jobs))
    session.keep_own()
    with display(snapshot(session)) as progress:
        where = session.place.describe(len(session.jobs))
        progress.message(f"Watching {session.folder.name} {where}: {counted(len(session.jobs), 'job')}")
        if session.rows:
            verb = "is" if len(session.rows) == 1 else "are"
            progress.message(f"{len(session.rows)} {verb} in {session.folder.path} already")
        for _ in session.follow(progress):
            pass
    return finish(session)


def cancel(folder: SweepFolder, place: Place) -> Cancellation | Summary:
    """Cancel a sweep on a cluster. Its folder, if there is one, is only read.

    If no cluster is named, and the sweep has ended, or ends meanwhile with its own cluster, returns how it stands.

    Args:
        folder: Where the sweep is kept on this machine; it need not exist.
        place: Names the cluster; it need not have been `reached`.

    Raises:
        InvalidInputError: no cluster is named, and the sweep has not ended: it may be on one.
        SweepNotFoundError: neither the cluster nor the folder has such a sweep.
        SweepExistsError: the folder is another sweep's.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
        ClusterError: the sweep's own cluster ended meanwhile, but not its process, or that runs again.
    """
    if place.settings.broker_url is None and folder.manifest() and _has_ended(folder, place.tell):
        found = summary(folder.path)
        if found.over:
            return found
    has_own = address(folder.real) is not None
    try:
        cluster = reached(folder, place)
        return cancel_sweep(cluster, _find(cluster, folder))
    except (ClusterError, InvalidInputError):
        # It ended meanwhile, perhaps because of the mark: its folder tells.
        if not (has_own and _has_ended(folder)):
            raise
        rows = folder.rows_of(folder.manifest().jobs_by_key())
        cancelled = {key for key, row in rows.items() if row.status == "cancelled"}
        return Cancellation(cancelled, ended=rows.keys() - cancelled) if cancelled else summary(folder.path)


def _has_ended(folder: SweepFolder, tell: Tell = ignore) -> bool:
    """Return whether no process of this host trains a sweep; wait for one that begins or ends."""
    for look in range(round(ENDING_SECONDS / LOOK_SECONDS)):
        if not holder(folder.path, locks()):
            return True
        if address(folder.real):
            return False
        if look == 2:
            tell(f"Another process works on {folder.name}: waiting up to {ENDING_SECONDS:g} s for it to begin or end")
        time.sleep(LOOK_SECONDS)
    return not holder(folder.path, locks())


def _find(cluster: Cluster, folder: SweepFolder) -> Manifest:
    """Return the folder's manifest, or the cluster's if there is no folder; with the jobs of the longer one."""
    if folder.exists():
        # By the manifest's name: the folder may have been renamed. Another session may have added jobs to it.
        return cluster.registry.longer(folder.manifest())
    manifest = cluster.registry.manifest(folder.name)
    if manifest is None:
        raise SweepNotFoundError(
            f"There is no sweep named {folder.name} at {cluster.address}, nor in {folder.path.parent}"
        )
    return manifest
