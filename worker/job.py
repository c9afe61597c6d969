"""The contract between the layers: what a job is, what a result is, and the key that names both."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nn.errors import InvalidInputError
from worker.validation import Described, invalid_input

Rule = Literal["backprop", "notebook"]
Loss = Literal["cross_entropy", "sum_of_squares"]
DType = Literal["float32", "float64"]
EngineName = Literal["compiled", "numpy"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
#: A bound makes pydantic look at the text itself, and refuse what is no Unicode: that could not be written down.
Text = Annotated[str, Field(max_length=10_000)]
Width = Annotated[int, Field(ge=1, le=4096)]

MAX_SEED = 2**32 - 1
MAX_EPOCHS = 100_000
MAX_ATTEMPTS = 2**31 - 1
#: The most that a job may take as JSON, in bytes. A valid one takes about 300.
MAX_JOB_BYTES = 4096


class Configuration(BaseModel):
    """A job without its seed: what a leaderboard ranks. A field's description says what is allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(gt=0.0, allow_inf_nan=False, description="a finite number greater than 0")
    epochs: int = Field(default=10, ge=1, le=MAX_EPOCHS, description="an integer from 1 to 100000")
    hidden_layer_sizes: tuple[Width, Width] = Field(default=(128, 64), description="two integers from 1 to 4096")
    rule: Rule = Field(default="backprop", description="backprop or notebook")
    loss: Loss = Field(default="cross_entropy", description="cross_entropy or sum_of_squares")
    dtype: DType = Field(default="float32", description="float32 or float64")
    shuffle: bool = Field(default=False, description="true or false")
    engine: EngineName = Field(default="compiled", description="compiled or numpy")
    #: Train on the first so many samples only.
    limit: int | None = Field(default=None, ge=1, le=2**31 - 1, description="an integer from 1 to 2147483647, or none")
    #: The data set's digest (`nn.datasets.mnist`).
    dataset: Digest = Field(description="a SHA-256 as 64 hexadecimal digits in lower case")
    #: The version of the training semantics: raised whenever the same specification would train to other bits.
    version: Literal[1] = Field(default=1, description="1, the version that this worker trains")


class Job(Configuration):
    """All that determines a result. Two equal jobs give the same bits, whoever trains them."""

    seed: int = Field(ge=0, le=MAX_SEED, description="an integer from 0 to 4294967295")

    @property
    def key(self) -> str:
        """The SHA-256, in hexadecimal, of the job's canonical form; also the id of its Celery task."""
        return hashlib.sha256(canonical(self.model_dump()).encode()).hexdigest()

    @classmethod
    def parse(cls, fields: Any) -> Job:
        """Read a job that came from outside.

        Raises:
            InvalidInputError: a field is missing, unknown or out of range, or the whole is too large to be a job.
        """
        _check_size(fields)
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise invalid_input(cls, error, "job") from None

    def __str__(self) -> str:
        """Return what tells this job from its neighbours in a sweep, for logs and for Flower."""
        shown = [f"seed={self.seed}", f"learning_rate={self.learning_rate:g}", f"epochs={self.epochs}"]
        for name, field in Configuration.model_fields.items():
            value = getattr(self, name)
            if name not in ("learning_rate", "epochs", "dataset") and value != field.default:
                shown.append(f"{name}={value}")
        return ", ".join(shown)


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


def is_task_of(name: str, job: Job) -> bool:
    """Return whether a Celery task id belongs to this job."""
    match = _TASK_ID.fullmatch(name)
    return match is not None and match["key"] == job.key


def check_lengths(accuracies: list[float], notebook: list[float] | None, seconds: list[float]) -> None:
    """Raise `ValueError` unless there is an epoch, and each of these has a value for every one."""
    if not accuracies:
        raise ValueError("a result has the accuracy of at least one epoch")
    if len(seconds) != len(accuracies) or (notebook is not None and len(notebook) != len(accuracies)):
        raise ValueError("a result has as many accuracies as seconds: one for each epoch")


class Result(BaseModel):
    """What an attempt returns: small, JSON, and the same for every attempt but for who trained it and how fast."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Digest
    status: Literal["succeeded", "diverged"]
    #: Share of the validation set that is classified right, after each epoch.
    validation_accuracy: list[Fraction] = Field(min_length=1)
    #: What the notebook would have printed after each epoch, in its own scale; only for `rule="notebook"`.
    notebook_accuracy: list[Finite] | None = None
    epoch_seconds: list[Seconds]
    #: The SHA-256 of the weights as safetensors, and the size of that blob in bytes.
    weights_sha256: Digest
    weights_bytes: int
    #: The Celery name of the worker that finished the job.
    worker: Text
    attempts: int = Field(ge=1, le=MAX_ATTEMPTS)
    #: Why the job counts as diverged; None for one that succeeded.
    error: Text | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        check_lengths(self.validation_accuracy, self.notebook_accuracy, self.epoch_seconds)
        return self

    def __json__(self) -> dict[str, Any]:
        """Return what Celery stores for a task that returns this."""
        return self.model_dump(mode="json")

    def __repr__(self) -> str:
        """Return one line for logs and Flower, which cut a long one."""
        epochs = len(self.epoch_seconds)
        return (
            f"{self.status}: validation accuracy {100 * self.validation_accuracy[-1]:.2f} % after {epochs} epochs "
            f"in {sum(self.epoch_seconds):.2f} s, attempt {self.attempts}"
        )


class Mismatch(BaseModel):
    """Two runs of one job with different weights: the SHA-256 of the first and of the second, and who trained that."""

    model_config = ConfigDict(frozen=True)

    first: Text
    second: Text
    run: Text
    worker: Text


def _check_size(fields: Any) -> None:
    try:
        size = len(json.dumps(fields, default=repr))
    except (RecursionError, ValueError, TypeError):
        # Nested too deep, refers to itself, has a key that is no text, or holds an integer with thousands of digits.
        raise InvalidInputError("job", Described("no plain JSON"), f"at most {MAX_JOB_BYTES} bytes of JSON") from None
    if size > MAX_JOB_BYTES:
        raise InvalidInputError("job", Described(f"{size} bytes"), f"at most {MAX_JOB_BYTES} bytes of JSON")


def canonical(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
