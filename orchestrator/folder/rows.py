"""The rows of `results.jsonl`: one line of JSON per job that has ended."""

from __future__ import annotations

import sys
from collections import Counter, UserDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, FailFast, Field, SerializeAsAny, ValidationInfo, field_serializer, model_validator

from nn.errors import WeightsError
from nn.options.network import Seed
from orchestrator.sweeps.rounds import Going, Look
from worker.job import (
    MAX_ATTEMPTS,
    MAX_OTHERS,
    MAX_TEXT,
    Attempt,
    Cause,
    Digest,
    Durations,
    End,
    Epochs,
    Job,
    Mismatch,
    OneLine,
    OtherName,
    Packed,
    Result,
    Scores,
    Short,
    ShortLine,
    Text,
    Time,
    check_lengths,
)
from worker.redis import limits
from worker.trainers import registry

#: The most attempts that a row keeps: the last ones. A job has a few, and one more with each restart of a worker.
MAX_HISTORY = 20
#: The most characters of the name of an attempt's worker.
_MAX_WORKER = 300
#: The texts of a row that others may make long, and how many characters are left of one that is shortened: rows are
#: compared by `environment` and `code`, and a part of `correct` is useless.
_LONG = {"worker": 110, "error": 110, "stopped": 110, "reused_from": 110, "environment": 250, "code": 250, "correct": 0}
#: About how many bytes a record of an attempt or a mismatch takes in memory.
_RECORD = 512
#: Most bytes of texts and histories of all rows (`Row.text_bytes`); further rows are shortened.
_SOME_TEXT, _ROW_TEXT = 6 * 2**24, 2**11


class _Record(BaseModel):
    """A record of which a sweep has many: a part of the memory of other models is enough for it."""

    def model_post_init(self, _context: Any, /) -> None:
        """Share equal texts, such as workers' names, and forget which fields were given."""
        fields = self.__dict__
        fields.update((name, sys.intern(value)) for name, value in fields.items() if type(value) is str)
        object.__setattr__(self, "__pydantic_fields_set__", frozenset())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values of some fields, which counts none as given, either."""
        copied = super().model_copy(deep=deep)
        copied.__dict__.update(update or {})
        return copied


class AttemptRecord(_Record, frozen=True, extra="forbid"):
    """An attempt at a job of a sweep."""

    worker: Annotated[OneLine, Field(max_length=_MAX_WORKER)] = Field(description="The Celery name of the worker.")
    cause: Cause = Field(description="Why the attempt was made.")
    started: Time = Field(description="When it began, in seconds since the epoch, by the clock of the cluster's Redis.")
    ended: Time | None = Field(
        default=None,
        description="When its end was recorded, by the same clock; of a lost worker, when its loss was noticed.",
    )
    end: End | None = Field(
        default=None, description="How it ended; null if that was not recorded by the end of the sweep."
    )
    epochs_before: Epochs = Field(
        default=0, description="The number of epochs that it took over from the attempts before, through a checkpoint."
    )

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptRecord:
        """Return what a row keeps of an attempt."""
        kept = {name: getattr(attempt, name) for name in cls.model_fields}
        return cls.model_construct(**kept | {"worker": attempt.worker[:_MAX_WORKER]})


class JobIdentity(_Record):
    """The identity of a job: its key, its seed, its trainer and its options.

    Attributes:
        options: All options of the job. If `options.model_fields_set` lacks one, the row does not contain it: it was
            written before the option existed.
    """

    job: Digest = Field(description="The job's key: the SHA-256 of its canonical form.")
    seed: Seed = Field(description="The job's seed.")
    trainer: str = Field(default=registry.DEFAULT, description=f"The trainer; absent if it is {registry.DEFAULT}.")
    options: SerializeAsAny[BaseModel] = Field(description="All options of the job, by their names in the trainer.")

    @model_validator(mode="before")
    @classmethod
    def _read_options(cls, fields: Any, info: ValidationInfo) -> Any:
        if isinstance(fields, dict) and isinstance(told := fields.get("options"), dict):
            trainer = fields.get("trainer", registry.DEFAULT)
            # Another one, which takes its time and memory, is not even imported.
            if info.context not in (None, trainer):
                raise ValueError(f"its job's trainer is {info.context}")
            return fields | {"options": registry.trainer(str(trainer)).options_for(told).model_validate(told)}
        return fields

    @property
    def epochs(self) -> int:
        """The number of epochs that the job is trained."""
        return registry.trainer(self.trainer).epochs(self.options)

    @field_serializer("options")
    def _told(self, options: BaseModel) -> dict[str, Any]:
        """Write only the options that the row contains."""
        return options.model_dump(mode="json", exclude_unset=True)


class Row(JobIdentity, frozen=True, extra="forbid"):
    """The end of a job of a sweep.

    A job with a result counts as accepted, even if the result is `diverged`; such a row may have fewer epochs than its
    job. A `failed` or `cancelled` job has no accuracies and no weights, and `error` gives the reason.
    """

    status: Literal["succeeded", "diverged", "failed", "cancelled"] = Field(description="How the job ended.")
    validation_score: Scores = Field(
        description="The trainer's metric on the validation samples after each epoch; shares are from 0 to 1."
    )
    others: dict[OtherName, Scores] = Field(
        default_factory=dict,
        max_length=MAX_OTHERS,
        description="The trainer's further metrics after each epoch, by name; absent without any.",
    )
    epoch_seconds: Durations = Field(description="How long each epoch took, in seconds.")
    weights_sha256: Digest | None = Field(
        description="The SHA-256 of the weights, which name their file; null without a result."
    )
    attempts: int = Field(ge=0, le=MAX_ATTEMPTS, description="How many attempts were made until the job ended.")
    worker: Short | None = Field(description="The Celery name of the worker that made the result; null without one.")
    error: Text | None = Field(description="Why the job failed, was cancelled, or counts as diverged; otherwise null.")
    stopped: OneLine | None = Field(
        default=None, description="Why the job succeeded with fewer epochs than its options say; absent if it has all."
    )
    reused_from: Text | None = Field(
        default=None, description="The sweep or the store that had the result already; null if this sweep trained it."
    )
    history: Annotated[list[AttemptRecord], FailFast()] = Field(
        default_factory=list,
        max_length=MAX_HISTORY,
        description="The attempts that were made for this sweep, oldest first; absent where the result was reused.",
    )
    correct: Packed | None = Field(
        default=None,
        description="Which validation samples were answered correctly at the end, packed; absent if that is unknown.",
    )
    environment: ShortLine | None = Field(
        default=None, description="The packages, CPU and threads it was trained with; absent if the job is exact."
    )
    code: ShortLine | None = Field(
        default=None,
        description="The trainer's package, its version and a digest of its source files; absent if the trainer is "
        "Seedsweep's own.",
    )
    # Never to be overlooked.
    mismatches: Annotated[list[Mismatch], FailFast()] = Field(
        default_factory=list,
        max_length=limits.MISMATCHES,
        description="Executions of the job that ended with other weights: evidence of a fault; absent without any.",
    )

    @model_validator(mode="after")
    def _has_a_result_or_none(self) -> Self:
        """Reject a partial result: readers of an accepted row rely on its last accuracy and its weights."""
        if self.accepted:
            if self.weights_sha256 is None:
                raise ValueError("a job with a result has weights")
            if self.status == "succeeded" and self.error:
                raise ValueError("a job that succeeded has no error")
            check_lengths(self.validation_score, self.others, self.epoch_seconds)
        elif self.validation_score or self.others or self.epoch_seconds or self.weights_sha256 or self.correct:
            raise ValueError("a job without a result has no metrics, no answers, no seconds and no weights")
        return self

    @property
    def accepted(self) -> bool:
        """Whether the job has a result."""
        return self.status in ("succeeded", "diverged")

    def with_history(self, attempts: Iterable[Attempt]) -> Self:
        """Return the row with these attempts added to its own; one that has finished stays so."""
        told = {(each.worker, each.started): each for each in self.history}
        for record in map(AttemptRecord.of, attempts):
            known = told.get((record.worker, record.started))
            # A worker stores a result before it removes the record of the attempt, which may be open or doubted.
            if known is None or known.end != "finished":
                told[record.worker, record.started] = record
        kept = sorted(told.values(), key=lambda record: record.started)
        return self.model_copy(update={"history": kept[-MAX_HISTORY:]})

    def with_mismatches(self, found: Iterable[Mismatch]) -> Self:
        """Return the row with this evidence, the first of it."""
        return self.model_copy(update={"mismatches": list(dict.fromkeys(found))[: limits.MISMATCHES]})

    def reused(self, origin: str) -> Self:
        """Return the row for another sweep that did not train the job."""
        return self.model_copy(update={"reused_from": self.reused_from or origin, "history": []})

    @property
    def text_bytes(self) -> int:
        """About how many bytes of memory the row's texts take, with its attempts and mismatches."""
        records: list[BaseModel] = [*self.history, *self.mismatches]
        texts = [getattr(self, name) for name in _LONG] + [text for each in records for _, text in each]
        return sum(sys.getsizeof(text) for text in texts if isinstance(text, str)) + _RECORD * len(records)

    def shortened(self) -> Self:
        """Return the row with less of what a stranger may make long."""
        texts = {name: _short(value, most) or None for name, most in _LONG.items() if (value := getattr(self, name))}
        records = {"history": [*map(_short, self.history[-1:])], "mismatches": [*map(_short, self.mismatches[:1])]}
        return self.model_copy(update=texts | records)

    def of(self, job: Job) -> Self | None:
        """Return the row with all options of its job; None if it is not a row of this job.

        A foreign folder may hold any row under any key. `read_rows` has checked how many epochs it has.
        """
        if (self.job, self.seed) != (job.key, job.seed) or contradictions(self.options, job):
            return None
        return self.model_copy(update={"options": job.options})

    def line(self) -> str:
        """Return the row as one line of JSON, with its newline."""
        rare = ("others", "history", "mismatches", "correct", "environment", "code", "stopped")
        usual = {name for name in rare if not getattr(self, name)}
        if self.trainer == registry.DEFAULT:
            usual.add("trainer")
        return self.model_dump_json(exclude=usual) + "\n"


def _short(value: Any, most: int = 110) -> Any:
    """Return the beginning of a text, or a record with those of its texts, in ASCII: wide characters take more."""
    if isinstance(value, BaseModel):
        return value.model_copy(update={name: _short(each) for name, each in value})
    return value[:most].encode("ascii", "replace").decode() if isinstance(value, str) else value


class Rows(UserDict[str, Row]):
    """Rows by job key. Others decide how long their texts are: beyond a bound, a row is shortened when it is added."""

    #: The bytes of their texts, also of rows that were deleted since.
    _texts = 0

    def __setitem__(self, key: str, row: Row) -> None:
        before = self._texts - (self[key].text_bytes if key in self else 0)
        if before + row.text_bytes > _SOME_TEXT + _ROW_TEXT * len(self):
            row = row.shortened()
        self._texts = before + row.text_bytes
        super().__setitem__(key, row)


def accepted_row(job: Job, result: Result, reused_from: str | None = None, attempts: Sequence[Attempt] = ()) -> Row:
    """Return the row of a job that has a result, after these attempts for this sweep."""
    own = {name: getattr(result, name) for name in Row.model_fields.keys() & Result.model_fields.keys()}
    made = [result.attempt] if result.attempt and reused_from is None else []
    return Row(**own | identity(job), reused_from=reused_from).with_history(made).with_history(attempts)


def lost_row(job: Job, status: Literal["failed", "cancelled"], error: str, attempts: Sequence[Attempt] = ()) -> Row:
    """Return the row of a job that ended without a result, after these attempts."""
    return Row(
        **identity(job),
        status=status,
        validation_score=[],
        epoch_seconds=[],
        weights_sha256=None,
        attempts=len(attempts),
        worker=None,
        error=error[:MAX_TEXT],
    ).with_history(attempts)


def check_weights(job: Job, status: str, blob: bytes) -> None:
    """Check the untrusted weights of a job that ended with this status.

    Raises:
        WeightsError: the job does not train to such weights, or they have diverged, and the status does not say so.
    """
    # Imported here because NumPy takes a while, which `status` does without.
    from nn.weights import from_safetensors

    job.trained_by.check_artifact(job.options, job.dataset, blob)
    if job.trainer == registry.DEFAULT and status == "succeeded" and not from_safetensors(blob).is_finite:
        raise WeightsError("a weight is infinite or not a number, and the result does not say that the job diverged")


def identity(job: Job) -> dict[str, Any]:
    """Return the fields of `JobIdentity` for a job."""
    return {"job": job.key, "seed": job.seed, "trainer": job.trainer, "options": job.options}


def contradictions(options: BaseModel, job: Job) -> list[str]:
    """Return the options in which a row contradicts its job."""
    told = options.model_fields_set
    return [name for name, value in options if name in told and value != getattr(job.options, name, None)]


class Accounting(BaseModel):
    """Number of jobs by how they ended. `attempts` counts those made for this sweep: a reused row adds none."""

    jobs: int
    accepted: int
    attempts: int
    reused: int
    diverged: int
    failed: int
    cancelled: int
    #: Jobs with two executions that ended with different weights.
    mismatches: int
    #: The number of repeated attempts, by cause.
    repeated: dict[str, int] = {}

    @classmethod
    def of(cls, jobs: int, rows: Iterable[Row]) -> Accounting:
        """Count the rows of a sweep that has this number of jobs."""
        counted = list(rows)
        ends = Counter(row.status for row in counted)
        own = [row for row in counted if row.reused_from is None]
        return cls(
            jobs=jobs,
            accepted=ends["succeeded"] + ends["diverged"],
            attempts=sum(row.attempts for row in own),
            reused=len(counted) - len(own),
            diverged=ends["diverged"],
            failed=ends["failed"],
            cancelled=ends["cancelled"],
            mismatches=sum(bool(row.mismatches) for row in counted),
            repeated=Counter(
                each.cause for row in own for each in row.history[: row.attempts] if each.cause != "first run"
            ),
        )

    @property
    def done(self) -> int:
        """Jobs with a result, and those that failed. A cancelled job is not done: `--resume` trains it."""
        return self.accepted + self.failed

    @property
    def complete(self) -> bool:
        """Whether every job has a result, and there is no evidence against any of them."""
        return self.accepted == self.jobs and not self.mismatches

    def __str__(self) -> str:
        causes = ", ".join(f"{cause} {count}" for cause, count in sorted(self.repeated.items()))
        counts = {name: str(count) for name, count in self if name != "repeated"}
        if causes:
            counts["attempts"] += f" ({causes})"
        return ", ".join(f"{name} {count}" for name, count in counts.items())


def seen(command: Going, rows: Mapping[str, Row], within: float | None = None, metric: str = "last") -> Look | None:
    """Return the look at a sweep's results before a command went on with it; None if there were none to see.

    Args:
        command: The command.
        rows: The sweep's rows, by job key.
        within: For a race, the regret that suffices it.
        metric: For a race, how it scores a job.
    """
    seeds = [row.seed for row in rows.values() if row.accepted]
    counts = {"seeds": len(set(seeds)), "rows": len(seeds)}
    return Look(command=command, within=within, metric=metric, **counts) if seeds else None
