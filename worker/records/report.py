"""What workers record of a task: each attempt at it, and its progress, which is its state in the result backend."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from worker.job import AttemptNumber, Epochs, OneLine, Score, Seconds, Text, Time

#: Why an attempt was made.
Cause = Literal[
    "first run",
    "worker lost",  # The worker of the previous attempt died.
    "child lost",  # The process of the previous attempt died; its worker lives.
    "hung",  # The process of the previous attempt made no progress, and its worker ended it.
    "given back",  # The worker of the previous attempt was shut down.
    "delivered again",  # The previous attempt may still run: its worker lives, but lost the message.
    "submitted again",  # The previous attempt ended, and the job was submitted again.
]
#: How an attempt ended.
End = Literal["finished", "failed", "cancelled", "given back", "child lost", "hung", "worker lost"]


class Attempt(BaseModel):
    """One execution of a task by one worker. Times are in seconds since the epoch, by Redis's clock."""

    model_config = ConfigDict(frozen=True, strict=True)

    number: AttemptNumber
    cause: Cause
    worker: OneLine
    started: Time
    #: The number of epochs in the checkpoint from which the attempt began.
    epochs_before: Epochs = 0
    #: None while the attempt runs, and if its end was never recorded.
    end: End | None = None
    #: When the end was recorded: for a lost worker, by the next attempt. None if an earlier version recorded it.
    ended: Time | None = None


#: The job is being trained.
PROGRESS = "PROGRESS"
#: Its worker shut down; the job waits in the queue and resumes from its checkpoint.
GIVEN_BACK = "GIVEN_BACK"


class Report(BaseModel):
    """The progress of a task at its last report."""

    model_config = ConfigDict(frozen=True, strict=True)

    #: The number of trained epochs, and of all epochs.
    epoch: Epochs
    epochs: Epochs
    #: The trainer's metric on the validation set after each of the last epochs.
    validation_score: Annotated[list[Score], FailFast()] = Field(max_length=1000)
    #: Seconds of training so far, and of the slowest epoch.
    seconds: Seconds
    slowest_epoch: Seconds
    #: Time of the report in seconds since the epoch, by the worker's clock.
    at: Time
    worker: Text
    attempt: AttemptNumber


def read_report(value: Any) -> Report | None:
    """Return a stored report, or None if it is invalid, which is harmless because reports are only shown."""
    try:
        return Report.model_validate(value)
    except ValidationError:
        return None
