"""`orchestrator watch` and `orchestrator cancel`: from what they are given to their exit status."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

from rich.console import Console

from orchestrator.cli.arguments import output_folder, settings_of_a_cluster, sweep_name
from orchestrator.cli.outcome import how_to_go_on, run_to_its_end
from orchestrator.cli.output import complain
from orchestrator.cli.progress import progress_for
from orchestrator.cluster.cluster import Cluster
from orchestrator.errors import SweepBusyError, SweepExistsError, SweepNotFoundError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interrupted, Interruption
from orchestrator.running.cancel import cancel_sweep
from orchestrator.running.session import Session
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.provenance import provenance
from orchestrator.text import counted, have
from worker.job import Job
from worker.redis.address import hide_password
from worker.text import printable

#: Seconds between two looks at a folder to which another process writes.
LOOK_SECONDS = 0.5


def run_watch(name: str, broker: str | None, output: str, *, as_json: bool) -> int:
    """Follow a sweep to its end, and return the exit status of `orchestrator sweep`.

    Raises:
        SeedsweepError: bad input, no such sweep, or no cluster; with nothing begun.
    """
    interruption = Interruption()
    try:
        with interruption.handling():
            settings = settings_of_a_cluster(broker)
            folder = SweepFolder(output_folder(output), sweep_name(name))
            # Before the cluster, which may take its time to answer.
            if folder.exists():
                folder.manifest()
            else:
                folder.check_writable()
            cluster = Cluster(settings, tell=complain)
            cluster.check_answer()
            manifest = find_sweep(cluster, folder)
            jobs = _jobs(manifest)
            if not folder.exists():
                with interruption.shield():
                    _create(folder, manifest)
            run = Session(folder, jobs, settings, manifest.specification.data, interruption, resuming=True)
            with _its_turn(run, cluster, Console(stderr=as_json, highlight=False)):
                resumed = [*folder.manifest().resumed, provenance()]
                folder.write_manifest(manifest.model_copy(update={"resumed": resumed}))
                return run_to_its_end(
                    run,
                    lambda console: _follow(run, console),
                    as_json=as_json,
                    go_on=lambda: how_to_go_on(run, ["orchestrator", "watch", name], output, broker),
                )
    except Interrupted as interrupted:
        return interrupted.status


def find_sweep(cluster: Cluster, folder: SweepFolder) -> Manifest:
    """Return a sweep's description, from the cluster or from its folder here.

    Raises:
        SweepExistsError: the folder here is another sweep's.
        SweepNotFoundError: neither knows the sweep.
    """
    here = folder.manifest() if folder.exists() else None
    # Somebody may have renamed the folder: on the cluster, the sweep has the name with which it began.
    name = folder.name if here is None else here.name
    registered = cluster.patiently(lambda: cluster.registry.manifest(name))
    if here is None:
        if registered is None:
            raise SweepNotFoundError(
                f"There is no sweep named {folder.name} at {cluster.address}, nor in {folder.path.parent}"
            )
        return registered
    if registered is not None and registered.jobs != here.jobs:
        raise SweepExistsError(
            f"The sweep {folder.name} in {folder.path.parent} is another one than that on the cluster: "
            "choose another --output"
        )
    return here


def _jobs(manifest: Manifest) -> dict[str, Job]:
    jobs = {job.key: job for job in manifest.specification.jobs(manifest.dataset)}
    if list(jobs) != manifest.jobs:
        raise SweepExistsError(
            f"The sweep {manifest.name} has other jobs than its specification gives in this version of Seedsweep"
        )
    return jobs


def _create(folder: SweepFolder, manifest: Manifest) -> None:
    # Two watchers may do so at once: either's folder is as good.
    with contextlib.suppress(SweepExistsError):
        folder.create(manifest)


def _follow(run: Session, console: Console) -> None:
    run.keep_own()
    with progress_for(console, run.jobs, run.rows) as progress:
        where = hide_password(str(run.settings.broker_url))
        progress.message(f"Watching {run.folder.name} on the cluster at {where}: {counted(len(run.jobs), 'job')}")
        if run.rows:
            verb = "is" if len(run.rows) == 1 else "are"
            progress.message(f"{len(run.rows)} {verb} in {run.folder.path} already")
        run.follow(progress)


@contextlib.contextmanager
def _its_turn(run: Session, cluster: Cluster, console: Console) -> Iterator[None]:
    """Make the folder this process's own; while another one writes to it, show what that one does."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(run.folder.exclusive())
        except SweepBusyError:
            _look_on(run, cluster, console, stack)
        yield


def _look_on(run: Session, cluster: Cluster, console: Console, stack: contextlib.ExitStack) -> None:
    shown = run.folder.rows_of(run.jobs)
    with progress_for(console, run.jobs, shown) as progress:
        progress.message(f"Another process writes to {run.folder.path}: looking on")
        while True:
            for key, row in run.folder.rows_of(run.jobs).items():
                if key not in shown:
                    shown[key] = row
                    progress.finished(row)
            missing = [key for key in run.jobs if key not in shown]
            states = cluster.patiently(lambda missing=missing: cluster.results.states(missing))  # type: ignore[misc]
            progress.running({key: state.value for key, state in states.items() if state.running})
            with contextlib.suppress(SweepBusyError):
                stack.enter_context(run.folder.exclusive())
                return
            time.sleep(LOOK_SECONDS)


def run_cancel(name: str, broker: str | None, output: str, *, as_json: bool) -> int:
    """Cancel a sweep, say what became of its jobs, and return the exit status.

    Raises:
        SeedsweepError: bad input, no such sweep, or no cluster; with nothing begun.
    """
    settings = settings_of_a_cluster(broker)
    folder = SweepFolder(output_folder(output), sweep_name(name))
    cluster = Cluster(settings, tell=complain)
    cluster.check_answer()
    done = cancel_sweep(cluster, find_sweep(cluster, folder))
    if as_json:
        counts = {"withdrawn": len(done.withdrawn), "ending": len(done.ending), "ended": len(done.ended)}
        print(json.dumps({"name": name, **counts, "wanted": sorted(done.wanted)}))
        return 0
    if not (done.withdrawn or done.ending or done.wanted):
        print(f"Nothing of the sweep {name} was left to cancel: {have(len(done.ended), 'job')} ended before")
        return 0
    running = len(done.ending)
    ending = "1 running one ends after its epoch" if running == 1 else f"{running} running ones end after their epoch"
    print(
        f"Sweep {name} is cancelled: {have(len(done.withdrawn), 'queued job')} ended, {ending}, "
        f"{len(done.ended)} had ended before"
    )
    if done.wanted:
        others = ", ".join(sorted(set(done.wanted.values())))
        go_on = "1 job goes on, because another sweep waits for it"
        if len(done.wanted) > 1:
            go_on = f"{len(done.wanted)} jobs go on, because other sweeps wait for them"
        print(printable(f"{go_on}: {others}"))
    return 0
