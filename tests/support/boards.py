"""Leaderboards and sweep folders of constructed rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.analysis.leaderboard.board import Leaderboard
from orchestrator.analysis.leaderboard.judgement import Judgement
from orchestrator.analysis.leaderboard.scores import LAST, Scoring, ranked
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row, lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.names import JobNames
from tests.support.sweep_folders import filled, row
from tests.support.sweeps import sweep_of
from worker.job import Job
from worker.records import answers

#: A job's score, how it ended instead, or its answers, whose share of right ones is the score.
Outcome = float | str | None | Sequence[bool]


def jobs_of(seeds: int, *learning_rates: float) -> dict[str, Job]:
    return sweep_of(seeds=tuple(range(seeds)), learning_rates=learning_rates, epochs=2).jobs_by_key(MNIST_DIGEST)


def trained(
    job: Job,
    score: float,
    *,
    status: str = "succeeded",
    worker: str = "w@host",
    seconds: float = 1.0,
    correct: Sequence[bool] = (),
    first: float = 0.1,
) -> Row:
    """Return the row of a job with two epochs."""
    scores, packed = (first, score), answers.pack(correct)
    return row(
        job, scores=scores, status=status, worker=worker, epoch_seconds=[seconds, seconds], correct=packed,
        weights_sha256=job.key,
    )  # fmt: skip


def ended(job: Job, outcome: Outcome) -> Row | None:
    """Return the row of a job: of a score, of `diverged`, `failed` or `cancelled`, or of None, which has no row.

    A job that diverged has a score of 0.1.
    """
    if outcome is None:
        return None
    if outcome in ("failed", "cancelled"):
        return lost_row(job, outcome, "it broke")  # type: ignore[arg-type]
    if isinstance(outcome, str):
        return trained(job, 0.1, status="diverged")
    if isinstance(outcome, Sequence):
        return trained(job, sum(outcome) / len(outcome), correct=outcome)
    return trained(job, outcome)


def rows_of(jobs: Mapping[str, Job], outcomes: Mapping[float, Sequence[Outcome]]) -> dict[str, Row]:
    """Return the rows of jobs whose learning rates ended so, seed by seed."""
    found = {key: ended(job, outcomes[job.options.learning_rate][job.seed]) for key, job in jobs.items()}
    return {key: row for key, row in found.items() if row is not None}


def leaderboard(
    jobs: Mapping[str, Job],
    rows: Mapping[str, Row],
    data: str = "bundled",
    axes: Sequence[str] = (),
    *,
    scoring: Scoring = LAST,
    **judged: Any,
) -> Leaderboard:
    """Return the leaderboard of jobs and rows, each by key, judged by these arguments of `Judgement`."""
    names = JobNames(jobs.values(), axes)
    found = ranked(jobs, rows, names.metric, scoring)
    return Leaderboard(jobs, data, Judgement(found, rows, names, scoring, **judged))


def board_of(outcomes: Mapping[float, Sequence[Outcome]], **judged: Any) -> Leaderboard:
    """Return the leaderboard of learning rates whose jobs ended so, seed by seed, judged by these arguments."""
    jobs = jobs_of(len(next(iter(outcomes.values()))), *outcomes)
    return leaderboard(jobs, rows_of(jobs, outcomes), **judged)


def folder_of(
    output: Path, outcomes: Mapping[float, Sequence[Outcome]], name: str = "a", *, first_seed: int = 0, **words: Any
) -> SweepFolder:
    """Make the folder of a sweep whose learning rates ended so, seed by seed."""
    seeds = tuple(range(first_seed, first_seed + len(next(iter(outcomes.values())))))
    made = sweep_of(seeds=seeds, learning_rates=tuple(outcomes), epochs=2, **words)
    return filled(
        output, made, lambda job: ended(job, outcomes[job.options.learning_rate][job.seed - first_seed]), name=name
    )


def sweep_with(output: Path, outcomes: Mapping[float, Sequence[Outcome]]) -> Sweep:
    """Return a sweep whose learning rates ended so, read from its folder."""
    return Sweep.read(folder_of(output, outcomes))
