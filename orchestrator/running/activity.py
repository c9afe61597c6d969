"""Records what goes on in a sweep while its session trains it, and forecasts how long the rest takes."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from nn.files import write_atomically
from orchestrator.folder.activity import MOST_JOBS, MOST_LOST, Activity
from orchestrator.folder.rows import Row
from orchestrator.folder.sweeps import PROGRESS
from worker.job import Configuration, Job
from worker.records.report import Report

#: Seconds between two records, and for which a process between two jobs counts as busy.
INTERVAL = 2.0
BUSY_SECONDS = 4.0


class Forecast:
    """Estimates how long the jobs without a row take.

    A configuration's jobs last as long as its earlier ones did, and as many run at a time as run now. So the estimate
    holds for configurations of unlike cost, and follows at once when workers come or go.

    Args:
        jobs: The jobs by key; the caller may add some.
        rows: The rows of those that have ended, to which the caller adds.
    """

    def __init__(self, jobs: Mapping[str, Job], rows: Mapping[str, Row]) -> None:
        self._jobs, self._rows = jobs, rows
        self._known = len(rows)
        #: Of each configuration: the seconds of training, and the jobs that took them.
        self._spent: dict[Configuration, tuple[float, int]] = {}
        self._seconds, self._epochs, self._ended = 0.0, 0, 0
        #: The busy time of all processes together, in seconds, and the numbers of running jobs, each with its time.
        self._busy = 0.0
        self._widths: deque[tuple[float, int]] = deque()
        self._reports: dict[str, Report] = {}

    def look(self, now: float, reports: Mapping[str, Report | None]) -> None:
        """Take in which jobs run at this time, in seconds, their last reports, and the new rows."""
        if self._widths:
            self._busy += self._width * (now - self._widths[-1][0])
        self._widths.append((now, len(reports)))
        while self._widths[0][0] < now - BUSY_SECONDS:
            self._widths.popleft()
        for row in islice(self._rows.values(), self._known, None):
            if row.accepted and row.reused_from is None:
                seconds, configuration = sum(row.epoch_seconds), self._jobs[row.job].configuration
                spent, count = self._spent.get(configuration, (0.0, 0))
                self._spent[configuration] = (spent + seconds, count + 1)
                self._seconds, self._epochs = self._seconds + seconds, self._epochs + len(row.epoch_seconds)
                self._ended += 1
        self._known = len(self._rows)
        self._reports = {key: each for key, each in reports.items() if each and key not in self._rows}

    @property
    def _width(self) -> int:
        return max((count for _, count in self._widths), default=0)

    @property
    def rate(self) -> float | None:
        """The jobs that end in a minute; None before the first one."""
        return 60 * self._ended * self._width / self._busy if self._ended and self._busy else None

    def left(self) -> float | None:
        """Return the seconds that the rest takes; None if it is too early to say, or nothing runs."""
        trained = self._seconds + sum(each.seconds for each in self._reports.values())
        epochs = self._epochs + sum(each.epoch for each in self._reports.values())
        if not (trained and epochs and self._busy and self._width):
            return None
        rest = longest = 0.0
        for key, job in self._jobs.items():
            if key not in self._rows:
                spent, count = self._spent.get(job.configuration, (job.epochs * trained / epochs, 1))
                begun = self._reports[key].seconds if key in self._reports else 0.0
                seconds = max(spent / count - begun, 0.0)
                rest, longest = rest + seconds, max(longest, seconds)
        # Processes do more than train: they load data, and store results.
        return max(rest / self._width, longest) * max(self._busy / trained, 1.0)


class Recorder:
    """Records in a sweep's folder, every few seconds, what goes on.

    Args:
        folder: The folder, which this process has locked.
        jobs: As for `Forecast`.
        rows: Likewise.
    """

    def __init__(self, folder: Path, jobs: Mapping[str, Job], rows: Mapping[str, Row]) -> None:
        self._file, self._jobs, self._rows = folder / PROGRESS, jobs, rows
        self._forecast = Forecast(jobs, rows)
        self._began, self._next = time.time(), 0.0

    def look(self, reports: Mapping[str, Report | None], workers: Mapping[str, float], lease: float) -> None:
        """Take in the last reports of the running jobs, and record what goes on if that is due.

        Args:
            reports: The reports, by key.
            workers: The seconds since the last heartbeat of each worker.
            lease: Seconds after which a silent worker is lost.
        """
        lost = {name: age for name, age in workers.items() if age >= lease}
        # The jobs of a lost worker wait until another one takes them.
        running = {key: each for key, each in reports.items() if not (each and each.worker in lost)}
        self._forecast.look(time.monotonic(), running)
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + INTERVAL
        # The sweep goes on without it, for example on a full disk, or if a worker has reported an absurd time.
        with contextlib.suppress(OSError, ValidationError):
            found = Activity(
                began=self._began, at=time.time(), running=len(running),
                waiting=max(len(self._jobs) - len(self._rows) - len(running), 0),
                jobs=dict(islice(running.items(), MOST_JOBS)), workers=len(workers) - len(lost),
                lost=dict(islice(lost.items(), MOST_LOST)), rate=self._forecast.rate, left=self._forecast.left(),
            )  # fmt: skip
            write_atomically(self._file, lambda file: file.write(found.model_dump_json().encode()))

    def close(self) -> None:
        """Remove the record: nothing goes on any more."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)
