"""What goes on in a sweep that runs: `progress.json`, which its session writes for all that show the sweep."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, ValidationError

from nn.files import is_private, json_values, read_regular
from orchestrator.folder.locks import holder, locks
from orchestrator.folder.sweeps import PROGRESS
from orchestrator.text import counted, duration, some
from worker.job import OneLine, Seconds, Text, Time
from worker.records.report import Report
from worker.redis.address import embedded_socket

#: Most running jobs with their reports, each of 100 scores, and most lost workers.
MOST_JOBS, MOST_LOST = 128, 100
_MAX_BYTES, _MAX_VALUES = 2**22, 2**15

_Count = Annotated[int, Field(ge=0, le=2**31)]


class Activity(BaseModel, frozen=True, strict=True):
    """What goes on in a sweep. Times are in seconds since 1970, by the clock of the session's host."""

    #: When the session began, and when it wrote this.
    began: Time
    at: Time
    #: The address of the cluster that trains it, without its password.
    place: OneLine = ""
    #: All jobs of the sweep; those with a result or that failed, and of these, those that failed or diverged.
    planned: _Count = 0
    done: _Count = 0
    failed: _Count = 0
    diverged: _Count = 0
    #: Attempts, at any job, that repeat an earlier one.
    retried: _Count = 0
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
        """Return what the session wrote last into a folder, a path without links; None if there is nothing usable."""
        with contextlib.suppress(OSError, ValidationError):
            if json_values(stored := read_regular(folder / PROGRESS, _MAX_BYTES, folder)) <= _MAX_VALUES:
                return cls.model_validate_json(stored)
        return None

    def figures(self) -> Iterator[str]:
        """Yield what terminals and pages say of it: `12 of 60 jobs`, `4 running`, `ETA 12 min`."""
        yield f"{self.done} of {counted(self.planned, 'job')}"
        yield f"{self.running} running"
        yield f"{self.waiting} waiting"
        for name in ("failed", "diverged", "retried"):
            if count := getattr(self, name):
                yield f"{count} {name}"
        yield f"{duration(max(self.at - self.began, 0.0))} elapsed"
        yield "ETA: too early to say" if self.left is None else f"ETA {duration(self.left)}"
        if self.rate is not None:
            yield f"{self.rate:.3g} jobs a minute"
        yield counted(self.workers, "worker")
        if self.lost:
            yield f"Lost: {some([f'{name}, silent for {duration(seconds)}' for name, seconds in self.lost.items()])}"


def address(folder: Path) -> str | None:
    """Return the address of this user's embedded cluster that runs the sweep of a folder, a path without links.

    Only a socket that belongs to this user, in a folder of this user, is trusted; so is only a sweep's folder.
    """
    if not is_private(folder) or not holder(folder, locks()):
        return None  # A stranger or a killed process may have named another sweep; `status` demands the lock, too.
    found = Activity.read(folder)
    path = None if found is None else embedded_socket(found.place)
    if path is None:
        return None
    with contextlib.suppress(OSError, ValueError):
        stats = path.lstat(), path.parent.lstat()
        if all(each.st_uid == os.geteuid() and not each.st_mode & 0o077 for each in stats):
            return f"redis+socket://{path}"
    return None
