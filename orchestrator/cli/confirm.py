"""`orchestrator confirm`: trains the leaders of a sweep under fresh seeds, and shows by how much their means shrink."""

from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from nn.errors import Beside, InvalidInputError
from nn.options import describe
from orchestrator.cli.shared.outcome import outcome, show_estimate, show_result
from orchestrator.cli.shared.output import place_flags, print_table, say
from orchestrator.cli.shared.parameters import AnySweep, AsJson, BrokerOrOwn, DryRun, Metric, NoReuse, Workers, integer
from orchestrator.cli.shared.progress import Verbose, notes_for, progress_for
from orchestrator.cluster.connect import place_for
from orchestrator.commands.confirm import DEFAULT_SEEDS, ConfirmationResult, confirmed, plan_confirmation, with_interval
from orchestrator.commands.sweep import train
from orchestrator.sweeps.fields import seeds_as_text, vocabulary
from orchestrator.sweeps.specification import MAX_JOBS
from orchestrator.text import counted


def command(
    folder: AnySweep,
    top: Annotated[
        int | None, integer(1, MAX_JOBS, "Number of configurations, the leaderboard's first.  [default: 3]")
    ] = None,
    fresh: Annotated[
        int | None, integer(1, MAX_JOBS, "Number of fresh seeds, the next above the sweep's.  [default: 20]")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="SEED[,FIRST-LAST,...]", help="The fresh seeds themselves: 100-119.")
    ] = None,
    metric: Metric = None,
    broker: BrokerOrOwn = None,
    workers: Workers = None,
    no_reuse: NoReuse = False,
    verbose: Verbose = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Train the leaders of a sweep under fresh seeds, and show by how much their choice flattered them.

    The best of many configurations owes a part of its mean to luck: under fresh seeds it shrinks. Intervals get wider
    with a further look, so the verdict on a sweep of few seeds may be undecided afterwards.

    If it is interrupted, repeat the command: it goes on with the same configurations and seeds.

    Example: orchestrator confirm night-run --top 3 --fresh 20
    """
    if fresh is not None and seeds is not None:
        raise InvalidInputError("seeds", seeds, Beside("--fresh"))
    console = Console(stderr=as_json, highlight=False)
    place = place_for(broker, workers, tell=notes_for(verbose))
    # Repeating the command goes on, and shows the same result.
    flags = {"--top": top, "--fresh": fresh, "--seeds": seeds, "--metric": metric}
    given = [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]
    again = ["orchestrator", "confirm", folder.name, *given, *place_flags(folder, broker)]
    with place.interruption.handling():
        wanted = fresh or DEFAULT_SEEDS if seeds is None else vocabulary().parse({"seeds": seeds})["seeds"]
        plan = plan_confirmation(folder, place, top=top, seeds=wanted, metric=metric)
        if dry_run:
            return show_estimate(plan.rehearse(), as_json=as_json, reuse=not no_reuse)
        with plan.begin() as session, outcome(session, again, verbose=verbose):
            swept = train(session, reuse=not no_reuse, display=partial(progress_for, console, verbose=verbose))
            result = confirmed(session, swept, metric)
    found = {"seeds": list(result.seeds), "configurations": [asdict(each) for each in result.confirmed]}
    status = show_result(console, result.sweep, as_json=as_json, broker=broker, unmade=session.unmade, confirmed=found)
    if not as_json:
        print_confirmation(console, result)
    return status


def print_confirmation(console: Console, result: ConfirmationResult) -> None:
    """Print each configuration's mean before and under the fresh seeds, and a sentence about the leader."""
    board = result.sweep.leaderboard
    rows = [
        (
            str(place),
            *(board.names.shown(name, value) for name, value in each.options.items()),
            board.names.metric.number(each.before.mean),
            str(each.before),
            with_interval(board.names.metric, each.fresh.mean, each.fresh.interval),
            str(each.fresh),
            each.shrunk(board.names.metric),
        )
        for place, each in enumerate(result.confirmed, 1)
    ]
    unit = ", in %" if board.names.metric.is_share else ""
    fresh = counted(len(result.seeds), "fresh seed")
    say(console, f"\nThe leaders under {fresh} ({seeds_as_text(result.seeds)}): {board.names.metric.name}{unit}")
    varying = (describe.heading(board.names.model, name) for name in result.confirmed[0].options)
    headings = ("rank before", *varying, "before", "seeds", "fresh", "fresh seeds", "shrinkage")
    print_table(console, headings, rows, spare=("rank before", "fresh seeds", "seeds"))
    say(console, str(result))
