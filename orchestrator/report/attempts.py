"""The attempts at a sweep's jobs on one clock, which begins with the first of them: who trained what, and when."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import AttemptRecord, Row
from worker.job import Job
from worker.records.history import Cause, End

#: What is not known of an attempt that has no history.
UNKNOWN = "unknown"
#: A time without any attempt that is not longer is no pause, in seconds.
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
        start: Seconds from the sweep's first attempt to its begin.
        stop: Seconds from there to its end: of a lost worker, to when the loss was noticed.
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
        """Whether it ended otherwise than by finishing its job."""
        return self.end not in ("finished", None)


@dataclass(frozen=True)
class Attempts:
    """The attempts that were made for a sweep.

    Attributes:
        spans: Those with known times, by their begin.
        untimed: How many others there were.
    """

    spans: Sequence[Span]
    untimed: int

    @property
    def seconds(self) -> float:
        """From the first begin to the last end, in seconds."""
        return max((span.stop for span in self.spans), default=0.0)

    def by_worker(self) -> dict[str, list[Span]]:
        """Return the attempts of each worker, in the order in which the workers began."""
        found: dict[str, list[Span]] = {}
        for span in self.spans:
            found.setdefault(span.worker, []).append(span)
        return found


def of(sweep: Sweep) -> Attempts:
    """Return the attempts at a sweep's jobs that have ended; reused results have none."""
    own = {key: row for key, row in sweep.rows.items() if row.reused_from is None}
    made = [
        (sweep.jobs[key], number, record, until) for key, row in own.items() for number, record, until in _timed(row)
    ]
    begin = min((record.started or 0.0 for _, _, record, _ in made), default=0.0)
    spans = [
        Span(
            job,
            number,
            record.worker or UNKNOWN,
            record.cause,
            record.end,
            (record.started or 0.0) - begin,
            until - begin,
        )
        for job, number, record, until in made
    ]
    known = sum(max(row.attempts, len(row.history)) for row in own.values())
    return Attempts(sorted(spans, key=lambda span: (span.start, span.stop)), known - len(spans))


def _timed(row: Row) -> Iterable[tuple[int, AttemptRecord, float]]:
    """Yield the attempts at a job whose begin and end are known, each with its number and its end."""
    first = max(row.attempts - len(row.history), 0) + 1
    for place, (record, epochs) in enumerate(contributions(row)):
        if record.started is None:
            continue
        until = record.ended
        if until is None and record.end == "finished":
            # The sweep was interrupted before the worker recorded the end: it trained at least for so long.
            until = record.started + sum(epochs)
        if until is not None:
            # Clocks are not to be trusted in a foreign folder.
            yield first + place, record, max(until, record.started)


def contributions(row: Row) -> list[tuple[AttemptRecord, Sequence[float]]]:
    """Return each attempt in a row's history with the seconds of each epoch that it contributed to the result."""
    found: list[tuple[AttemptRecord, Sequence[float]]] = []
    end = len(row.epoch_seconds)
    for record in reversed(row.history):
        found.append((record, row.epoch_seconds[record.epochs_before : end]))
        # What a later attempt trained again counts for that one.
        end = min(end, record.epochs_before)
    return found[::-1]


def lanes(spans: Sequence[Span]) -> list[int]:
    """Return a lane for each attempt of one worker, from 0, so that no two in a lane overlap: its processes.

    Args:
        spans: The attempts, by their begin.
    """
    found: list[int] = []
    free: list[tuple[float, int]] = []
    for span in spans:
        lane = heapq.heappop(free)[1] if free and free[0][0] <= span.start else len(free)
        heapq.heappush(free, (span.stop, lane))
        found.append(lane)
    return found


def busy_seconds(spans: Sequence[Span]) -> float:
    """Return for how many seconds attempts were under way, added over all."""
    return sum(span.stop - span.start for span in spans)


@dataclass(frozen=True)
class Clock:
    """The time of a sweep without long pauses, such as the night before it was resumed.

    Attributes:
        pauses: The begin and the end of each pause, in seconds since the first attempt began, in order.
    """

    pauses: Sequence[tuple[float, float]]

    @classmethod
    def of(cls, spans: Sequence[Span]) -> Clock:
        """Return the clock of a sweep: a pause is longer than a minute, and than all attempts and other gaps together.

        Args:
            spans: The attempts, by their begin.
        """
        gaps, stop = [], 0.0
        for span in spans:
            if span.start > stop:
                gaps.append((stop, span.start))
            stop = max(stop, span.stop)
        left = stop
        pauses = []
        for begin, end in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
            if end - begin <= max(LEAST_PAUSE, left - (end - begin)):
                break
            pauses.append((begin, end))
            left -= end - begin
        return cls(sorted(pauses))

    @property
    def paused(self) -> float:
        """How long all pauses were, in seconds."""
        return sum(end - begin for begin, end in self.pauses)

    def at(self, seconds: float) -> float:
        """Return a time without the pauses before it."""
        return seconds - sum(min(seconds, end) - begin for begin, end in self.pauses if begin < seconds)
