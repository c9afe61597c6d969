"""`orchestrator verify`: trains jobs again, and shows what differs."""

import itertools
import re
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from nn.errors import Beside, InvalidInputError, SeedsweepError
from nn.options.network import MAX_SEED
from orchestrator.cli.shared.outcome import fail
from orchestrator.cli.shared.output import complain, print_json, print_table, say
from orchestrator.cli.shared.parameters import AnySweep, AsJson, BrokerOrOwn, Workers, integer, picking
from orchestrator.cluster.connect import place_for
from orchestrator.commands.verify import DEFAULT_JOBS, Verification, plan_verification, verify
from orchestrator.interruption import Interrupted
from orchestrator.running.retraining import WEIGHTS_FILE, Check
from orchestrator.sweeps.names import JobNames
from orchestrator.sweeps.specification import MAX_JOBS
from orchestrator.text import counted
from worker.text import one_line


def command(
    folder: AnySweep,
    words: Annotated[list[str] | None, picking("every job")] = None,
    jobs: Annotated[int | None, integer(1, MAX_JOBS, "Number of jobs, chosen at random.  [default: 5]")] = None,
    every: Annotated[bool, typer.Option("--all", help="Verify every job that has a result.")] = False,
    seed: Annotated[
        int | None, integer(0, MAX_SEED, "Chooses the jobs: the same seed, the same jobs.  [default: random]")
    ] = None,
    broker: BrokerOrOwn = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> int:
    """Train jobs of a sweep again, and compare weights and accuracies to the bit.

    Words choose among which jobs: orchestrator verify night-run learning_rate=0.01 --all

    Which validation samples each job answers correctly is compared, too, and the sweep's weights files are checked: a
    damaged one counts as a difference, and so does a missing one if the sweep keeps all.

    Exit status: 0 if everything is equal, 1 if anything differs, even if that proves nothing: a trainer that is not
    exact may give other bits in another environment.

    Example: orchestrator verify night-run --jobs 3
    """
    if every and jobs is not None:
        raise InvalidInputError("jobs", jobs, Beside("--all"))
    console = Console(stderr=as_json, highlight=False)
    place = place_for(broker, workers, tell=complain)
    with place.interruption.handling():
        try:
            plan = plan_verification(
                folder,
                place,
                words=words or (),
                jobs=None if every else DEFAULT_JOBS if jobs is None else jobs,
                seed=seed,
            )
            if plan.sweep.folder.damage:
                complain(plan.sweep.folder.damage)
            result = _verify(plan, console)
        except Interrupted:
            complain("Interrupted: nothing was changed")
            raise
    different, noted = len(result.different), len(result.noted)
    if as_json:
        content = {
            "name": result.name,
            "seed": result.seed,
            "candidates": result.candidates,
            "verified": len(result.checks) - different - noted,
            "different": different,
            "noted": noted,
            "jobs": [check.model_dump() for check in result.checks],
        }
        print_json(content)
    else:
        rows = [
            (check.job[:12], difference.what, _short(difference.kept), _short(difference.again))
            for check in result.different
            for difference in check.differences
        ]
        if rows:
            print_table(console, ("job", "what", "kept", "trained again"), rows, padding=(0, 1, 0, 0), is_text=True)
        say(console, str(result), style="bold red" if rows else None)
    return 1 if different or noted else 0


def _verify(plan: Verification, console: Console) -> Verification:
    numbers = itertools.count(1)

    def show_check(check: Check) -> None:
        say(console, f"[{next(numbers)}/{len(plan.jobs)}] {describe(check, plan.sweep.names)}")

    chosen = f"{len(plan.jobs)} of {counted(plan.candidates, 'job')} of {plan.name}"
    by = f" (chosen by --seed {plan.seed})" if len(plan.jobs) < plan.candidates else ""
    say(console, f"Training {chosen} again {plan.place.describe(len(plan.jobs))}{by}")
    try:
        return verify(plan, tell=partial(say, console), checked=show_check)
    except SeedsweepError as error:
        raise fail(error) from None


def describe(check: Check, names: JobNames) -> str:
    """Return a check as one line, with its first difference and the number of the others."""
    name = names.job(check.seed, check.options)
    if not check.differences and check.noted:
        first, where = check.noted[0], (check.environments or (None,))[0] or "an unknown machine"
        return one_line(f"{name}: {first.what} was {first.kept} on {where}, and is {first.again}")
    if not check.differences:
        epochs = check.trained_epochs or check.epochs
        when = "its epoch" if epochs == 1 else f"each of {epochs} epochs"
        return f"{name}: the same weights, and the same {names.own_metric.name} after {when}"
    first = check.differences[0]
    more = f", and {counted(len(check.differences) - 1, 'more difference')}" if len(check.differences) > 1 else ""
    what = f"{first.what} was {first.kept}, and is {first.again}"
    if first.what == WEIGHTS_FILE:
        what = f"its {first.what} is {first.kept}"
    return one_line(f"{name}: DIFFERENT: {what}{more}")


def _short(value: str | float | None) -> str:
    """Return a value for the table: the first digits of a SHA-256, every digit of a number."""
    text = "-" if value is None else str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text
