"""`orchestrator watch` and `cancel`: follow a sweep that runs elsewhere, or end its jobs."""

import shlex
from functools import partial

from rich.console import Console

from orchestrator.analysis.summary import Summary
from orchestrator.cli.shared.outcome import outcome, show_result, standing
from orchestrator.cli.shared.output import answer, complain, place_flags, resumption
from orchestrator.cli.shared.parameters import AnySweep, AsJson, Broker, SweepElsewhere
from orchestrator.cli.shared.progress import Verbose, notes_for, progress_for
from orchestrator.cluster.connect import place_for
from orchestrator.commands import watch as watching
from orchestrator.running.cancel import Cancellation
from orchestrator.text import counted, have

KIND = SweepElsewhere


def command(folder: AnySweep, broker: Broker = None, verbose: Verbose = None, as_json: AsJson = False) -> int:
    """Follow a sweep that runs elsewhere: in another terminal, or on a cluster, to collect its results.

    A sweep on a cluster of its own is found by its folder: here and by the same user. Ctrl-C ends the watching alone.

    Example: orchestrator watch night-run
    """
    console = Console(stderr=as_json, highlight=False)
    display, tell = partial(progress_for, console, verbose=verbose), notes_for(verbose)
    again = ["orchestrator", "watch", folder.name, *place_flags(folder, broker)]
    place = place_for(broker, tell=tell)
    with place.interruption.handling():
        plan = watching.plan_watch(folder, place)
        with (
            plan.begin(display) as session,
            outcome(session, again, verbose=verbose and session.place.cluster is not None),
        ):
            result = watching.follow(session, display=display)
    if plan.place.cluster is None:
        tell(standing(folder, broker))
    return show_result(console, result, as_json=as_json, broker=broker, unmade=session.unmade)


def cancel(folder: AnySweep, broker: Broker = None, as_json: AsJson = False) -> int:
    """End a sweep's queued jobs at once, and its running jobs after their epoch.

    A job goes on if another sweep on the cluster waits for it. To train the cancelled jobs after all, resume the sweep:
    orchestrator sweep --resume --name NAME

    A sweep on a cluster of its own is cancelled from another terminal, by the same user.

    Example: orchestrator cancel night-run
    """
    done = watching.cancel(folder, place_for(broker, tell=complain))
    if isinstance(done, Summary):
        told = f"There is nothing to cancel: {standing(folder, broker)}"
        return answer(told, as_json=as_json, name=folder.name, withdrawn=0, ending=0, ended=done.done, wanted=[])
    counts = {"withdrawn": len(done.withdrawn), "ending": len(done.ending), "ended": len(done.ended)}
    told, wanted = describe_cancellation(folder.name, done), sorted(done.wanted)
    if (done.withdrawn or done.ending) and folder.exists():
        told += f"\nTo train the cancelled jobs: {shlex.join(resumption(folder, broker))}"
    return answer(told, as_json=as_json, name=folder.name, **counts, wanted=wanted)


def describe_cancellation(name: str, done: Cancellation) -> str:
    """Return what became of a cancelled sweep's jobs: a sentence, and one more if some go on for another sweep."""
    if not (done.withdrawn or done.ending or done.wanted):
        why = f"{have(len(done.ended), 'job')} ended before"
        if not done.ended:
            why = "the cluster has none of its jobs" if done.absent else "it is cancelled already"
        return f"Nothing of the sweep {name} was left to cancel: {why}"
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
