"""The record that a sweep's test split was read: `test.json`. It is written once, and never replaced."""

import math
import statistics
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, FailFast, Field, model_validator

from nn.options.network import Seed
from orchestrator.sweeps.specification import MAX_JOBS
from worker.job import Digest, OneLine, Score, Text

FILE = "test.json"
#: The most bytes and values of the file for a job; usual are 300 and six. Its head, with all options of a job
#: (`MAX_JOB_BYTES`), may have as much as 500 jobs.
READING_BYTES, READING_VALUES = 600, 10


class Estimate(BaseModel, frozen=True, extra="forbid"):
    """A mean over seeds, with its intervals at 95 %.

    Attributes:
        mean: The mean.
        low: Lower end of the interval for the mean over all seeds, on these samples; None for one seed.
        high: Its upper end.
        method: What the interval is: `t` or `confidence sequence`.
        low_new: Lower end of the interval on new samples and seeds; None without all answers, after a look, or if
            each seed was validated on other samples.
        high_new: Its upper end.
    """

    mean: Score
    low: Score | None
    high: Score | None
    method: Text | None
    low_new: Score | None
    high_new: Score | None


class ReadJob(BaseModel, frozen=True, extra="forbid"):
    """A job whose model was evaluated on the test split."""

    job: Digest
    seed: Seed
    weights_sha256: Digest
    #: The metric on the validation samples after the last epoch.
    validation_score: Score
    #: The metric on the test split.
    test_score: Score


class Reading(BaseModel, frozen=True, extra="forbid"):
    """What was read from a sweep's test split, and for which configuration.

    Attributes:
        read: Time, UTC, ISO 8601.
        chosen: Whether the configuration was the leader, or was named.
        name: The configuration in words: the options that vary, with their values.
        options: All its options.
        test_size: Number of test samples.
        dataset: The data set's digest.
        metric: The metric's name.
        validation: The metric on the validation samples, by which the configuration was chosen.
        test: The metric on the test split.
        diverged: Jobs of the configuration that diverged; they are not evaluated.
        jobs: The jobs that were evaluated.
    """

    read: Annotated[str, Field(max_length=40)]
    chosen: Literal["leader", "named"]
    name: OneLine
    options: dict[str, Any]
    test_size: int = Field(ge=1)
    dataset: Digest
    metric: OneLine
    validation: Estimate
    test: Estimate
    diverged: int = Field(ge=0)
    jobs: Annotated[list[ReadJob], FailFast()] = Field(min_length=1, max_length=MAX_JOBS)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        """Reject means that are not those of the jobs, what is no interval, and jobs that are listed twice."""
        for told, scores in (
            (self.validation, [each.validation_score for each in self.jobs]),
            (self.test, [each.test_score for each in self.jobs]),
        ):
            if not math.isclose(told.mean, statistics.fmean(scores), rel_tol=1e-9, abs_tol=1e-12):
                raise ValueError(f"its mean {told.mean} is not that of its jobs")
            near = 1e-6 * max(1.0, abs(told.mean))
            for low, high in ((told.low, told.high), (told.low_new, told.high_new)):
                ends = [each for each in (low, high) if each is not None]
                if len(ends) == 1 or (ends and not ends[0] - near <= told.mean <= ends[1] + near):
                    raise ValueError(f"its interval from {low} to {high} is none")
        if len({each.job for each in self.jobs}) < len(self.jobs):
            raise ValueError("it has a job more than once")
        return self
