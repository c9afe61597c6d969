"""`orchestrator extend`: adds seeds, epochs or values to a sweep, and trains what is new."""

from functools import partial

import typer
from rich.console import Console

from nn.errors import Beside, Described, InvalidInputError
from orchestrator.cli.shared.outcome import outcome, show_estimate, show_result
from orchestrator.cli.shared.output import resumption
from orchestrator.cli.shared.parameters import AnySweep, AsJson, BrokerOrOwn, DryRun, NoReuse, ReuseAnyway, Workers
from orchestrator.cli.shared.progress import Verbose, notes_for, progress_for
from orchestrator.cli.shared.words import ExtensionCommand, TypedWords
from orchestrator.cluster.connect import place_for
from orchestrator.commands.extend import plan_extension
from orchestrator.commands.sweep import train

KIND = ExtensionCommand


def command(
    context: typer.Context,
    folder: AnySweep,
    broker: BrokerOrOwn = None,
    workers: Workers = None,
    no_reuse: NoReuse = False,
    reuse_anyway: ReuseAnyway = False,
    verbose: Verbose = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Add seeds, epochs, or values of an option that varies to a sweep, and train what is new.

    More epochs go on from the stored weights of the sweep's jobs, to the same bits as training them at once. Seeds that
    `confirm` and `decide` added to some configurations get no more epochs; the command says how many jobs these are.

    Intervals get wider with a further look, so the verdict on a sweep of few seeds may be undecided afterwards.

    If it is interrupted, repeat the command, or go on by: orchestrator sweep --resume --name NAME

    Example: orchestrator extend night-run --seeds 5-9
    """
    console = Console(stderr=as_json, highlight=False)
    if no_reuse and reuse_anyway:
        raise InvalidInputError("reuse_anyway", Described("given"), Beside("--no-reuse"))
    typed: TypedWords = context.obj
    place = place_for(broker, workers, tell=notes_for(verbose))
    with place.interruption.handling():
        own = folder.manifest().grown
        vocabulary = typed.vocabulary({"trainer": own.trainer, **own.options})
        values = typed.values(vocabulary)
        with typed.spelling(vocabulary):
            plan = plan_extension(folder, place, values, vocabulary)
        if dry_run:
            rehearsal = plan.rehearse()
            rehearsal.any_code = reuse_anyway
            return show_estimate(rehearsal, as_json=as_json, reuse=not no_reuse)
        again = resumption(folder, broker)
        with plan.begin() as session, outcome(session, again, verbose=verbose):
            display = partial(progress_for, console, verbose=verbose)
            result = train(session, reuse=not no_reuse, any_code=reuse_anyway, display=display)
    return show_result(console, result, as_json=as_json, broker=broker, unmade=session.unmade)
