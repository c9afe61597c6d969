"""Tells what goes on in a sweep while its session trains it, and how long the rest takes."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ValidationError

from orchestrator.errors import OutputError
from orchestrator.folder.activity import MOST_JOBS, MOST_LOST, Activity
from orchestrator.folder.rows import Accounting, Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import PROGRESS
from orchestrator.running.listener import SILENT, Progress
from worker.job import Job
from worker.records.report import Report
from worker.trainers import registry

if TYPE_CHECKING:
    from worker.records.presence import Presence

#: The shortest and the longest time between two records, and the time for which a process between two jobs counts as
#: busy, in seconds.
INTERVAL, LONGEST_INTERVAL = 1.0, 10.0
BUSY_SECONDS = 4.0
#: How many jobs tell what a job takes besides its training.
_LAST = 100


def share_of_time(taken: float, shortest: float, longest: float) -> float:
    """Return the pause after periodic work, in seconds, with which the work takes a tenth of the time.

    Args:
        taken: Seconds that the work took.
        shortest: The shortest pause, in seconds.
        longest: The longest pause, in seconds.
    """
    return min(max(shortest, 9 * taken), longest)


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
        dataset = next((job.dataset for job in jobs.values()), None)
        self._forecast = Forecast(filter(_is_own, rows.values()), dataset)
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
            with contextlib.suppress(OutputError, ValidationError):
                # The first job may report before the list of workers is read again.
                alive = {each.name for each in workers if each.name not in lost}
                alive |= {each.worker for each in running.values() if each}
                self.activity = found = self._activity(running, len(alive), lost)
                if self._folder is not None:
                    self._folder.keep(PROGRESS, found.model_dump_json())
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
            left=self._forecast.left(rest, width, begun, around) if width else None,
        )  # fmt: skip

    def __enter__(self) -> Self:
        # Others see at once where the sweep is trained.
        self.running({}, (), {})
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the record: nothing goes on any more."""
        if self._folder is not None:
            # A folder that was removed, or replaced by that of another sweep, is left alone.
            with contextlib.suppress(OutputError), self._folder.writing() as folder:
                (folder / PROGRESS).unlink()


def _is_own(row: Row) -> bool:
    return row.accepted and row.reused_from is None


class Forecast:
    """Estimates how long jobs take: an epoch as long as with the same options.

    Without such a job, its time is in proportion to the training samples; if their number is not known, each epoch
    counts alike.

    Args:
        rows: Rows of jobs with a result.
        dataset: The digest of the data set; None if there are no jobs yet.
    """

    def __init__(self, rows: Iterable[Row] = (), dataset: str | None = None) -> None:
        self._dataset = dataset or ""
        #: Seconds and amount of training by kinds of jobs; an epoch that a job did without counts.
        self._spent: dict[Hashable, tuple[float, int]] = {}
        #: The kinds, the nearest first, with the amount of an epoch: by options, and with the epochs by key, because
        #: it takes a while to tell them.
        self._kinds: dict[Hashable, list[tuple[Hashable, int]]] = {}
        self._known: dict[str, tuple[list[tuple[Hashable, int]], int]] = {}
        for row in rows:
            self.learn(row)

    def learn(self, row: Row) -> None:
        """Take in the row of a job with a result."""
        _add(self._spent, self._kinds_of(row), sum(row.epoch_seconds), row.epochs)

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
        self._known |= {key: (self._kinds_of(job), job.epochs) for key, job in jobs.items() if key not in self._known}
        spent = dict(self._spent)
        for key, (seconds, epochs) in begun.items():
            _add(spent, self._known[key][0], seconds, epochs)
        if not (spent and spent[None][0] and width):
            return None
        rest = longest = 0.0
        for key in jobs:
            kinds, planned = self._known[key]
            of_nearest = next(spent[kind][0] / spent[kind][1] * amount for kind, amount in kinds if kind in spent)
            each = max(planned * of_nearest + around - begun.get(key, (0.0, 0))[0], 0.0)
            rest, longest = rest + each, max(longest, each)
        return max(rest / width, longest)

    def _kinds_of(self, job: Job | Row) -> list[tuple[Hashable, int]]:
        options = without_epochs(job.options)
        if options not in self._kinds:
            samples = registry.trainer(job.trainer).samples(job.options, self._dataset)
            alike = [("samples", samples)] if samples and samples > 0 else []
            self._kinds[options] = [(options, 1), *alike, (None, 1)]
        return self._kinds[options]


def _add(
    spent: dict[Hashable, tuple[float, int]], kinds: Iterable[tuple[Hashable, int]], seconds: float, epochs: int
) -> None:
    for kind, amount in kinds if epochs else ():
        before = spent.get(kind, (0.0, 0))
        spent[kind] = before[0] + seconds, before[1] + epochs * amount


def without_epochs(options: BaseModel, *others: str) -> Hashable:
    """Return the options of a job but for its epochs, and others."""
    return frozenset((name, value) for name, value in options if name not in ("epochs", *others))


def longest_shorter(jobs: Mapping[str, Job], rows: Iterable[Row]) -> dict[str, Row]:
    """Return the rows from which jobs go on, by key: of the longest finished job that differs only in fewer epochs."""
    longest = max((job.epochs for job in jobs.values()), default=0)
    shorter = defaultdict(list)
    for row in sorted(rows, key=lambda each: each.epochs):
        # One that stopped early has no state of its last epoch.
        if row.status == "succeeded" and row.stopped is None and row.epochs < longest:
            shorter[without_epochs(row.options), row.seed].append(row)
    found = dict[str, Row]()
    # Mostly there is none, and hashing the options of thousands of jobs takes a while.
    for key, job in jobs.items() if shorter else ():
        found.update((key, row) for row in shorter[without_epochs(job.options), job.seed] if row.epochs < job.epochs)
    return found
