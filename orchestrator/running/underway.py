"""Tells what goes on in a sweep while its session trains it, and how long the rest takes."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from itertools import islice
from typing import Self

from pydantic import BaseModel, ValidationError

from nn.files import write_atomically
from orchestrator.errors import OutputError
from orchestrator.folder.activity import MOST_JOBS, MOST_LOST, Activity
from orchestrator.folder.rows import Accounting, Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import PROGRESS
from orchestrator.running.listener import SILENT, Progress
from orchestrator.running.stalls import share_of_time
from worker.job import Job
from worker.records.presence import Presence
from worker.records.report import Report

#: The shortest and the longest time between two records, and the time for which a process between two jobs counts as
#: busy, in seconds.
INTERVAL, LONGEST_INTERVAL = 1.0, 10.0
BUSY_SECONDS = 4.0
#: How many jobs tell what a job takes besides its training.
_LAST = 100


class Underway(Progress):
    """Makes of reports and rows what goes on in a sweep, for a display and in its folder, and passes all else on.

    The time left follows at once when workers come or go: as many jobs run at a time as run now.

    Args:
        jobs: The jobs by key; the caller may add some.
        rows: The rows of those that have ended, to which the caller adds.
        progress: The display.
        folder: The sweep's folder, which this process has locked; None to write nothing.
        place: The address of the cluster, without its password.
        clock: Tells the time in seconds.

    Attributes:
        activity: What went on last; None if that is not known.
    """

    activity: Activity | None = None

    def __init__(
        self,
        jobs: Mapping[str, Job],
        rows: Mapping[str, Row],
        progress: Progress = SILENT,
        folder: SweepFolder | None = None,
        place: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(progress.message)
        self._jobs, self._rows, self._progress, self._place, self._clock = jobs, rows, progress, place, clock
        self._folder = folder
        self._forecast = Forecast(row for row in rows.values() if _is_own(row))
        self._began, self._next = time.time(), 0.0
        #: When each running job was first seen, and what the last jobs took besides their training, in seconds.
        self._seen: dict[str, float] = {}
        self._around: deque[float] = deque(maxlen=_LAST)
        #: When the first job was seen, how many have ended since, and the numbers of running ones, each with its time.
        self._first, self._ended = math.inf, 0
        self._widths: deque[tuple[float, int]] = deque()

    def finished(self, row: Row) -> None:
        """Take in a row, and pass it on."""
        now = self._clock()
        if _is_own(row):
            self._forecast.learn(row)
            self._ended += 1
            self._around.append(max(now - self._seen.pop(row.job, now) - sum(row.epoch_seconds), 0.0))
        self._progress.finished(row)

    def running(
        self, reports: Mapping[str, Report | None], workers: Collection[Presence], lost: Mapping[str, float]
    ) -> None:
        """Take in the state of the running tasks, and tell what goes on if that is due."""
        # The jobs of a lost worker wait until another one takes them.
        dead = {task for each in workers if each.name in lost for task in each.running}
        running = {key: each for key, each in reports.items() if (each.worker not in lost if each else key not in dead)}
        now = self._clock()
        self._seen = {key: self._seen.get(key, now) for key in running}
        self._first = min(self._first, *self._seen.values(), math.inf)
        self._widths.append((now, len(running)))
        while self._widths[0][0] < now - BUSY_SECONDS:
            self._widths.popleft()
        if now >= self._next:
            # The sweep goes on without it, for example on a full disk, or if a worker has reported an absurd time.
            with contextlib.suppress(OSError, ValidationError):
                # The first job may report before the list of workers is read again.
                alive = {each.name for each in workers if each.name not in lost}
                alive |= {each.worker for each in running.values() if each}
                self.activity = found = self._activity(running, len(alive), lost)
                if self._folder is not None:
                    content = found.model_dump_json().encode()
                    write_atomically(self._folder.path / PROGRESS, lambda file: file.write(content))
            self._next = now + share_of_time(self._clock() - now, INTERVAL, LONGEST_INTERVAL)
        self._progress.underway(self.activity)

    def _activity(self, running: Mapping[str, Report | None], workers: int, lost: Mapping[str, float]) -> Activity:
        rest = {key: job for key, job in self._jobs.items() if key not in self._rows}
        begun = {key: (each.seconds, each.epoch) for key, each in running.items() if each and key in rest}
        # Processes do more than train: they store results. The median: the first job also loads data and compiles.
        around = statistics.median(self._around) if self._around else 0.0
        width, elapsed = max(count for _, count in self._widths), self._clock() - self._first
        counts = Accounting.of(len(self._jobs), self._rows.values())
        again = sum(each.attempt > 1 for each in running.values() if each)
        return Activity(
            began=self._began, at=time.time(), place=self._place, planned=len(self._jobs), done=counts.done,
            failed=counts.failed, diverged=counts.diverged, retried=sum(counts.repeated.values()) + again,
            running=len(running), waiting=max(len(rest) - len(running), 0), workers=workers,
            jobs=dict(islice(running.items(), MOST_JOBS)), lost=dict(islice(lost.items(), MOST_LOST)),
            rate=60 * self._ended / elapsed if self._ended and elapsed > 0.0 else None,
            left=self._forecast.left(rest, width, begun, around),
        )  # fmt: skip

    def __enter__(self) -> Self:
        # Others see at once where the sweep is trained.
        self.running({}, (), {})
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the record: nothing goes on any more."""
        if self._folder is not None:
            # A folder that was removed, or replaced by that of another sweep, is left alone.
            with contextlib.suppress(OSError, OutputError):
                self._folder.check_held()
                (self._folder.path / PROGRESS).unlink()


def _is_own(row: Row) -> bool:
    return row.accepted and row.reused_from is None


class Forecast:
    """Estimates how long jobs take: an epoch as long as with the same options, or else as all do on average.

    So the estimate holds for configurations of unlike cost.

    Args:
        rows: Rows of jobs with a result.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        #: Seconds of training and epochs, of all jobs and by options; an epoch that a job did without counts.
        self._seconds, self._epochs = 0.0, 0
        self._spent: dict[Hashable, tuple[float, int]] = {}
        #: The options and the epochs of jobs by key, because it takes a while to tell them.
        self._known: dict[str, tuple[Hashable, int]] = {}
        for row in rows:
            self.learn(row)

    def learn(self, row: Row) -> None:
        """Take in the row of a job with a result."""
        seconds, epochs, options = sum(row.epoch_seconds), row.epochs, without_epochs(row.options)
        spent, count = self._spent.get(options, (0.0, 0))
        self._spent[options] = spent + seconds, count + epochs
        self._seconds, self._epochs = self._seconds + seconds, self._epochs + epochs

    def left(
        self, jobs: Mapping[str, Job], width: float, begun: Mapping[str, tuple[float, int]], around: float = 0.0
    ) -> float | None:
        """Return the seconds that jobs take; None if it is too early to say, or nothing can run.

        Args:
            jobs: The jobs by key.
            width: How many run at a time.
            begun: The seconds and the epochs that some of them are trained already.
            around: The seconds that each takes besides its training.
        """
        seconds = self._seconds + sum(seconds for seconds, _ in begun.values())
        epochs = self._epochs + sum(epochs for _, epochs in begun.values())
        if not (seconds and epochs and width):
            return None
        rest = longest = 0.0
        for key, job in jobs.items():
            if key not in self._known:
                self._known[key] = without_epochs(job.options), job.epochs
            options, planned = self._known[key]
            spent, count = self._spent.get(options, (seconds, epochs))
            each = max(planned * spent / count + around - begun.get(key, (0.0, 0))[0], 0.0)
            rest, longest = rest + each, max(longest, each)
        return max(rest / width, longest)


def without_epochs(options: BaseModel) -> Hashable:
    """Return the options of a job but for its epochs."""
    return frozenset((name, value) for name, value in options if name != "epochs")
