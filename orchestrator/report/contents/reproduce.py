"""How to train each configuration and each job again, and how to check that the bits are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.analysis.leaderboard.board import Standing
from orchestrator.analysis.leaderboard.scores import Entry
from orchestrator.analysis.leaderboard.table import ranked_jobs
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.contents import commands
from orchestrator.report.contents.standings import MOST_ROWS
from worker.job import Job
from worker.trainers.protocol import Metric

#: How many jobs are listed, the best first.
MOST_JOBS = 200
#: The page does not say where the folder is: whoever reads it may have it elsewhere, and it is nobody else's business.
PLACE = (
    "The commands of this page look for the sweep's folder in the folder runs of the working folder. If it is in "
    "another one, add --output with the path of that one."
)


@dataclass(frozen=True)
class ReproducedRow:
    """A configuration of the table.

    Attributes:
        rank: Its rank.
        name: Its options that vary.
        train: The command that trains its jobs again; None if there is none.
        verify: The command that trains them again and compares; None if no job of it can be compared.
    """

    rank: int
    name: str
    train: str | None
    verify: str | None


@dataclass(frozen=True)
class ReproducedJob:
    """A job.

    Attributes:
        seed: Its seed.
        name: The seed, and the options that vary.
        score: What it reached, or how it ended.
        train: The command that trains it again; None if there is none.
        verify: The command that trains it again and compares; None if it has no result.
    """

    seed: int
    name: str
    score: str
    train: str | None
    verify: str | None


@dataclass(frozen=True)
class ReproduceContent:
    """What the section says.

    Attributes:
        promise: What the commands do, and whether the bits will be the same.
        place: Where the commands of the page look for the sweep.
        why_not: Why a row may have no command, as a clause.
        rows: The configurations of the table.
        rows_in_all: How many configurations there are.
        jobs: The first jobs by their score.
        jobs_in_all: How many jobs there are.
        all_jobs: The command that lists all jobs.
    """

    promise: str
    place: str
    why_not: str
    rows: tuple[ReproducedRow, ...]
    rows_in_all: int
    jobs: tuple[ReproducedJob, ...]
    jobs_in_all: int
    all_jobs: str


def content(sweep: Sweep) -> ReproduceContent:
    """Return what the section says."""
    board, name = sweep.leaderboard, sweep.folder.name
    by_options = _by_options(sweep)
    digits = commands.key_digits(list(sweep.jobs))
    rows = tuple(_row(sweep, each, by_options[_identity(each.options)]) for each in board.standings[:MOST_ROWS])
    jobs = []
    for standing, entry in ranked_jobs(board)[:MOST_JOBS]:
        of_configuration = by_options[_identity(standing.options)].items()
        key, job = next((key, job) for key, job in of_configuration if job.seed == entry.seed)
        jobs.append(
            ReproducedJob(
                seed=job.seed,
                name=board.names.job(job.seed, job.options),
                score=_score(board.metric, entry),
                train=_again(sweep, {key: job}),
                verify=commands.verify(name, key[:digits]) if entry.score is not None and job.is_current else None,
            )
        )
    return ReproduceContent(
        promise=_promise(sweep),
        place=PLACE,
        why_not=_why_not(sweep),
        rows=rows,
        rows_in_all=len(board.standings),
        jobs=tuple(jobs),
        jobs_in_all=len(sweep.jobs),
        all_jobs=commands.shell("orchestrator", "leaderboard", name, "--by", "job", "--csv"),
    )


def _promise(sweep: Sweep) -> str:
    trainer = next(iter(sweep.jobs.values())).trained_by
    text = (
        "The first command trains the jobs of a row again, all of them and no others. The second one does so beside "
        "this sweep's folder, and says whether every bit is the same."
    )
    if trainer.exact:
        return text
    return (
        f"{text} The trainer {trainer.name} is not exact: another kind of CPU, or other packages, may give other bits."
    )


def _why_not(sweep: Sweep) -> str:
    if all(job.is_current for job in sweep.jobs.values()):
        return "the command line has no words for its options"
    return "another version trained it, to other bits than the version that wrote this report"


def _score(metric: Metric, entry: Entry) -> str:
    if entry.score is None:
        return entry.status
    return f"{metric.shown(entry.score)}{', diverged' if entry.status == 'diverged' else ''}"


def _row(sweep: Sweep, standing: Standing, jobs: Mapping[str, Job]) -> ReproducedRow:
    board = sweep.leaderboard
    first = next(iter(jobs.values()))
    verify = None
    if standing.n + standing.diverged and first.is_current:
        verify = commands.verify(sweep.folder.name, *commands.picking(board.names, first), "--all")
    return ReproducedRow(standing.rank, board.name(standing.options), _again(sweep, jobs), verify)


def _again(sweep: Sweep, jobs: Mapping[str, Job]) -> str | None:
    manifest = sweep.manifest
    return commands.again(jobs, manifest.specification, manifest.dataset, sweep.leaderboard.names.varying)


def _by_options(sweep: Sweep) -> dict[tuple[object, ...], dict[str, Job]]:
    """Return the jobs of each configuration, by the values of the options that vary."""
    names = tuple(sweep.leaderboard.names.varying)
    found: dict[tuple[object, ...], dict[str, Job]] = {}
    for key, job in sweep.jobs.items():
        found.setdefault(tuple(getattr(job.options, name) for name in names), {})[key] = job
    return found


def _identity(options: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(options.values())
