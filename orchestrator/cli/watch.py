"""`orchestrator watch`: follows a sweep on a cluster, and collects its results."""

from __future__ import annotations

from functools import partial

from rich.console import Console

from orchestrator.cli.shared.outcome import interruptible, outcome, place_flags, show_result, standing
from orchestrator.cli.shared.output import complain
from orchestrator.cli.shared.parameters import AnySweep, AsJson, Broker, SweepElsewhere
from orchestrator.cli.shared.progress import Verbose, progress_for
from orchestrator.commands.plan import place_for
from orchestrator.commands.watch import follow, plan_watch

KIND = SweepElsewhere


def command(folder: AnySweep, broker: Broker = None, verbose: Verbose = None, as_json: AsJson = False) -> int:
    """Follow a sweep that runs elsewhere: in another terminal, or on a cluster, to collect its results.

    A sweep on a cluster of its own is found by its folder: here and by the same user. Ctrl-C ends the watching alone.

    Example: orchestrator watch night-run
    """
    console = Console(stderr=as_json, highlight=False)
    display = partial(progress_for, console, verbose=verbose)
    again = ["orchestrator", "watch", folder.name, *place_flags(folder, broker)]
    with interruptible() as interruption:
        plan = plan_watch(folder, place_for(broker, tell=complain))
        with (
            plan.begin(interruption, display) as session,
            outcome(session, again, verbose=verbose and session.place.cluster is not None),
        ):
            result = follow(session, display=display)
    if plan.place.cluster is None:
        complain(standing(folder, broker))
    return show_result(console, result, as_json=as_json)
