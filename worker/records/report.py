"""What workers report of a task that they train: its progress, which is its state in the result backend."""

from typing import Annotated, Any

from pydantic import BaseModel, FailFast, Field, ValidationError

from worker.job import AttemptNumber, Epochs, Score, Seconds, ShortLine, Time

#: The job is being trained.
PROGRESS = "PROGRESS"
#: Its worker shut down; the job waits in the queue and resumes from its checkpoint.
GIVEN_BACK = "GIVEN_BACK"


class Report(BaseModel, frozen=True, strict=True):
    """The progress of a task at its last report."""

    #: The number of trained epochs.
    epoch: Epochs
    #: The trainer's metric on the validation set after each of the last epochs.
    validation_score: Annotated[list[Score], FailFast()] = Field(max_length=100)
    #: Seconds of training so far, and of the slowest epoch.
    seconds: Seconds
    slowest_epoch: Seconds
    #: Time of the report in seconds since the epoch, by the worker's clock.
    at: Time
    worker: ShortLine
    attempt: AttemptNumber


def read_report(value: Any) -> Report | None:
    """Return a stored report, or None if it is invalid, which is harmless because reports are only shown."""
    try:
        return Report.model_validate(value)
    except ValidationError:
        return None
