"""What a running job says of itself: the value of its state in the result backend, between its start and its end."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

#: The job is in training.
PROGRESS = "PROGRESS"
#: It was in training; its worker ends, and it goes on elsewhere.
GIVEN_BACK = "GIVEN_BACK"


class Report(BaseModel):
    """Where a job stood when it last reported."""

    model_config = ConfigDict(frozen=True)

    #: Epochs trained, and to train.
    epoch: int = Field(ge=0)
    epochs: int = Field(ge=1)
    #: After each of the last epochs: the share of the validation set that is classified right.
    validation_accuracy: list[float] = Field(max_length=1000)
    #: Seconds of training, and of the slowest epoch.
    seconds: float
    slowest_epoch: float = Field(ge=0.0, allow_inf_nan=False)
    #: When this was so, in seconds since the epoch, by the worker's clock.
    at: float = Field(allow_inf_nan=False)
    worker: str
    attempt: int


def read_report(value: Any) -> Report | None:
    """Return a report that was stored, or None for anything else: it is shown, and nothing depends on it."""
    try:
        return Report.model_validate(value)
    except ValidationError:
        return None
