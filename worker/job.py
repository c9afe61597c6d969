"""The contract between the layers: a job, the key that names it, and its result."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, ValidationError, model_validator

from nn.errors import Described, InvalidInputError
from nn.options.describe import Option, label, shown
from nn.options.network import MAX_EPOCHS, NetworkOptions, Seed
from nn.options.validation import invalid_input
from worker.text import one_line

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Numbers are strict, because other clients of Redis may store anything: neither true nor "1" is a number.
Fraction = Annotated[float, Field(strict=True, ge=0.0, le=1.0, allow_inf_nan=False)]
#: A duration: at most 300 years, so that sums and the dates that are shown stay finite.
Seconds = Annotated[float, Field(strict=True, ge=0.0, le=1e10, allow_inf_nan=False)]
#: A time in seconds since the epoch: until the year 5138, which is as far as a date can be shown everywhere.
Time = Annotated[float, Field(strict=True, ge=0.0, le=1e11, allow_inf_nan=False)]
#: The accuracy that the notebook prints: at most a hundredth of the number of samples.
Finite = Annotated[float, Field(strict=True, ge=0.0, le=1e8, allow_inf_nan=False)]
#: With a bound, pydantic also rejects lone surrogates, which UTF-8 cannot encode.
Text = Annotated[str, Field(max_length=10_000)]
#: A text that is shown within a sentence, in which it must not begin a line of its own.
OneLine = Annotated[Text, AfterValidator(one_line)]

MAX_ATTEMPTS = 2**31 - 1
AttemptNumber = Annotated[int, Field(strict=True, ge=1, le=MAX_ATTEMPTS)]
#: A number of epochs that have been trained.
Epochs = Annotated[int, Field(strict=True, ge=0, le=MAX_EPOCHS)]
#: The longest job as JSON, in bytes. A valid one has about 300.
MAX_JOB_BYTES = 4096
_VERSIONS = "1 for float32 and 2 for float64, the versions that this worker trains"
#: The fields that a job's canonical form always has. It has an option that was added later only where that differs
#: from its default, so that a new option changes no key of a job that does without it.
_ALWAYS = frozenset({
    "seed", "learning_rate", "epochs", "hidden_layer_sizes", "rule", "loss", "dtype", "shuffle", "engine", "limit",
    "dataset", "version",
})  # fmt: skip


class Configuration(NetworkOptions):
    """A job without its seed: the unit that a leaderboard ranks.

    Attributes:
        dataset: The data set's digest (`nn.datasets.mnist`).
        version: The version of the training semantics, raised whenever an unchanged job would train to other bits. It
            is 2 for float64 jobs, whose initial weights were drawn through the C library's logarithm in version 1.
    """

    dataset: Annotated[Digest, Option(allowed="a SHA-256 as 64 hexadecimal digits in lower case")]
    version: Annotated[Literal[1, 2], Option(allowed=_VERSIONS)] = 1

    @model_validator(mode="before")
    @classmethod
    def _choose_version(cls, fields: Any) -> Any:
        if isinstance(fields, Mapping) and "version" not in fields:
            return {**fields, "version": current_version(fields.get("dtype"))}
        return fields


class Job(Configuration):
    """All that determines a result. Equal jobs train to the same bits on every worker."""

    seed: Seed

    @property
    def key(self) -> str:
        """The SHA-256, in hexadecimal, of the job's canonical form; also the id of its Celery task."""
        fields = self.model_dump()
        for name in fields.keys() - _ALWAYS:
            if fields[name] == type(self).model_fields[name].default:
                del fields[name]
        return hashlib.sha256(canonical(fields).encode()).hexdigest()

    @property
    def is_current(self) -> bool:
        """Whether this version of Seedsweep trains the job. It can name the jobs of earlier versions, but not more."""
        return self.version == current_version(self.dtype)

    @property
    def before(self) -> Job:
        """The job as version 0.1.0 named it: every job was of version 1."""
        return self.model_copy(update={"version": 1})

    @property
    def options(self) -> dict[str, Any]:
        """The training options and their values."""
        return {name: getattr(self, name) for name in NetworkOptions.model_fields}

    @property
    def configuration(self) -> Configuration:
        """The job without its seed."""
        return Configuration.model_construct(**self.options, dataset=self.dataset, version=self.version)

    @classmethod
    def parse(cls, fields: Any) -> Job:
        """Read a job from untrusted data.

        Raises:
            InvalidInputError: a field is missing, unknown or out of range, the data is too large, or an earlier version
                trained the job.
        """
        _check_size(fields)
        try:
            job = cls.model_validate(fields)
        except ValidationError as error:
            raise invalid_input(cls, error, "job") from None
        if not job.is_current:
            raise InvalidInputError("version", job.version, _VERSIONS)
        return job

    def words(self, varying: Collection[str] = ()) -> str:
        """Return the job as words: `seed=3 learning_rate=0.01 hidden=32,16`. `orchestrator show` takes the same words.

        Args:
            varying: Options to name first, also at their defaults. The others are named where they differ from them.
        """
        fields = NetworkOptions.model_fields
        others = [name for name, info in fields.items() if info.is_required() or getattr(self, name) != info.default]
        told = dict.fromkeys((*(name for name in fields if name in varying), *others))
        return " ".join((f"seed={self.seed}", *(_word(name, getattr(self, name)) for name in told)))

    def __str__(self) -> str:
        """Return the job for logs: its seed, and what differs from the defaults."""
        return self.words()


def current_version(dtype: object) -> int:
    """Return the version of the training semantics for jobs of a dtype."""
    return 2 if dtype == "float64" else 1


def _word(name: str, value: object) -> str:
    text = "none" if value is None else shown(NetworkOptions.model_fields[name], value)
    return f"{label(NetworkOptions, name)}={text}"


#: A task is one passage of a job through the queue: the job's own, or a verification task, which has a label.
_TASK_ID = re.compile(r"(?P<key>[0-9a-f]{64})(?:\.(?P<label>[a-z0-9-]{1,40}))?")


def task_id(job: Job, label: str | None = None) -> str:
    """Return a Celery task id for a job: the job's key, or `<job key>.<label>` for a verification task.

    Raises:
        InvalidInputError: the label is not 1 to 40 lower-case letters, digits and hyphens.
    """
    name = job.key if label is None else f"{job.key}.{label}"
    if _TASK_ID.fullmatch(name) is None:
        raise InvalidInputError("label", label, "1 to 40 lower-case letters, digits and hyphens")
    return name


def is_task_id(name: str) -> bool:
    """Return whether a text is the Celery task id of any job."""
    return _TASK_ID.fullmatch(name) is not None


def is_task_of(name: str, job: Job) -> bool:
    """Return whether a Celery task id belongs to this job."""
    match = _TASK_ID.fullmatch(name)
    return match is not None and match["key"] == job.key


def check_lengths(accuracies: list[float], notebook: list[float] | None, seconds: list[float]) -> None:
    """Raise `ValueError` unless there is at least one epoch, and each list has one value per epoch."""
    if not accuracies:
        raise ValueError("a result has at least one epoch")
    if len(seconds) != len(accuracies) or (notebook is not None and len(notebook) != len(accuracies)):
        raise ValueError("a result has one accuracy and one duration per epoch")


def is_complete(status: str, epochs: int, job: Job) -> bool:
    """Return whether a result with this status may have this many epochs: only a diverged job may end early."""
    return epochs == job.epochs or (status == "diverged" and 1 <= epochs < job.epochs)


class Result(BaseModel):
    """The return value of an attempt, stored as JSON.

    Attempts of one job differ only in `worker`, `attempts` and `epoch_seconds`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Digest
    status: Literal["succeeded", "diverged"]
    #: Fraction of the validation set that is classified correctly, after each epoch: fewer epochs than the job's if it
    #: diverged (`is_complete`).
    validation_accuracy: Annotated[list[Fraction], FailFast()] = Field(min_length=1, max_length=MAX_EPOCHS)
    #: The accuracy that the notebook would have printed after each epoch; only for `rule="notebook"`.
    notebook_accuracy: list[Finite] | None = Field(default=None, max_length=MAX_EPOCHS)
    epoch_seconds: Annotated[list[Seconds], FailFast()] = Field(max_length=MAX_EPOCHS)
    #: SHA-256 and size in bytes of the weights as safetensors.
    weights_sha256: Digest
    weights_bytes: int = Field(strict=True, ge=1, le=2**31)
    #: The Celery name of the worker that finished the job.
    worker: Text
    attempts: AttemptNumber
    #: The reason why the job counts as diverged; None if it succeeded.
    error: Text | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        check_lengths(self.validation_accuracy, self.notebook_accuracy, self.epoch_seconds)
        return self

    def __json__(self) -> dict[str, Any]:
        """Return the form in which Celery stores the result."""
        return self.model_dump(mode="json")

    def __repr__(self) -> str:
        """Return a line for logs and Flower, short enough not to be truncated."""
        epochs = len(self.epoch_seconds)
        return (
            f"{self.status}: validation accuracy {100 * self.validation_accuracy[-1]:.2f} % after {epochs} epochs "
            f"in {sum(self.epoch_seconds):.2f} s, attempt {self.attempts}"
        )


class Mismatch(BaseModel):
    """Two executions of one job that ended with different weights.

    Attributes:
        first: SHA-256 of the weights that were stored first.
        second: SHA-256 of the other weights.
        run: Id of the task that trained the other weights.
        worker: Celery name of the worker that trained them.
    """

    model_config = ConfigDict(frozen=True)

    first: Text
    second: Text
    run: Text
    worker: Text


def _check_size(fields: Any) -> None:
    try:
        size = len(json.dumps(fields, default=repr))
    except (RecursionError, ValueError, TypeError):
        # Nested too deeply, circular, with a key that is not text, or with an integer of thousands of digits.
        raise InvalidInputError("job", Described("not plain JSON"), f"at most {MAX_JOB_BYTES} bytes of JSON") from None
    if size > MAX_JOB_BYTES:
        raise InvalidInputError("job", Described(f"{size} bytes"), f"at most {MAX_JOB_BYTES} bytes of JSON")


def canonical(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
