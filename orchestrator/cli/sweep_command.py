"""`orchestrator sweep`: from what it is given to its exit status."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from nn.dataset import dataset_digest
from nn.errors import InvalidInputError, SeedsweepError
from orchestrator import fields
from orchestrator.cli.output import print_end, print_json
from orchestrator.cli.sweep import DEFAULT_OUTPUT, Options
from orchestrator.errors import SweepExistsError, SweepNotFoundError
from orchestrator.leaderboard import leaderboard, to_csv, to_json
from orchestrator.progress import progress_for
from orchestrator.provenance import provenance
from orchestrator.rows import Accounting
from orchestrator.run import Run
from orchestrator.run_folder import Manifest, RunFolder, free_name
from orchestrator.signals import Interrupted, Interruption
from orchestrator.sweep import SweepSpecification
from worker.job import Job
from worker.settings import Settings, load_settings
from worker.urls import hide_password, redis_url

MAX_WORKERS = 1024


@dataclass(frozen=True)
class Plan:
    """A sweep of which everything was checked, and nothing was begun."""

    folder: RunFolder
    specification: SweepSpecification
    dataset: str
    jobs: dict[str, Job]
    settings: Settings
    workers: int | None
    earlier: Manifest | None


def run_sweep(words: Mapping[str, object], options: Options) -> int:
    """Run a sweep and return the exit status: 0 if every job has a result, 1 if not, 130 or 143 after a signal.

    Raises:
        SeedsweepError: bad input, with nothing begun.
    """
    interruption = Interruption()
    try:
        with interruption.handling():
            plan = make_plan(words, options)
            if plan.earlier is None:
                with interruption.shield():
                    plan.folder.create(_manifest(plan))
            with plan.folder.exclusive():
                if plan.earlier is not None:
                    resumed = [*plan.earlier.resumed, provenance()]
                    plan.folder.write_manifest(plan.earlier.model_copy(update={"resumed": resumed}))
                return _run(plan, options, interruption)
    except Interrupted as interrupted:
        return interrupted.status


def make_plan(words: Mapping[str, object], options: Options) -> Plan:
    """Check everything that can be checked without beginning.

    Raises:
        SeedsweepError: something is not as it must be; the message is one sentence.
    """
    given = fields.parse(words)
    if options.spec is not None:
        given = fields.read_toml(Path(options.spec)) | given
    settings = _settings(options)
    workers = _workers(options, settings)
    folder = RunFolder(_output(options), _name(options))
    earlier = folder.manifest() if options.resume else None
    if earlier is None:
        folder.refuse_existing()
        specification = fields.specification({"data": fields.parse({"data": settings.data})["data"]} | given)
    else:
        specification = earlier.specification
        _refuse_difference(given, earlier)
    dataset = dataset_digest(specification.data, cache_dir=settings.cache_dir)
    jobs = {job.key: job for job in specification.jobs(dataset)}
    if earlier is not None:
        _refuse_other_jobs(earlier, dataset, list(jobs))
    else:
        folder.check_writable()
    if settings.broker_url is not None:
        # Celery, which an embedded cluster can import while it starts.
        from orchestrator.broker import Broker

        Broker(settings).check_answer()
    return Plan(folder, specification, dataset, jobs, settings, workers, earlier)


def _settings(options: Options) -> Settings:
    settings = load_settings()
    if options.broker is not None:
        settings = settings.model_copy(update={"broker_url": redis_url(options.broker, "--broker")})
    return settings


def _workers(options: Options, settings: Settings) -> int | None:
    if options.workers is None:
        return None
    if settings.broker_url is not None:
        where = "--broker" if options.broker is not None else "CELERY_BROKER_URL"
        raise InvalidInputError("--workers", options.workers, f"nothing beside {where}, whose workers are its own")
    try:
        workers = int(options.workers)
    except ValueError:
        workers = 0
    if not 1 <= workers <= MAX_WORKERS:
        raise InvalidInputError("--workers", options.workers, f"an integer from 1 to {MAX_WORKERS}")
    return workers


def _output(options: Options) -> Path:
    if not options.output or "\0" in options.output:
        raise InvalidInputError("--output", options.output, "the path of a folder")
    return Path(options.output)


def _name(options: Options) -> str:
    if options.name is not None:
        return options.name
    if options.resume:
        raise SweepNotFoundError("--resume needs the --name of the sweep to go on with")
    return free_name(_output(options))


def _refuse_difference(given: Mapping[str, Any], earlier: Manifest) -> None:
    """Refuse words that say something else than the sweep's own specification."""
    for word, value in given.items():
        own = getattr(earlier.specification, word)
        if value != own:
            shown = ",".join(map(str, own)) if isinstance(own, tuple) else own
            raise InvalidInputError(
                fields.flag(word), value, f"{shown}, as the sweep {earlier.name} began (or leave it out)"
            )


def _refuse_other_jobs(earlier: Manifest, dataset: str, keys: list[str]) -> None:
    if dataset != earlier.dataset:
        raise SweepExistsError(
            f"The sweep {earlier.name} began on the data set {earlier.dataset[:12]}, and "
            f"{earlier.specification.data} is now {dataset[:12]}: give the new sweep another --name"
        )
    if keys != earlier.jobs:
        raise SweepExistsError(
            f"The sweep {earlier.name} began with other jobs than its specification gives in this version: "
            "give the new sweep another --name"
        )


def _manifest(plan: Plan) -> Manifest:
    return Manifest(
        name=plan.folder.name,
        specification=plan.specification,
        dataset=plan.dataset,
        jobs=list(plan.jobs),
        provenance=provenance(),
    )


def _run(plan: Plan, options: Options, interruption: Interruption) -> int:
    run = Run(
        plan.folder, plan.jobs, plan.settings, plan.specification.data, interruption,
        workers=plan.workers, resuming=plan.earlier is not None,
    )  # fmt: skip
    console = Console(stderr=options.json, highlight=False)
    try:
        _train(run, options, console)
        standings = leaderboard(run.jobs.values(), run.rows)
        with interruption.shield():
            run.folder.finish(run.rows, list(run.jobs), to_csv(standings), to_json(standings))
    except SeedsweepError as error:
        print(f"orchestrator: {error}\n{how_to_go_on(run, options)}", file=sys.stderr)
        return 1
    except Interrupted:
        print(f"Interrupted. {how_to_go_on(run, options)}", file=sys.stderr)
        raise
    accounting = Accounting.of(len(run.jobs), run.rows.values())
    if options.json:
        print_json(run.folder, accounting, standings)
    else:
        print_end(console, run.folder, accounting, standings)
    return 0 if accounting.accepted == accounting.jobs else 1


def _train(run: Run, options: Options, console: Console) -> None:
    kept = run.keep_own()
    reused = run.reuse_siblings() if options.reuse else 0
    with progress_for(console, run.jobs, run.rows) as progress:
        progress.message(f"Sweep {run.folder.name}: {len(run.jobs)} jobs")
        if kept:
            progress.message(f"{kept} were finished by an earlier run of this sweep")
        if reused:
            progress.message(f"{reused} are reused from other sweeps in {run.folder.path.parent}")
        if run.missing:
            progress.message(f"Training {len(run.missing)} {_where(run)}")
            run.train(progress, reuse=options.reuse)


def _where(run: Run) -> str:
    if run.settings.broker_url is not None:
        return f"on the cluster at {hide_password(run.settings.broker_url)}"
    return f"on this machine, {run.processes} at a time"


def how_to_go_on(run: Run, options: Options) -> str:
    """Return what to tell someone whose sweep ended early."""
    command = ["orchestrator", "sweep", "--resume", "--name", run.folder.name]
    if options.output != DEFAULT_OUTPUT:
        command += ["--output", options.output]
    queued = ""
    if options.broker is not None:
        command += ["--broker", hide_password(options.broker)]
    if run.settings.broker_url is not None:
        queued = " Jobs that are queued on the cluster stay there, and their results are taken then."
    finished = len(run.jobs) - len(run.missing)
    return (
        f"{finished} of {len(run.jobs)} jobs are kept in {run.folder.path}; go on with: {shlex.join(command)}{queued}"
    )
