"""`orchestrator decide`: runs a race until it is known which configuration to use."""

from functools import partial
from typing import Annotated

from rich.console import Console

from orchestrator.analysis.race import Terms
from orchestrator.cli.shared.outcome import fail, outcome, show_estimate, show_faults
from orchestrator.cli.shared.output import place_flags, print_result, print_result_as_json, say
from orchestrator.cli.shared.parameters import AnySweep, AsJson, BrokerOrOwn, DryRun, Metric, Workers, integer, positive
from orchestrator.cli.shared.progress import Verbose, notes_for, progress_for
from orchestrator.cluster.connect import place_for
from orchestrator.commands.decide import DecideResult, at_most, decide, plan_decide
from orchestrator.errors import BrokerUnreachableError
from orchestrator.sweeps.specification import MAX_JOBS
from orchestrator.text import counted, duration

#: Exit statuses of a race without an answer, and of a cluster that failed; 0 is an answer, 2 bad input.
TIED = 1
CLUSTER_FAILED = 3


def command(
    within: Annotated[
        float,
        positive(
            "The tolerance, in the unit of the metric: 0.001 is 0.1 points of accuracy. A configuration is good "
            "enough if no other is better by more."
        ),
    ],
    budget: Annotated[int, integer(1, MAX_JOBS, "The most jobs to add to the sweep, in all sessions of the race.")],
    folder: AnySweep,
    metric: Metric = None,
    broker: BrokerOrOwn = None,
    workers: Workers = None,
    verbose: Verbose = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Train further seeds of a sweep's best configurations until it is known which one to use.

    The race looks at 5, 8, 12, 18, 27, ... seeds. At each look, only the leader and those that may be better by more
    than --within get further seeds. The race ends when there are none of these, or when the next look takes more jobs
    than --budget has left. Its verdict is right with a probability of at least 95 %, over all looks together. A sweep
    whose verdict is within the tolerance already keeps it, and trains nothing. After a crash, the same command goes on,
    with the same decisions.

    Exit status: 0 if it is known which configuration to use, 1 if not, 2 for bad input, 3 if the cluster failed.

    Example: orchestrator decide night-run --within 0.001 --budget 200
    """
    console = Console(stderr=as_json, highlight=False)
    place = place_for(broker, workers, tell=notes_for(verbose))
    terms = Terms(within, budget, metric)
    again = ["orchestrator", "decide", folder.name, "--within", str(within), "--budget", str(budget)]
    again += [*(["--metric", metric] if metric is not None else []), *place_flags(folder, broker)]
    with place.interruption.handling():
        try:
            plan = plan_decide(folder, terms, place)
        except BrokerUnreachableError as error:
            raise fail(error, status=CLUSTER_FAILED) from None
        if dry_run:
            return show_estimate(plan.rehearse(), as_json=as_json, race=at_most(plan, terms))
        with plan.begin() as session, outcome(session, again, status=CLUSTER_FAILED, verbose=verbose):
            result = decide(session, terms, display=partial(progress_for, console, verbose=verbose))
    if as_json:
        race = {name: getattr(result.race, name) for name in ("ended", "spent", "full_grid", "saved")}
        told = {"jobs": result.jobs, "seconds": round(result.seconds, 1)}
        print_result_as_json(result.sweep, race=race | {"within": within, "budget": budget}, session=told)
    else:
        show(console, result)
    show_faults(console, result.sweep, session.unmade)
    return 0 if result.sweep.judgement.verdict.decided else TIED


def show(console: Console, result: DecideResult) -> None:
    """Print the table of all configurations, and the costs; the answer comes last, where it is seen."""
    race, sweep, verdict = result.race, result.sweep, result.sweep.judgement.verdict
    print_result(console, sweep, verdict=False)
    if result.jobs:
        say(console, f"This session: {counted(result.jobs, 'job')} in {duration(result.seconds)}")
    elif verdict.decided and not race.spent:
        say(console, "No job was needed: the scores decide already")
    if race.spent:
        every = f"All {len(sweep.scored)} configurations at {race.seeds} seeds"
        say(console, f"{every} are {counted(race.full_grid, 'job')}; the race skipped {race.saved}")
    for sentence in filter(None, (str(race), verdict.sentence)):
        say(console, sentence)
