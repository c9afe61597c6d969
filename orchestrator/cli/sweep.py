"""`orchestrator sweep` and `submit`: train a new sweep or go on with one, or queue one on a cluster."""

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nn.errors import Beside, Described, InvalidInputError
from orchestrator.cli.shared.outcome import outcome, show_estimate, show_result
from orchestrator.cli.shared.output import answer, complain, place_flags, resumption, say
from orchestrator.cli.shared.parameters import (
    DEFAULT_OUTPUT,
    KEEPING,
    AsJson,
    Broker,
    BrokerOrOwn,
    DryRun,
    Metric,
    NoReuse,
    Output,
    ReuseAnyway,
    Workers,
    integer,
    sweeps,
    telling_outdated,
)
from orchestrator.cli.shared.progress import Verbose, notes_for, progress_for
from orchestrator.cli.shared.words import SpecificationCommand, TypedWords
from orchestrator.cluster.connect import Place, place_for, require_broker
from orchestrator.commands.sweep import SweepPlan, plan_words, train
from orchestrator.commands.sweep import submit as queued
from orchestrator.errors import MissingPackageError
from orchestrator.folder.sweeps import open_sweep
from orchestrator.sweeps.files import SpecificationFile
from orchestrator.sweeps.manifest import check_keep_weights
from orchestrator.sweeps.specification import MAX_JOBS
from orchestrator.text import counted
from worker.settings import MAX_TIME_LIMIT

KIND = SpecificationCommand

NewName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", autocompletion=lambda ctx: sweeps(ctx) if ctx.params.get("resume") else [],
        help="The sweep's name.  [default: sweep-DATE-TIME]",
    ),
]  # fmt: skip
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave out combinations that the trainer's options do not allow.")
]
KeepWeights = Annotated[
    str | None,
    typer.Option(
        parser=check_keep_weights,
        help="The weights that the sweep's folder keeps, from now on; best:3 are those of the best 3 jobs of each "
        "configuration.  [default: as before; all in a new sweep of up to 1,000 jobs, best:3 in a larger one]",
        **KEEPING,
    ),
]


def command(
    context: typer.Context,
    name: NewName = None,
    output: Output = DEFAULT_OUTPUT,
    broker: BrokerOrOwn = None,
    workers: Workers = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep --name, or the last one.")] = False,
    no_reuse: NoReuse = False,
    reuse_anyway: ReuseAnyway = False,
    reuse_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR",
            help="Take also results of this sweep, which may be anywhere and another user's; may be repeated.",
        ),
    ] = None,
    fail_fast: Annotated[
        int | None, integer(1, MAX_JOBS, "End the sweep when this number of jobs has failed; cancel the others.")
    ] = None,
    time_limit: Annotated[
        int | None,
        integer(1, MAX_TIME_LIMIT, "Seconds after which a job of an embedded cluster fails.  [default: no limit]"),
    ] = None,
    skip_invalid: SkipInvalid = False,
    keep_weights: KeepWeights = None,
    metric: Metric = None,
    report: Annotated[
        bool, typer.Option("--report", help="Write the sweep's report at the end, as orchestrator report does.")
    ] = False,
    verbose: Verbose = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Train a network for every seed and combination of options, and show a leaderboard.

    Every training option can vary: repeat its flag, or separate values by commas. A range gives several values:
    log:0.001..0.3:7 gives 7 at equal ratios, linear:0..1:5 gives 5 at equal distances.

    Example: orchestrator sweep --seeds 0-4 --learning-rates 0.01,0.03 --epochs 10 --name night-run
    """
    console = Console(stderr=as_json, highlight=False)
    if no_reuse and (reuse_anyway or reuse_from):
        field = "reuse_anyway" if reuse_anyway else "reuse_from"
        raise InvalidInputError(field, Described("given"), Beside("--no-reuse"))
    if report:
        # Imported here because it takes a while, and few sweeps ask for it.
        from orchestrator.cli.report import rewritten

        MissingPackageError.check("--report")
    place = place_for(broker, workers, time_limit, notes_for(verbose))
    with place.interruption.handling():
        named = [open_sweep(each, output) for each in reuse_from or ()]
        plan = make_plan(context.obj, name, output, place, resume=resume, skip_invalid=skip_invalid).judged_by(metric)
        if not report and verbose is not False:
            context.with_resource(telling_outdated(plan.folder.path))
        if dry_run:
            rehearsal = plan.rehearse(keep_weights)
            rehearsal.any_code, rehearsal.reuse_from = reuse_anyway, named
            return show_estimate(rehearsal, as_json=as_json, reuse=not no_reuse)
        again = resumption(plan.folder, broker)
        again += [] if time_limit is None else ["--time-limit", str(time_limit)]
        with plan.begin() as session, outcome(session, again, verbose=verbose):
            result = train(
                session,
                reuse=not no_reuse,
                any_code=reuse_anyway,
                reuse_from=named,
                fail_fast=fail_fast,
                keep_weights=keep_weights,
                display=partial(progress_for, console, verbose=verbose),
            )
        show = partial(show_result, console, result, as_json=as_json, broker=broker, unmade=session.unmade)
        if as_json and report:
            path = rewritten(plan.folder, place.settings)
            return show(report=None if path is None else str(path))
        status = show()
        if report and (path := rewritten(plan.folder, place.settings)):
            say(console, f"Report: {path}")
        return status


def submit(
    context: typer.Context,
    name: NewName = None,
    output: Output = DEFAULT_OUTPUT,
    broker: Broker = None,
    no_reuse: NoReuse = False,
    skip_invalid: SkipInvalid = False,
    keep_weights: KeepWeights = None,
    metric: Metric = None,
    as_json: AsJson = False,
) -> int:
    """Queue the jobs of a new sweep on a cluster, and return at once; watch collects their results.

    The options are those of orchestrator sweep.

    Example: orchestrator submit --seeds 0-9 --name night-run --broker redis://gpu-host:6379/0
    """
    place = place_for(broker, tell=complain)
    with place.interruption.handling():
        require_broker(place.settings)
        plan = make_plan(context.obj, name, output, place, resume=False, skip_invalid=skip_invalid).judged_by(metric)
        with plan.begin() as session, outcome(session, resumption(plan.folder, broker)):
            swept = queued(session, reuse=not no_reuse, keep_weights=keep_weights)
    watch = shlex.join(["orchestrator", "watch", swept.name, *place_flags(swept.folder, broker)])
    told = f"{counted(len(swept.jobs), 'job')} of {swept.name} submitted; follow them by: {watch}"
    content = {"name": swept.name, "folder": str(swept.folder.path), "jobs": len(swept.jobs), "watch": watch}
    return answer(told, as_json=as_json, **content)


def make_plan(
    typed: TypedWords, name: str | None, output: Path, place: Place, *, resume: bool, skip_invalid: bool = False
) -> SweepPlan:
    """Return the plan of the sweep that the words describe, or that `--resume` goes on with."""
    # An empty path would be the current folder.
    if typed.spec == "":
        raise InvalidInputError("spec", typed.spec, "the path of a TOML file, or of a sweep's sweep.json")
    file = SpecificationFile(None if typed.spec is None else Path(typed.spec))
    vocabulary = typed.vocabulary(file.words)
    values = file.values(vocabulary) | typed.values(vocabulary)
    spelled = partial(typed.spelled, vocabulary=vocabulary)
    with typed.spelling(vocabulary):
        return plan_words(
            values, vocabulary, name, output, place, resume=resume, skip_invalid=skip_invalid, spelled=spelled
        )
