"""`orchestrator decide`: runs a race until it is known which configuration to use."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from rich.console import Console

from orchestrator.analysis.leaderboard.table import as_dict as board_as_dict
from orchestrator.analysis.race import Terms
from orchestrator.cli.shared.outcome import fail, interruptible, outcome, place_flags
from orchestrator.cli.shared.output import complain, print_json, print_leaderboard, say
from orchestrator.cli.shared.parameters import (
    DEFAULT_OUTPUT,
    AsJson,
    BrokerOrOwn,
    Command,
    Output,
    SweepName,
    Workers,
    integer,
    positive,
)
from orchestrator.cli.shared.progress import progress_for
from orchestrator.commands.decide import DecideResult, decide, plan_decide
from orchestrator.commands.plan import settings_for
from orchestrator.errors import BrokerUnreachableError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.specification import MAX_JOBS
from orchestrator.text import counted

KIND = Command
#: Exit statuses of a race without an answer, and of a cluster that failed; 0 is an answer, 2 bad input.
TIED = 1
CLUSTER_FAILED = 3


def command(
    name: SweepName,
    within: Annotated[
        float,
        positive(
            "The tolerance, in the unit of the metric: 0.001 is 0.1 points of accuracy. A configuration is good "
            "enough if no other is better by more.",
        ),
    ],
    budget: Annotated[int, integer(1, MAX_JOBS, "The most jobs to add to the sweep, in all sessions of the race.")],
    broker: BrokerOrOwn = None,
    workers: Workers = None,
    output: Output = DEFAULT_OUTPUT,
    as_json: AsJson = False,
) -> int:
    """Train further seeds of a sweep's best configurations until it is known which one to use.

    The race looks at 5, 10, 20, 40, ... seeds. A configuration that another one beats leaves it, and gets no further
    seeds. The race ends when one is left, when no other can be better than the leader by more than --within, or when
    the next look takes more jobs than --budget has left. The best configuration leaves with a probability of at most
    5 % over the whole race. After a crash, the same command goes on, with the same decisions.

    Exit status: 0 if it is known which configuration to use, 1 if not, 2 for bad input, 3 if the cluster failed.

    Example: orchestrator decide night-run --within 0.001 --budget 200
    """
    console = Console(stderr=as_json, highlight=False)
    settings = settings_for(broker, workers)
    again = ["orchestrator", "decide", name, "--within", str(within), "--budget", str(budget)]
    again += place_flags(output, broker)
    with interruptible() as interruption:
        try:
            plan = plan_decide(SweepFolder(output, name), within, budget, settings, workers=workers, tell=complain)
        except BrokerUnreachableError as error:
            raise fail(error, status=CLUSTER_FAILED) from None
        with plan.begin(interruption) as session, outcome(session, again, status=CLUSTER_FAILED):
            result = decide(session, Terms(within, budget), display=partial(progress_for, console))
    if as_json:
        print_json(as_dict(result))
    else:
        show(console, result)
    return 0 if result.conclusion.decided else TIED


def show(console: Console, result: DecideResult) -> None:
    """Print the table of all configurations, and the costs; the answer comes last, where it is seen."""
    # Without the verdict: the race's answer has another guarantee.
    print_leaderboard(console, result.leaderboard, verdict=False)
    say(console, str(result.sweep.accounting))
    say(console, f"Results: {result.sweep.folder.path} (leaderboard.csv, results.jsonl, weights)")
    for sentence in (*_costs(result), result.conclusion.sentence):
        say(console, sentence)


def _costs(result: DecideResult) -> list[str]:
    """Return what the race cost, compared with the full grid."""
    course, told = result.course, []
    if result.jobs:
        told.append(f"This session: {counted(result.jobs, 'job')} in {duration(result.seconds)}")
    if course.seeds:
        every = f"All {len(course.field.configurations)} configurations at {course.seeds} seeds"
        told.append(f"{every} are {counted(course.full_grid, 'job')}, of which the race did without {course.saved}")
    return told


def duration(seconds: float) -> str:
    """Return a duration in words: in seconds below 90 s, in minutes from there on."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def as_dict(result: DecideResult) -> dict[str, Any]:
    """Return what `--json` prints."""
    course, answer, sweep = result.course, result.conclusion, result.sweep
    varying = result.leaderboard.names.varying

    def options(configuration: int) -> dict[str, Any]:
        return course.field.options(configuration, varying)

    return {
        "name": sweep.name,
        "folder": str(sweep.folder.path),
        "verdict": {
            "sentence": answer.sentence,
            "decided": answer.decided,
            "leader": answer.leader,
            "contenders": answer.contenders,
        },
        "race": {
            "ended": course.ended,
            "within": result.terms.within,
            "budget": result.terms.budget,
            "spent": course.field.spent,
            "looks": [
                {
                    "seeds": look.seeds,
                    "leader": options(look.leader),
                    "beaten": [options(each) for each in look.beaten],
                    "unfit": [options(each) for each in look.unfit],
                }
                for look in course.looks
            ],
            "full_grid": course.full_grid,
            "saved": course.saved,
        },
        "session": {
            "jobs": result.jobs,
            "seconds": round(result.seconds, 1),
        },
        "accounting": sweep.accounting.model_dump(),
        **{name: each for name, each in board_as_dict(result.leaderboard).items() if name != "verdict"},
    }
