"""`orchestrator verify`: reads its arguments, calls the command, shows its result."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from nn.errors import InvalidInputError, SeedsweepError
from nn.options.network import MAX_SEED
from orchestrator.cli.outcome import fail, interruptible
from orchestrator.cli.output import complain, print_table, say
from orchestrator.cli.words.arguments import embedded_workers, output_folder, settings_for, sweep_name
from orchestrator.commands.verify import DEFAULT_JOBS, VerificationPlan, VerificationResult, plan_verification, verify
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interrupted, Interruption
from orchestrator.running.verify import WEIGHTS_FILE, Check
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted
from worker.text import one_line


@dataclass(frozen=True)
class Options:
    """The words and options of `orchestrator verify`, as they were typed."""

    words: Sequence[str]
    jobs: str | None
    every: bool
    seed: str | None
    broker: str | None
    workers: str | None
    output: str
    json: bool


def run_verify(name: str, options: Options) -> int:
    """Train jobs again, show what is different, and return the exit status: 0 if nothing is, 1 if anything is.

    Raises:
        SeedsweepError: bad input; nothing was begun.
    """
    console = Console(stderr=options.json, highlight=False)
    with interruptible() as interruption:
        try:
            result = _verify(make_plan(name, options), console, interruption)
        except Interrupted:
            complain("Interrupted: nothing was changed")
            raise
    if options.json:
        _print_json(result)
    else:
        _print_table(console, result)
    return 1 if result.different else 0


def _verify(plan: VerificationPlan, console: Console, interruption: Interruption) -> VerificationResult:
    numbers = itertools.count(1)

    def show_check(check: Check) -> None:
        say(console, f"[{next(numbers)}/{len(plan.jobs)}] {describe(check, plan.names)}")

    say(console, describe_plan(plan))
    try:
        return verify(plan, tell=partial(say, console), checked=show_check, interruption=interruption)
    except SeedsweepError as error:
        raise fail(error) from None


def make_plan(name: str, options: Options) -> VerificationPlan:
    """Turn the words into values, and plan the verification.

    Raises:
        SeedsweepError: bad input; the message is one sentence.
    """
    settings = settings_for(options.broker)
    workers = embedded_workers(options.workers, settings, options.broker)
    seed = None if options.seed is None else _count("--seed", options.seed, 0)
    if options.every and options.jobs is not None:
        raise InvalidInputError("--jobs", options.jobs, "nothing together with --all")
    jobs = DEFAULT_JOBS if options.jobs is None else _count("--jobs", options.jobs, 1)
    folder = SweepFolder(output_folder(options.output), sweep_name(name))
    return plan_verification(
        folder,
        settings,
        words=options.words,
        jobs=None if options.every else jobs,
        seed=seed,
        workers=workers,
        tell=complain,
    )


def _count(field: str, text: str, low: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and low <= int(text) <= MAX_SEED):
        raise InvalidInputError(field, text, f"an integer from {low} to {MAX_SEED}")
    return int(text)


def describe_plan(plan: VerificationPlan) -> str:
    """Return which jobs are trained again, and where."""
    chosen = f"{len(plan.jobs)} of {counted(plan.candidates, 'job')} of {plan.manifest.name}"
    by = f" (chosen by --seed {plan.seed})" if len(plan.jobs) < plan.candidates else ""
    return f"Training {chosen} again {plan.place.describe(len(plan.jobs))}{by}"


def describe(check: Check, names: JobNames) -> str:
    """Return a check as one line, with its first difference and the number of the others."""
    name = names.job(check.seed, check.options)
    if not check.differences and check.noted:
        first, before = check.noted[0], (check.environments or (None,))[0]
        return (
            f"{name}: {first.what} was {first.kept} and is {first.again}, which is no alarm: the trainer "
            f"{check.trainer} is not exact, and the job was trained on {before or 'another machine'}"
        )
    if not check.differences:
        epochs = check.trained_epochs or check.epochs
        when = "its epoch" if epochs == 1 else f"each of {epochs} epochs"
        return f"{name}: the same weights, and the same {names.metric.name} after {when}"
    first = check.differences[0]
    more = f", and {counted(len(check.differences) - 1, 'more difference')}" if len(check.differences) > 1 else ""
    what = f"{first.what} was {first.kept}, and is {first.again}"
    if first.what == WEIGHTS_FILE:
        what = f"its {first.what} is {first.kept}"
    return one_line(f"{name}: DIFFERENT: {what}{more}")


def _print_table(console: Console, result: VerificationResult) -> None:
    jobs = f"{counted(len(result.checks), 'job')} of {result.name}"
    if not result.different:
        say(console, f"Verified: {jobs} {'gives' if len(result.checks) == 1 else 'give'} the same bits again")
        return
    rows = [
        (check.job[:12], difference.what, _short(difference.kept), _short(difference.again))
        for check in result.different
        for difference in check.differences
    ]
    headings = ("job", "what", "kept", "trained again")
    print_table(console, headings, rows, padding=(0, 1, 0, 0), is_text=True)
    say(console, f"NOT VERIFIED: {len(result.different)} of {jobs} gave something different", style="bold red")


def _short(value: str | float | None) -> str:
    """Return a value for the table: the first digits of a SHA-256, every digit of a number."""
    text = "-" if value is None else str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text


def _print_json(result: VerificationResult) -> None:
    different = len(result.different)
    content = {
        "name": result.name,
        "seed": result.seed,
        "candidates": result.candidates,
        "verified": len(result.checks) - different,
        "different": different,
        "jobs": [check.model_dump() for check in result.checks],
    }
    print(json.dumps(content, allow_nan=False))
