"""Ends a command: shows its result, or an error and how to go on; returns the exit status."""

import contextlib
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import typer
from rich.console import Console

from nn.errors import SeedsweepError, printable
from orchestrator.analysis.summary import summary
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import answer, complain, print_result, print_result_as_json, resumption, say
from orchestrator.cli.shared.parameters import CLUSTER_ADVICE, names_cluster
from orchestrator.cli.shared.streams import OutputLost
from orchestrator.commands.estimate import estimate
from orchestrator.commands.extend import is_void
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interrupted
from orchestrator.running.session import Session
from orchestrator.text import counted, duration
from worker.redis.address import embedded_socket, hide_password
from worker.settings import read_settings


@contextlib.contextmanager
def outcome(
    session: Session, command: Sequence[str], *, status: int = 1, verbose: bool | None = None
) -> Iterator[None]:
    """Say how to go on if the block ends early; after an error, end the command.

    Args:
        session: What the block works on.
        command: The command that goes on with the sweep.
        status: The exit status after an error.
        verbose: True to say where the block works, with which settings, and for how long.
    """
    began = time.monotonic()
    if verbose:
        complain(_used(session))
    try:
        yield
        if verbose:
            complain(f"This took {duration(time.monotonic() - began)}")
    except SeedsweepError as error:
        raise fail(error, how_to_go_on(session, command), status=status) from None
    except Interrupted:
        complain(f"Interrupted. {how_to_go_on(session, command)}")
        raise
    except OutputLost as lost:
        lost.advice = printable(how_to_go_on(session, command))
        raise


def _used(session: Session) -> str:
    """Return where a session trains, on which data set, and by which settings that are not the defaults."""
    manifest, place, count = session.manifest, session.place, len(session.jobs)
    data = f"{manifest.specification.data} ({manifest.dataset[:12]}), cached in {place.settings.cache_dir}"
    (read, origins), used = read_settings(), {name: value for name, value in place.settings if value is not None}
    origins |= {name: "the command line" for name, value in used.items() if value != getattr(read, name)}
    given = [f"{name} {hide_password(str(used[name]))} from {origins[name]}" for name in used if name in origins]
    where = f"{counted(count, 'job')} in all, trained {place.describe(count)}"
    return f"{where}; data set: {data}; settings: {', '.join(given) or 'all at their defaults'}"


def fail(error: SeedsweepError, *advice: str, status: int = 1) -> typer.Exit:
    """Print the error message of a command that had begun, and return its exit."""
    complain("\n".join((f"orchestrator: {error}", *advice)))
    return typer.Exit(status)


def how_to_go_on(session: Session, command: Sequence[str]) -> str:
    """Return what is kept of a session that ended early, and the command that goes on."""
    queued, socket = "", embedded_socket(str(session.place.settings.broker_url))
    if socket is not None and not socket.exists():
        command = resumption(session.folder)
    elif session.place.cluster is not None:
        queued = ", and those that are queued on the cluster stay there"
    try:
        session.folder.check_held()
        session.folder.manifest()
        rows = session.folder.rows_of(session.jobs)
    except SeedsweepError:
        return f"Nothing is kept in {session.folder.path}, which was removed or damaged meanwhile{queued}"
    listed, told = list(session.jobs), ""
    if is_void(session):
        listed, command = session.manifest.undone().jobs, resumption(session.folder)
        if rows.keys() >= set(listed) and not session.rows.keys() & session.again.keys():
            return f"No further job has ended: the sweep {session.folder.name} stays as it was"
        told = "The extension is withdrawn, because none of its jobs has ended. "
    kept = f"{told}{len(rows.keys() & set(listed))} of {counted(len(listed), 'job')} are kept in {session.folder.path}"
    # The command comes last, to be copied.
    return f"{kept}{queued}; go on with: {shlex.join(command)}"


def standing(folder: SweepFolder, broker: str | None) -> str:
    """Return how a sweep that does not run here stands, and the command to go on with."""
    found = summary(folder.path)
    told = f"{found.name} does not run here; it is {found.state}"
    if not found.planned:
        return f"{told}: {found.sentence}"
    told += f", with {found.done} of {counted(found.planned, 'job')} done"
    if not found.over and not names_cluster(broker):
        told += f"; {CLUSTER_ADVICE}"
    command = resumption(folder, broker)
    if found.state == "finished":
        command = ["orchestrator", "leaderboard", *resumption(folder)[4:]]
    return f"{told}; go on with: {shlex.join(command)}"


def show_result(
    console: Console, result: Sweep, *, as_json: bool, broker: str | None = None, unmade: int = 0, **more: object
) -> int:
    """Print the result of a sweep and return the exit status.

    It is 0 if every job has a result and its weights, none is to come, no two attempts differ, and some configuration
    can be recommended; else 1.

    Args:
        console: Where to print what is not JSON.
        result: The result.
        as_json: Whether to print JSON.
        broker: The cluster that the command line names.
        unmade: The number of jobs whose lost weights were not made again.
        more: Further fields of the JSON.
    """
    if as_json:
        print_result_as_json(result, **more)
    else:
        print_result(console, result, broker)
    show_faults(console, result, unmade)
    complete = result.accounting.complete and result.finished and not unmade
    return 0 if complete and result.leaderboard.verdict.leader is not None else 1


def show_faults(console: Console, result: Sweep, unmade: int) -> None:
    """Print an alarm about jobs that ended with different weights, and how many lost weights were not made again."""
    mismatched = [row for row in result.ended if row.mismatches]
    if mismatched:
        row = mismatched[0]
        first = row.mismatches[0]
        alarm = (
            f"WARNING: {len(mismatched)} of {counted(result.accounting.jobs, 'job')} ended with different weights "
            "in two attempts, which must not happen: a machine computes wrongly or runs other code. "
            f"First: {result.names.job(row.seed, row.options)}, "
            f"{first.first[:12]} and {first.second[:12]} (by {first.worker}). "
            f"All are in {result.folder.path}/results.jsonl."
        )
        say(console, alarm, style="bold red")
    if unmade:
        say(console, f"The lost weights of {counted(unmade, 'job')} were not made again. The results stay")


def show_estimate(session: Session, *, as_json: bool, reuse: bool = True, race: int | None = None) -> int:
    """Print what a session from `SweepPlan.rehearse` would do, and return the exit status."""
    found = estimate(session, reuse=reuse, race=race)
    return answer(str(found), as_json=as_json, **asdict(found))
