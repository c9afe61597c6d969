"""One row a job: what `results.jsonl` holds, a line each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from worker.job import Digest, Fraction, Job, Result


class Row(BaseModel):
    """How a job of a sweep ended.

    A job counts as accepted when it has a result, also when that result is `diverged`. A `failed` or `cancelled` job
    has none: no accuracies, no weights, and `error` says why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Digest
    seed: int
    learning_rate: float
    epochs: int
    status: Literal["succeeded", "diverged", "failed", "cancelled"]
    #: Share of the validation set that is classified right, after each epoch.
    validation_accuracy: list[Fraction]
    #: Only for `rule="notebook"`: what the notebook would have printed after each epoch.
    notebook_accuracy: list[float] | None = None
    epoch_seconds: list[float]
    weights_sha256: Digest | None
    attempts: int = Field(ge=0)
    worker: str | None
    error: str | None
    #: Where the result was found, when it was not trained for this sweep.
    reused_from: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the job has a result."""
        return self.status in ("succeeded", "diverged")

    def line(self) -> str:
        """Return the row as one line of JSON, with its newline."""
        absent = {"notebook_accuracy"} if self.notebook_accuracy is None else None
        return self.model_dump_json(exclude=absent) + "\n"


def accepted_row(job: Job, result: Result, reused_from: str | None = None) -> Row:
    """Return the row of a job that has a result."""
    return Row(
        **_identity(job),
        status=result.status,
        validation_accuracy=result.validation_accuracy,
        notebook_accuracy=result.notebook_accuracy,
        epoch_seconds=result.epoch_seconds,
        weights_sha256=result.weights_sha256,
        attempts=result.attempts,
        worker=result.worker,
        error=result.error,
        reused_from=reused_from,
    )


def lost_row(job: Job, status: Literal["failed", "cancelled"], error: str, attempts: int = 0) -> Row:
    """Return the row of a job that ended without a result."""
    return Row(
        **_identity(job),
        status=status,
        validation_accuracy=[],
        epoch_seconds=[],
        weights_sha256=None,
        attempts=attempts,
        worker=None,
        error=error,
    )


def _identity(job: Job) -> dict[str, Any]:
    return {"job": job.key, "seed": job.seed, "learning_rate": job.learning_rate, "epochs": job.epochs}


class Accounting(BaseModel):
    """How many jobs ended in which way. Attempts are those made for this sweep: a reused row adds none."""

    jobs: int
    accepted: int
    attempts: int
    reused: int
    diverged: int
    failed: int
    cancelled: int

    @classmethod
    def of(cls, jobs: int, rows: Iterable[Row]) -> Accounting:
        """Count the rows of a sweep of so many jobs."""
        counted = list(rows)
        reused = [row.reused_from is not None for row in counted]
        return cls(
            jobs=jobs,
            accepted=sum(row.accepted for row in counted),
            attempts=sum(row.attempts for row in counted if row.reused_from is None),
            reused=sum(reused),
            diverged=sum(row.status == "diverged" for row in counted),
            failed=sum(row.status == "failed" for row in counted),
            cancelled=sum(row.status == "cancelled" for row in counted),
        )

    def __str__(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in self)
