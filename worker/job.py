"""The contract between the layers: what a job is, what a result is, and the key that names both."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nn.errors import InvalidInputError

Rule = Literal["backprop", "notebook"]
Loss = Literal["cross_entropy", "sum_of_squares"]
DType = Literal["float32", "float64"]
EngineName = Literal["compiled", "numpy"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Width = Annotated[int, Field(ge=1, le=4096)]


class Configuration(BaseModel):
    """A job without its seed: what a leaderboard ranks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(gt=0.0, allow_inf_nan=False)
    epochs: int = Field(default=10, ge=1, le=100_000)
    hidden_layer_sizes: tuple[Width, Width] = (128, 64)
    rule: Rule = "backprop"
    loss: Loss = "cross_entropy"
    dtype: DType = "float32"
    shuffle: bool = False
    engine: EngineName = "compiled"
    #: Train on the first so many samples only.
    limit: int | None = Field(default=None, ge=1)
    #: The data set's digest (`nn.dataset`).
    dataset: Digest
    #: The version of the training semantics: raised whenever the same specification would train to other bits.
    version: Literal[1] = 1


class Job(Configuration):
    """All that determines a result. Two equal jobs give the same bits, whoever trains them."""

    seed: int = Field(ge=0, le=2**32 - 1)

    @property
    def key(self) -> str:
        """The SHA-256, in hexadecimal, of the job's canonical form; also the id of its Celery task."""
        return hashlib.sha256(canonical(self.model_dump()).encode()).hexdigest()

    @classmethod
    def parse(cls, fields: Any) -> Job:
        """Read a job that came from outside.

        Raises:
            InvalidInputError: a field is missing, unknown or out of range.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise invalid_input(error) from None


class Result(BaseModel):
    """What an attempt returns: small, JSON, and the same for every attempt but for who trained it and how fast."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Digest
    status: Literal["succeeded", "diverged"]
    #: Share of the validation set that is classified right, after each epoch.
    validation_accuracy: list[Fraction]
    #: What the notebook would have printed after each epoch, in its own scale; only for `rule="notebook"`.
    notebook_accuracy: list[float] | None = None
    epoch_seconds: list[float]
    #: The SHA-256 of the weights as safetensors, and the size of that blob in bytes.
    weights_sha256: Digest
    weights_bytes: int
    #: The Celery name of the worker that finished the job.
    worker: str
    attempts: int = Field(ge=1)
    #: Why the job counts as diverged; None for one that succeeded.
    error: str | None = None


def canonical(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def invalid_input(error: ValidationError) -> InvalidInputError:
    """Turn pydantic's report into one sentence about its first problem."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "job"
    return InvalidInputError(field, first["input"], first["msg"])
