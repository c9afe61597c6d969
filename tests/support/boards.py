"""Leaderboards of constructed rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.analysis.leaderboard.board import Leaderboard, leaderboard
from orchestrator.analysis.leaderboard.scoring import LAST, Scoring
from orchestrator.folder.rows import Row, accepted_row, lost_row
from tests.support.sweeps import sweep_of
from worker.job import Job, Result
from worker.records import answers

#: How a job ended, in place of its score: `nan` for one that diverged at 0.1.
Outcome = float | str | None


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
    result = Result(
        job=job.key,
        status=status,
        validation_score=[first, score],
        epoch_seconds=[seconds, seconds],
        weights_sha256=job.key,
        weights_bytes=1,
        worker=worker,
        attempts=1,
        correct=answers.pack(correct),
    )
    return accepted_row(job, result)


def ended(job: Job, outcome: Outcome) -> Row | None:
    """Return the row of a job: of a score, of `diverged`, `failed` or `cancelled`, or of None, which has no row."""
    if outcome is None:
        return None
    if outcome in ("failed", "cancelled"):
        return lost_row(job, outcome, "it broke")  # type: ignore[arg-type]
    return trained(job, 0.1, status="diverged") if isinstance(outcome, str) else trained(job, outcome)


def rows_of(jobs: Mapping[str, Job], outcomes: Mapping[float, Sequence[Outcome]]) -> dict[str, Row]:
    """Return the rows of jobs whose learning rates ended so, seed by seed."""
    found = {key: ended(job, outcomes[job.options.learning_rate][job.seed]) for key, job in jobs.items()}
    return {key: row for key, row in found.items() if row is not None}


def board_of(
    outcomes: Mapping[float, Sequence[Outcome]], *, scoring: Scoring = LAST, sequential: bool = False
) -> Leaderboard:
    """Return the leaderboard of learning rates whose jobs ended so, seed by seed."""
    jobs = jobs_of(len(next(iter(outcomes.values()))), *outcomes)
    return leaderboard(jobs, rows_of(jobs, outcomes), "bundled", scoring=scoring, sequential=sequential)
