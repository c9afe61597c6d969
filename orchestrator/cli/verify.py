"""`orchestrator verify`: from what it is given to its exit status."""

from __future__ import annotations

import contextlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from nn.datasets.mnist import dataset_digest
from nn.errors import DatasetError, InvalidInputError, SeedsweepError
from orchestrator.cli.arguments import embedded_workers, output_folder, settings_for, sweep_name
from orchestrator.cli.output import complain, print_table
from orchestrator.cluster.connect import cluster_for, embedded_processes
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.interruption import Interrupted, Interruption
from orchestrator.running.verify import WEIGHTS_FILE, Check, Verification, choose
from orchestrator.sweeps.manifest import Manifest
from orchestrator.text import counted, say
from worker.job import Job
from worker.redis.address import hide_password
from worker.settings import Settings
from worker.text import one_line

DEFAULT_JOBS = 5
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Options:
    """What `orchestrator verify` is given beside the sweep's name."""

    jobs: str | None
    every: bool
    seed: str | None
    broker: str | None
    workers: str | None
    output: str
    json: bool


@dataclass(frozen=True)
class Plan:
    """A verification of which everything was checked, and nothing was begun."""

    folder: SweepFolder
    manifest: Manifest
    rows: dict[str, Row]
    jobs: list[Job]
    candidates: int
    seed: int
    settings: Settings
    workers: int | None


def run_verify(name: str, options: Options) -> int:
    """Train jobs again, show what is different, and return the exit status: 0 if nothing is, 1 if anything is.

    Raises:
        SeedsweepError: bad input, with nothing begun.
    """
    interruption = Interruption()
    try:
        with interruption.handling():
            plan = make_plan(name, options)
            console = Console(stderr=options.json, highlight=False)
            try:
                checks = _check(plan, interruption, console)
            except SeedsweepError as error:
                complain(f"orchestrator: {error}")
                return 1
    except Interrupted as interrupted:
        complain("Interrupted: nothing was changed")
        return interrupted.status
    different = [check for check in checks if check.differences]
    if options.json:
        _print_json(name, plan, checks)
    else:
        _print_table(console, name, checks)
    return 1 if different else 0


def make_plan(name: str, options: Options) -> Plan:
    """Check everything that can be checked without beginning.

    Raises:
        SeedsweepError: something is not as it must be.
    """
    settings = settings_for(options.broker)
    workers = embedded_workers(options.workers, settings, options.broker)
    seed = random.SystemRandom().randint(0, MAX_SEED) if options.seed is None else _count("--seed", options.seed, 0)
    if options.every and options.jobs is not None:
        raise InvalidInputError("--jobs", options.jobs, "nothing beside --all")
    count = DEFAULT_JOBS if options.jobs is None else _count("--jobs", options.jobs, 1)
    folder = SweepFolder(output_folder(options.output), sweep_name(name))
    manifest = folder.manifest()
    jobs = {job.key: job for job in manifest.specification.jobs(manifest.dataset)}
    rows = {key: row for key, row in folder.rows().items() if row.accepted and key in jobs}
    if not rows:
        raise SweepNotFoundError(f"The sweep {name} in {folder.path.parent} has no result to verify")
    in_order = [rows[key] for key in jobs if key in rows]
    chosen = choose(in_order, len(in_order) if options.every else count, seed)
    if settings.broker_url is None:
        _check_dataset(manifest, settings)
    else:
        from orchestrator.cluster.cluster import Cluster

        Cluster(settings).check_answer()
    return Plan(folder, manifest, rows, [jobs[row.job] for row in chosen], len(rows), seed, settings, workers)


def _count(field: str, text: str, low: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and low <= int(text) <= MAX_SEED):
        raise InvalidInputError(field, text, f"an integer from {low} to {MAX_SEED}")
    return int(text)


def _check_dataset(manifest: Manifest, settings: Settings) -> None:
    data = manifest.specification.data
    found = dataset_digest(data, cache_dir=settings.cache_dir)
    if found != manifest.dataset:
        raise DatasetError(
            f"The data set {data} is now {found[:12]}; the sweep {manifest.name} was trained on {manifest.dataset[:12]}"
        )


def _check(plan: Plan, interruption: Interruption, console: Console) -> list[Check]:
    def tell(text: str) -> None:
        say(console, text)

    processes = embedded_processes(plan.workers, len(plan.jobs))
    where = f"on this machine, {processes} at a time"
    if plan.settings.broker_url is not None:
        where = f"on the cluster at {hide_password(plan.settings.broker_url)}"
    chosen = f"{len(plan.jobs)} of {counted(plan.candidates, 'job')} of {plan.manifest.name}"
    by = f" (chosen by --seed {plan.seed})" if len(plan.jobs) < plan.candidates else ""
    tell(f"Training {chosen} again {where}{by}")
    data = plan.manifest.specification.data
    checks = []
    with (
        cluster_for(plan.settings, data=data, processes=processes, interruption=interruption, tell=tell) as cluster,
        contextlib.closing(Verification(cluster, plan.folder, tell).check(plan.jobs, plan.rows)) as found,
    ):
        for check in found:
            checks.append(check)
            tell(f"[{len(checks)}/{len(plan.jobs)}] {describe(check)}")
    order = {job.key: place for place, job in enumerate(plan.jobs)}
    return sorted(checks, key=lambda check: order[check.job])


def describe(check: Check) -> str:
    """Return a check as one line; the first difference stands for all."""
    name = f"seed {check.seed}, learning rate {check.learning_rate:g}"
    if not check.differences:
        when = "its epoch" if check.epochs == 1 else f"each of {check.epochs} epochs"
        return f"{name}: the same weights, and the same accuracy after {when}"
    first = check.differences[0]
    more = f", and {counted(len(check.differences) - 1, 'more difference')}" if len(check.differences) > 1 else ""
    what = f"{first.what} was {first.kept}, and is {first.again}"
    if first.what == WEIGHTS_FILE:
        what = f"its {first.what} is {first.kept}"
    return one_line(f"{name}: DIFFERENT: {what}{more}")


def _print_table(console: Console, name: str, checks: Sequence[Check]) -> None:
    differences = [(check, difference) for check in checks for difference in check.differences]
    if not differences:
        verb = "gives" if len(checks) == 1 else "give"
        say(console, f"Verified: {counted(len(checks), 'job')} of {name} {verb} the same bits again")
        return
    rows = [
        (check.job[:12], difference.what, _short(difference.kept), _short(difference.again))
        for check, difference in differences
    ]
    headings = ("job", "what", "kept", "trained again")
    print_table(console, headings, rows, padding=(0, 1, 0, 0), is_text=True)
    wrong = sum(bool(check.differences) for check in checks)
    say(
        console,
        f"NOT VERIFIED: something is different in {wrong} of {counted(len(checks), 'job')} of {name}",
        style="bold red",
    )


def _short(value: str | float | None) -> str:
    """Return a value for the table: of a SHA-256 its first digits, of a number all."""
    text = "-" if value is None else str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text


def _print_json(name: str, plan: Plan, checks: Sequence[Check]) -> None:
    wrong = sum(bool(check.differences) for check in checks)
    content = {
        "name": name,
        "seed": plan.seed,
        "candidates": plan.candidates,
        "verified": len(checks) - wrong,
        "different": wrong,
        "jobs": [check.model_dump() for check in checks],
    }
    print(json.dumps(content, allow_nan=False))
