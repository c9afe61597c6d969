"""`watch`: follows a sweep on a cluster, from any machine, until every job has its row here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

from orchestrator.cluster.connect import Place, connect
from orchestrator.commands.display import Display, Tell, ignore, silent
from orchestrator.commands.find import find_sweep
from orchestrator.commands.plan import SweepPlan, jobs_of
from orchestrator.commands.result import SweepResult, finish
from orchestrator.errors import SweepBusyError, SweepExistsError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interruption
from orchestrator.running.session import Session
from orchestrator.sweeps.manifest import Manifest
from orchestrator.text import counted
from worker.job import Job
from worker.records.report import Report
from worker.settings import Settings

#: Seconds between two looks at a folder that another process writes.
LOOK_SECONDS = 0.5


def plan_watch(folder: SweepFolder, settings: Settings, *, tell: Tell = ignore) -> SweepPlan:
    """Find the sweep, and check everything that can be checked without beginning.

    Args:
        folder: Where the sweep is kept on this machine; it may not exist yet.
        settings: Name the cluster.
        tell: Receives a sentence while Redis does not answer.

    Raises:
        InvalidInputError: the settings name no cluster.
        SweepNotFoundError: neither the cluster nor the folder has such a sweep.
        SweepExistsError: the folder is another sweep's.
        OutputError: the folder cannot be made.
        BrokerUnreachableError: no Redis server answers, or it refuses the connection.
    """
    # The folder first: the cluster may take a while to answer.
    if folder.exists():
        folder.manifest()
    else:
        folder.check_writable()
    cluster = connect(settings, tell)
    manifest = find_sweep(cluster, folder)
    return SweepPlan(folder, manifest, jobs_of(manifest), Place(settings, cluster), resuming=True)


def watch(plan: SweepPlan, *, display: Display = silent, interruption: Interruption | None = None) -> SweepResult:
    """Collect the results of a planned sweep. Arguments and errors: see `begin` and `follow`."""
    with begin(plan, display=display, interruption=interruption) as session:
        return follow(session, display=display)


@contextlib.contextmanager
def begin(plan: SweepPlan, *, display: Display = silent, interruption: Interruption | None = None) -> Iterator[Session]:
    """Make the sweep's folder if it is missing, and hold its lock while the block runs.

    While another process holds the lock, that process's rows are shown.

    Args:
        plan: From `plan_watch`.
        display: Shows the progress of the other process.
        interruption: Defers signals while files are written; None where the caller handles no signals.

    Raises:
        OutputError: the folder cannot be written.
    """
    interruption = interruption or Interruption()
    if not plan.folder.exists():
        # Of two watchers that begin at once, one makes the folder, and the other one looks on.
        with interruption.shield(), contextlib.suppress(SweepExistsError):
            plan.folder.create(plan.manifest)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(plan.folder.exclusive())
        except SweepBusyError:
            _look_on(plan, display, stack)
        plan.note_resumption()
        yield plan.session(interruption)


def _look_on(plan: SweepPlan, display: Display, stack: contextlib.ExitStack) -> None:
    """Show the rows that another process writes, until the folder's lock is free; then enter it on the stack."""
    jobs = dict(plan.jobs)
    new_rows, written = plan.folder.follow(jobs), plan.folder.follow_manifest()
    shown = new_rows()
    with display(dict(jobs), shown, plan.manifest.axes) as progress:
        progress.message(f"Another process writes to {plan.folder.path}: looking on")
        while True:
            # Before their rows, which would be passed over.
            if added := _added(jobs, written):
                jobs.update(added)
                progress.added(added)
            for key, row in new_rows().items():
                if key not in shown:
                    shown[key] = row
                    progress.finished(row)
            progress.running(_reports(plan, [key for key in jobs if key not in shown]))
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


def _reports(plan: SweepPlan, missing: list[str]) -> dict[str, Report | None]:
    # Imports Celery, which a watched cluster has imported already.
    from orchestrator.cluster.results import Running

    cluster = plan.place.cluster
    states = {} if cluster is None else cluster.results.states(missing)
    return {key: state.report for key, state in states.items() if isinstance(state, Running)}


def follow(session: Session, *, display: Display = silent) -> SweepResult:
    """Collect the results of jobs that another orchestrator submitted, until every job has its row.

    Args:
        session: From `begin`.
        display: Shows the progress.

    Raises:
        SeedsweepError: the sweep cannot go on; rows and weights so far are kept (see `Session.follow`).
    """
    session.keep_own()
    with display(session.jobs, session.rows, session.axes) as progress:
        where = session.place.describe(len(session.jobs))
        progress.message(f"Watching {session.folder.name} {where}: {counted(len(session.jobs), 'job')}")
        if session.rows:
            verb = "is" if len(session.rows) == 1 else "are"
            progress.message(f"{len(session.rows)} {verb} in {session.folder.path} already")
        session.follow(progress)
    return finish(session)
