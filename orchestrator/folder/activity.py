"""What goes on in a sweep that runs: `progress.json`, which its session writes for whoever shows the sweep."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nn.files import read_regular
from orchestrator.folder.sweeps import PROGRESS
from worker.job import OneLine, Seconds, Text, Time
from worker.records.report import Report

#: Most running jobs with their reports (more hide the verdict on a phone), and most lost workers.
MOST_JOBS, MOST_LOST = 6, 100
_MAX_BYTES = 2**20

_Count = Annotated[int, Field(ge=0, le=2**31)]


class Activity(BaseModel):
    """What goes on in a sweep. Times are in seconds since 1970, by the clock of the session's host."""

    model_config = ConfigDict(frozen=True, strict=True)

    #: When the session began, and when it wrote this.
    began: Time
    at: Time
    #: How many jobs run, and how many wait for a worker; and the first running ones, by key, with their last reports.
    running: _Count = 0
    waiting: _Count = 0
    jobs: dict[Text, Report | None] = Field(default={}, max_length=MOST_JOBS)
    #: How many workers the cluster has, and those that were lost, by name: seconds since their last sign of life.
    workers: _Count = 0
    lost: dict[OneLine, Seconds] = Field(default={}, max_length=MOST_LOST)
    #: Jobs a minute so far, and the seconds that the rest will take; None if it is too early to say.
    rate: Seconds | None = None
    left: Seconds | None = None

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return what a sweep's session wrote last; None if nothing runs, or the file is damaged: it is only shown."""
        with contextlib.suppress(OSError, ValidationError):
            return cls.model_validate_json(read_regular(folder / PROGRESS, _MAX_BYTES))
        return None
