"""Who trained what, and when: the attempts at a sweep's jobs, timed from the start of the first one."""

import functools
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import AttemptRecord, Row
from worker.job import Cause, End, Job

#: Longest gap between attempts that never counts as a pause, in seconds.
LEAST_PAUSE = 60.0


@dataclass(frozen=True)
class Span:
    """An attempt whose times are known.

    Attributes:
        job: Its job.
        number: Which attempt at the job it was, from 1.
        worker: The Celery name of its worker.
        cause: Why it was made.
        end: How it ended; None if that is not known.
        start: When it began, in seconds since the sweep's first attempt.
        stop: When it ended, likewise; for a lost worker, when the loss was noticed.
    """

    job: Job
    number: int
    worker: str
    cause: Cause
    end: End | None
    start: float
    stop: float

    @property
    def is_fault(self) -> bool:
        """Whether it ended without finishing its job."""
        return self.end not in ("finished", None)


@dataclass(frozen=True)
class Attempts:
    """The attempts at a sweep's jobs.

    Attributes:
        spans: Those with known times, by start time.
        untimed: The number of the others.
    """

    spans: Sequence[Span]
    untimed: int

    @property
    def seconds(self) -> float:
        """Seconds from the first start to the last end."""
        return max((span.stop for span in self.spans), default=0.0)

    @functools.cached_property
    def pauses(self) -> Sequence[tuple[float, float]]:
        """The start and the end of each long pause, such as the night before a sweep was resumed, in order.

        In seconds since the first attempt began. A pause is longer than a minute, and than the rest of the time without
        longer pauses.
        """
        stops = accumulate((span.stop for span in self.spans), max, initial=0.0)
        gaps = [(stop, span.start) for stop, span in zip(stops, self.spans, strict=False) if span.start > stop]
        left = self.seconds
        pauses = []
        for begin, end in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
            if end - begin <= max(LEAST_PAUSE, left - (end - begin)):
                break
            pauses.append((begin, end))
            left -= end - begin
        return sorted(pauses)

    @property
    def paused(self) -> float:
        """The length of all pauses, in seconds."""
        return sum(end - begin for begin, end in self.pauses)

    def active(self, seconds: float) -> float:
        """Return a time minus the pauses before it."""
        return seconds - sum(min(seconds, end) - begin for begin, end in self.pauses if begin < seconds)

    def by_worker(self) -> dict[str, list[Span]]:
        """Return the attempts of each worker, in the order in which the workers began."""
        found: dict[str, list[Span]] = {}
        for span in self.spans:
            found.setdefault(span.worker, []).append(span)
        return found


def of(sweep: Sweep) -> Attempts:
    """Return the attempts at the ended jobs of a sweep; reused results have none."""
    own = {key: row for key, row in sweep.rows.items() if row.reused_from is None}
    made = [span for key, row in own.items() for span in _timed(sweep.jobs[key], row)]
    begin = min((span.start for span in made), default=0.0)
    spans = [replace(span, start=span.start - begin, stop=span.stop - begin) for span in made]
    known = sum(max(row.attempts, len(row.history)) for row in own.values())
    return Attempts(sorted(spans, key=lambda span: (span.start, span.stop)), known - len(spans))


def _timed(job: Job, row: Row) -> Iterable[Span]:
    """Yield each attempt at a job whose end is known, in seconds since 1970."""
    first = max(row.attempts - len(row.history), 0) + 1
    for place, (record, epochs) in enumerate(contributions(row)):
        until = record.ended
        if until is None and record.end == "finished":
            # The sweep was interrupted before the worker recorded the end: it trained at least this long.
            until = record.started + sum(epochs)
        if until is not None:
            # Times in a foreign folder may be wrong.
            times = record.started, max(until, record.started)
            yield Span(job, first + place, record.worker, record.cause, record.end, *times)


def contributions(row: Row) -> list[tuple[AttemptRecord, Sequence[float]]]:
    """Return each attempt in a row's history with the seconds of each epoch that it contributed to the result."""
    found: list[tuple[AttemptRecord, Sequence[float]]] = []
    end = len(row.epoch_seconds)
    for record in reversed(row.history):
        found.append((record, row.epoch_seconds[record.epochs_before : end]))
        # An epoch that was trained again counts for the later attempt.
        end = min(end, record.epochs_before)
    return found[::-1]


def lanes(spans: Sequence[Span]) -> list[int]:
    """Return the lane of each attempt of one worker, from 0: its process. Attempts in a lane do not overlap.

    Args:
        spans: The attempts, by start time.
    """
    found: list[int] = []
    free: list[tuple[float, int]] = []
    for span in spans:
        lane = heapq.heappop(free)[1] if free and free[0][0] <= span.start else len(free)
        heapq.heappush(free, (span.stop, lane))
        found.append(lane)
    return found


def busy_seconds(spans: Sequence[Span]) -> float:
    """Return the total duration of the attempts, in seconds."""
    return sum(span.stop - span.start for span in spans)
