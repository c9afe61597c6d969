"""What is recorded of an attempt at a task: who made it, why and when, and how it ended."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from worker.job import AttemptNumber, Epochs, OneLine, Time

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
