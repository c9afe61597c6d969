"""`orchestrator decide`: reads its arguments, calls the command, shows its result."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console

from nn.errors import InvalidInputError
from orchestrator.analysis.leaderboard.export import as_dict as board_as_dict
from orchestrator.analysis.race.conclusion import duration
from orchestrator.cli.outcome import fail, interruptible, outcome, place_flags
from orchestrator.cli.output import complain, print_leaderboard, say
from orchestrator.cli.progress import progress_for
from orchestrator.cli.words.arguments import embedded_workers, output_folder, settings_for, sweep_name
from orchestrator.commands.growing.decide import DecidePlan, DecideResult, decide, plan_decide
from orchestrator.commands.sweep import begin
from orchestrator.errors import BrokerUnreachableError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.text import counted

#: Exit statuses beside 0, for a race with an answer, and 2, for bad input.
TIED = 1
CLUSTER_FAILED = 3


@dataclass(frozen=True)
class Options:
    """The arguments of `orchestrator decide`, as they were typed."""

    name: str
    within: str
    budget: str
    broker: str | None
    workers: str | None
    output: str
    json: bool


def run_decide(options: Options) -> int:
    """Run a race and return the exit status: 0 if it has an answer, 1 if not, 3 if the cluster failed.

    Raises:
        SeedsweepError: bad input; nothing was begun.
    """
    console = Console(stderr=options.json, highlight=False)
    command = ["orchestrator", "decide", options.name, "--within", options.within, "--budget", options.budget]
    command += place_flags(options.output, options.broker)
    with interruptible() as interruption:
        plan = _plan(options)
        with begin(plan.sweep, interruption) as session, outcome(session, command, status=CLUSTER_FAILED):
            result = decide(session, plan.terms, display=partial(progress_for, console))
    if options.json:
        print(json.dumps(as_dict(result), allow_nan=False))
    else:
        show(console, result)
    return 0 if result.conclusion.decided else TIED


def _plan(options: Options) -> DecidePlan:
    settings = settings_for(options.broker)
    workers = embedded_workers(options.workers, settings, options.broker)
    folder = SweepFolder(output_folder(options.output), sweep_name(options.name))
    within, budget = _number(options.within), _integer(options.budget)
    try:
        return plan_decide(folder, within, budget, settings, workers=workers, tell=complain)
    except InvalidInputError as error:
        typed = {"within": options.within, "budget": options.budget}
        if error.field not in typed:
            raise
        raise InvalidInputError(f"--{error.field}", typed[error.field], error.allowed) from None
    except BrokerUnreachableError as error:
        raise fail(error, status=CLUSTER_FAILED) from None


def _number(text: str) -> float:
    try:
        return float(text) if re.fullmatch(r"[0-9.eE+-]{1,30}", text) else math.nan
    except ValueError:
        return math.nan


def _integer(text: str) -> int:
    # int() would also accept 1_0, and digits of other scripts.
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


def show(console: Console, result: DecideResult) -> None:
    """Print the table of all configurations, and what the race took; the answer comes last, where it is seen."""
    # Without its verdict: the race has its own, which has another guarantee.
    print_leaderboard(console, result.sweep.leaderboard, verdict=False)
    say(console, str(result.sweep.accounting))
    say(console, f"Results: {result.sweep.folder} (leaderboard.csv, results.jsonl, weights)")
    for sentence in (*_costs(result), result.conclusion.sentence):
        say(console, sentence)


def _costs(result: DecideResult) -> list[str]:
    """Return what the race took, beside the full grid."""
    course, told = result.course, []
    if result.jobs:
        told.append(f"This session: {counted(result.jobs, 'job')} in {duration(result.seconds)}")
    if course.seeds:
        every = f"All {len(course.field.configurations)} configurations at {course.seeds} seeds"
        told.append(f"{every} are {counted(course.full_grid, 'job')}, of which the race did without {course.saved}")
    return told


def as_dict(result: DecideResult) -> dict[str, Any]:
    """Return what `--json` prints."""
    course, answer, sweep = result.course, result.conclusion, result.sweep
    varying = sweep.leaderboard.names.varying

    def options(configuration: int) -> dict[str, Any]:
        return course.field.options(configuration, varying)

    return {
        "name": sweep.name,
        "folder": str(sweep.folder),
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
        **{name: each for name, each in board_as_dict(sweep.leaderboard).items() if name != "verdict"},
    }
