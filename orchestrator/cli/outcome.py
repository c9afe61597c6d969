"""How a command that runs a sweep ends: with a leaderboard, or with one sentence and how to go on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable

from rich.console import Console

from nn.errors import SeedsweepError
from orchestrator.analysis.leaderboard import leaderboard, to_csv, to_json
from orchestrator.cli.options import DEFAULT_OUTPUT
from orchestrator.cli.output import print_end, print_json
from orchestrator.cli.streams import OutputLost
from orchestrator.folder.rows import Accounting
from orchestrator.interruption import Interrupted
from orchestrator.running.session import Session
from orchestrator.text import counted, say
from worker.redis.address import hide_password
from worker.text import printable


def run_to_its_end(run: Session, work: Callable[[Console], None], *, as_json: bool, go_on: Callable[[], str]) -> int:
    """Do the work that gives every job its row, finish the folder, and show what came out.

    Args:
        run: The sweep, whose folder is this process's own.
        work: Fills the run's rows; progress goes to the console.
        as_json: Whether to print one JSON object instead of a table.
        go_on: Says how to go on after an early end.

    Returns:
        The exit status: 0 if every job has a result and nothing speaks against any, otherwise 1.

    Raises:
        Interrupted: a signal came.
        OutputLost: what is told reaches nobody.
    """
    console = Console(stderr=as_json, highlight=False)
    try:
        work(console)
        standings = leaderboard(run.jobs.values(), run.rows)
        with run.interruption.shield():
            run.folder.finish(run.rows, list(run.jobs), to_csv(standings), to_json(standings))
    except SeedsweepError as error:
        print(f"orchestrator: {printable(str(error))}\n{printable(go_on())}", file=sys.stderr)
        return 1
    except Interrupted:
        print(f"Interrupted. {printable(go_on())}", file=sys.stderr)
        raise
    except OutputLost as lost:
        lost.advice = printable(go_on())
        raise
    accounting = Accounting.of(len(run.jobs), run.rows.values())
    if as_json:
        print_json(run.folder, accounting, standings)
    else:
        print_end(console, run.folder, accounting, standings)
    if accounting.mismatches:
        say(console, _alarm(run), style="bold red")
    return 0 if accounting.complete else 1


def _alarm(run: Session) -> str:
    found = [(row, row.mismatches[0]) for row in run.rows.values() if row.mismatches]
    row, first = found[0]
    return (
        f"WARNING: {len(found)} of {counted(len(run.jobs), 'job')} ended with different weights in two runs, which "
        "must not be: a machine computes wrongly or runs other code. "
        f"First: seed {row.seed}, learning rate {row.learning_rate:g}, "
        f"{first.first[:12]} and {first.second[:12]} (by {first.worker}). All are in {run.folder.path}/results.jsonl."
    )


def how_to_go_on(run: Session, command: list[str], output: str, broker: str | None) -> str:
    """Return what to tell someone whose command ended early."""
    if output != DEFAULT_OUTPUT:
        command = [*command, "--output", output]
    if broker is not None:
        command = [*command, "--broker", hide_password(broker)]
    queued = ""
    if run.settings.broker_url is not None:
        queued = ", and those that are queued on the cluster stay there"
    kept = f"{len(run.jobs) - len(run.missing)} of {counted(len(run.jobs), 'job')} are kept in {run.folder.path}"
    # The command comes last, to be copied.
    return f"{kept}{queued}; go on with: {shlex.join(command)}"
