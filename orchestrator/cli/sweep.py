"""`orchestrator sweep`: from what it is given to its exit status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from nn.datasets.mnist import MNIST_DIGEST, dataset_digest, load_mnist
from nn.errors import DatasetError, InvalidInputError
from orchestrator.cli.arguments import embedded_workers, output_folder, settings_for
from orchestrator.cli.options import SweepOptions
from orchestrator.cli.outcome import how_to_go_on, run_to_its_end
from orchestrator.cli.output import complain
from orchestrator.cli.progress import progress_for
from orchestrator.errors import SweepExistsError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interrupted, Interruption
from orchestrator.running.session import Session
from orchestrator.sweeps import fields
from orchestrator.sweeps.manifest import Manifest, free_name
from orchestrator.sweeps.provenance import provenance
from orchestrator.sweeps.specification import SweepSpecification
from orchestrator.text import counted
from worker.job import Job
from worker.redis.address import hide_password
from worker.settings import Settings
from worker.validation import Described

#: How many samples MNIST has to train on, known without reading it.
MNIST_SAMPLES = 59_500


@dataclass(frozen=True)
class Plan:
    """A sweep of which everything was checked, and nothing was begun."""

    folder: SweepFolder
    specification: SweepSpecification
    dataset: str
    jobs: dict[str, Job]
    settings: Settings
    workers: int | None
    earlier: Manifest | None


def run_sweep(words: Mapping[str, object], options: SweepOptions) -> int:
    """Run a sweep and return the exit status: 0 if every job has a result, 1 if not, 129, 130 or 143 after a signal.

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


def make_plan(words: Mapping[str, object], options: SweepOptions) -> Plan:
    """Check everything that can be checked without beginning.

    Raises:
        SeedsweepError: something is not as it must be; the message is one sentence.
    """
    given = fields.parse(words)
    if options.spec is not None:
        given = _from_file(options.spec) | given
    settings = settings_for(options.broker)
    workers = embedded_workers(options.workers, settings, options.broker)
    folder = SweepFolder(output_folder(options.output), _name(options))
    earlier = folder.manifest() if options.resume else None
    if earlier is None:
        folder.refuse_existing()
        specification = fields.specification(_from_environment(settings, given) | given)
    else:
        specification = earlier.specification
        _refuse_difference(given, words, options.spec, earlier)
    dataset = _dataset(specification, settings, is_named=earlier is not None or "data" in given)
    jobs = {job.key: job for job in specification.jobs(dataset)}
    if earlier is not None:
        _refuse_other_jobs(earlier, dataset, list(jobs))
    else:
        _refuse_large_limit(specification, words, options.spec, dataset, settings)
        folder.check_writable()
    if settings.broker_url is not None:
        # Celery, which an embedded cluster can import while it starts.
        from orchestrator.cluster.cluster import Cluster

        cluster = Cluster(settings, tell=complain)
        cluster.check_answer()
        # Somebody may have renamed the folder: on the cluster, the sweep has the name with which it began.
        registered = folder.name if earlier is None else earlier.name
        cluster.patiently(lambda: cluster.registry.refuse_other(registered, list(jobs)))
    return Plan(folder, specification, dataset, jobs, settings, workers, earlier)


def _name(options: SweepOptions) -> str:
    if options.name is not None:
        return options.name
    if options.resume:
        raise InvalidInputError("--name", Described("missing"), "the name of the sweep that --resume goes on with")
    return free_name(output_folder(options.output))


def _from_file(spec: str) -> dict[str, Any]:
    # As a path, no text at all would be the current folder.
    if not spec:
        raise InvalidInputError("--spec", spec, "the path of a TOML file")
    return fields.read_toml(Path(spec))


def _from_environment(settings: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    if "data" in given:
        return {}
    return fields.parse({"data": settings.data}, spell=lambda _: "SEEDSWEEP_DATA")


def _dataset(specification: SweepSpecification, settings: Settings, *, is_named: bool) -> str:
    try:
        return dataset_digest(specification.data, cache_dir=settings.cache_dir)
    except DatasetError as error:
        if is_named or "data" not in settings.model_fields_set:
            raise
        raise DatasetError(f"SEEDSWEEP_DATA: {error}") from None


def _refuse_difference(
    given: Mapping[str, Any], typed: Mapping[str, object], spec: str | None, earlier: Manifest
) -> None:
    """Refuse words that say something else than the sweep's own specification."""
    for word, value in given.items():
        own = getattr(earlier.specification, word)
        if value == own:
            continue
        field = _spelled(word, typed, spec)
        shown = typed.get(word, Described(fields.written(word, value)))
        allowed = f"{fields.written(word, own)}, as the sweep {earlier.name} began (or leave it out)"
        if own is None:
            allowed = f"nothing, as the sweep {earlier.name} began without it"
        elif isinstance(typed.get(word), bool):
            names = {True: f"--{word}", False: f"--no-{word}"}
            field, shown = names[value], Described("given")
            allowed = f"{names[own]}, as the sweep {earlier.name} began (or leave it out)"
        raise InvalidInputError(field, shown, allowed)


def _spelled(word: str, typed: Mapping[str, object], spec: str | None) -> str:
    return fields.flag(word) if word in typed else f"{word} in {spec}"


def _refuse_large_limit(
    specification: SweepSpecification, typed: Mapping[str, object], spec: str | None, dataset: str, settings: Settings
) -> None:
    """Refuse a limit that is none: its jobs would be named otherwise than those without one, and be the same."""
    limit = specification.limit
    if limit is None:
        return
    samples = MNIST_SAMPLES
    if dataset != MNIST_DIGEST:
        samples = len(load_mnist(specification.data, cache_dir=settings.cache_dir).train)
    if limit > samples:
        allowed = f"an integer from 1 to {samples}, which is all that the data set has to train on (or leave it out)"
        raise InvalidInputError(_spelled("limit", typed, spec), typed.get("limit", limit), allowed)


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


def _run(plan: Plan, options: SweepOptions, interruption: Interruption) -> int:
    run = Session(
        plan.folder, plan.jobs, plan.settings, plan.specification.data, interruption,
        workers=plan.workers, resuming=plan.earlier is not None,
    )  # fmt: skip
    command = ["orchestrator", "sweep", "--resume", "--name", run.folder.name]
    return run_to_its_end(
        run,
        lambda console: _train(run, options, console),
        as_json=options.json,
        go_on=lambda: how_to_go_on(run, command, options.output, options.broker),
    )


def _train(run: Session, options: SweepOptions, console: Console) -> None:
    kept = run.keep_own()
    reused = run.reuse_siblings() if options.reuse else 0
    with progress_for(console, run.jobs, run.rows) as progress:
        progress.message(f"Sweep {run.folder.name}: {counted(len(run.jobs), 'job')}")
        if kept:
            progress.message(f"{kept} {'was' if kept == 1 else 'were'} finished by an earlier run of this sweep")
        if reused:
            verb = "is" if reused == 1 else "are"
            progress.message(f"{reused} {verb} reused from other sweeps in {run.folder.path.parent}")
        if run.missing:
            progress.message(f"Training {len(run.missing)} {_where(run)}")
        if run.missing or run.settings.broker_url is not None:
            run.train(progress, reuse=options.reuse)


def _where(run: Session) -> str:
    if run.settings.broker_url is not None:
        return f"on the cluster at {hide_password(run.settings.broker_url)}"
    return f"on this machine, {run.processes} at a time"
