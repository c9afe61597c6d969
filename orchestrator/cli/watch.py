"""`orchestrator watch` and `orchestrator cancel`: read their arguments, call the command, show its result."""

from __future__ import annotations

import json
from functools import partial

from rich.console import Console

from orchestrator.cli.outcome import interruptible, outcome, place_flags, show_result
from orchestrator.cli.output import complain
from orchestrator.cli.progress import progress_for
from orchestrator.cli.words.arguments import output_folder, settings_of_a_cluster, sweep_name
from orchestrator.commands.cancel import cancel
from orchestrator.commands.watch import begin, follow, plan_watch
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.cancel import Cancellation
from orchestrator.text import counted, have
from worker.text import printable


def run_watch(name: str, broker: str | None, output: str, *, as_json: bool) -> int:
    """Follow a sweep to its end, and return the exit status of `orchestrator sweep`.

    Raises:
        SeedsweepError: bad input, no such sweep, or no cluster; nothing was begun.
    """
    console = Console(stderr=as_json, highlight=False)
    display = partial(progress_for, console)
    command = ["orchestrator", "watch", name, *place_flags(output, broker)]
    with interruptible() as interruption:
        settings = settings_of_a_cluster(broker)
        plan = plan_watch(SweepFolder(output_folder(output), sweep_name(name)), settings, tell=complain)
        with begin(plan, display=display, interruption=interruption) as session, outcome(session, command):
            result = follow(session, display=display)
    return show_result(console, result, as_json=as_json)


def run_cancel(name: str, broker: str | None, output: str, *, as_json: bool) -> int:
    """Cancel a sweep, say what became of its jobs, and return the exit status.

    Raises:
        SeedsweepError: bad input, no such sweep, or no cluster; nothing was begun.
    """
    settings = settings_of_a_cluster(broker)
    done = cancel(SweepFolder(output_folder(output), sweep_name(name)), settings, tell=complain)
    if as_json:
        counts = {"withdrawn": len(done.withdrawn), "ending": len(done.ending), "ended": len(done.ended)}
        print(json.dumps({"name": name, **counts, "wanted": sorted(done.wanted)}))
    else:
        print(printable(describe_cancellation(name, done)))
    return 0


def describe_cancellation(name: str, done: Cancellation) -> str:
    """Return what became of a cancelled sweep's jobs: a sentence, and one more if some go on for another sweep."""
    if done.absent and not (done.withdrawn or done.ending or done.wanted or done.ended):
        return f"Nothing of the sweep {name} was left to cancel: the cluster has none of its jobs"
    if not (done.withdrawn or done.ending or done.wanted):
        return f"Nothing of the sweep {name} was left to cancel: {have(len(done.ended), 'job')} ended before"
    parts = [f"{have(len(done.withdrawn), 'queued job')} ended"] if done.withdrawn else []
    if done.ending:
        ends = "ends after its" if len(done.ending) == 1 else "end after their"
        parts.append(f"{counted(len(done.ending), 'running job')} {ends} epoch")
    if done.ended:
        parts.append(f"{len(done.ended)} had ended before")
    sentence = f"The sweep {name} is cancelled: {', '.join(parts) or 'no job was its own'}"
    if not done.wanted:
        return sentence
    go_on = "1 job goes on, because another sweep waits for it"
    if len(done.wanted) > 1:
        go_on = f"{len(done.wanted)} jobs go on, because other sweeps wait for them"
    return f"{sentence}\n{go_on}: {', '.join(sorted(set(done.wanted.values())))}"
