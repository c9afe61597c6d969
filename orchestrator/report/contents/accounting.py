"""Accounting: how each job ended, how often jobs were tried and why, what was reused, and who trained what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row
from orchestrator.report import attempts
from orchestrator.report.attempts import UNKNOWN, Attempts, Clock, Span
from orchestrator.report.contents.parts import DataTable, Fact
from orchestrator.sweeps.names import JobNames
from orchestrator.text import counted

#: Rows of each table.
MOST_ROWS = 200
#: Characters of a reason.
MOST_REASON = 300


@dataclass(frozen=True)
class AccountingContent:
    """What the section says.

    Attributes:
        facts: Counts of jobs and attempts, and times.
        workers: Who trained what.
        problems: The jobs that ended otherwise than by succeeding, with the reason; None if there are none.
        repeated: The attempts that ended otherwise than with their job's end; None if there are none.
        untimed: Why some attempts have no times; empty if all have.
    """

    facts: tuple[Fact, ...]
    workers: DataTable | None
    problems: DataTable | None
    faults: DataTable | None
    untimed: str


def content(sweep: Sweep) -> AccountingContent:
    """Return what the section says."""
    made = attempts.of(sweep)
    names = JobNames(sweep.jobs.values(), sweep.manifest.axes)
    return AccountingContent(
        facts=tuple(_facts(sweep, made)),
        workers=_workers(sweep, made),
        problems=_problems(sweep, names),
        faults=_faults(made, names),
        untimed=untimed(made),
    )


def untimed(made: Attempts) -> str:
    """Return why some attempts are not drawn; empty if all are."""
    if not made.untimed:
        return ""
    which = counted(made.untimed, "attempt") if made.spans else "the attempts"
    return f"When {which} began and ended is not known: their cluster was gone before it could be asked"


# In a few words


def _facts(sweep: Sweep, made: Attempts) -> Iterable[Fact]:
    accounting = sweep.accounting
    yield Fact("Jobs", _jobs(sweep))
    if accounting.attempts:
        repeated = ", ".join(f"{count} after {_AFTER[cause]}" for cause, count in sorted(accounting.repeated.items()))
        trained = counted(accounting.jobs - accounting.reused, "job")
        yield Fact("Attempts", f"{accounting.attempts} at {trained}; repeated: {repeated or 'none'}")
    if accounting.reused:
        yield Fact("Reused", _reused(sweep.rows.values()))
    if accounting.mismatches:
        jobs = counted(accounting.mismatches, "job")
        yield Fact("Mismatches", f"{jobs} of which two executions ended with different weights: evidence of a fault")
    if made.spans:
        yield from _times(sweep, made)


#: A cause as the end of a sentence that begins with `after`.
_AFTER = {
    "first run": "the first run",
    "worker lost": "the loss of a worker",
    "child lost": "the loss of a worker's process",
    "hung": "a process hung",
    "given back": "a worker was shut down",
    "delivered again": "the message was delivered again",
    "submitted again": "the job was submitted again",
}


def _jobs(sweep: Sweep) -> str:
    accounting = sweep.accounting
    parts = [f"{accounting.accepted} of {accounting.jobs} {_have(accounting.accepted)} a result"]
    if accounting.diverged:
        parts.append(f"{accounting.diverged} of these diverged")
    parts += [
        f"{count} {word}"
        for count, word in ((accounting.failed, "failed"), (accounting.cancelled, "cancelled"))
        if count
    ]
    missing = accounting.jobs - accounting.accepted - accounting.failed - accounting.cancelled
    if missing:
        parts.append(f"{missing} {_have(missing)} not ended")
    return "; ".join(parts)


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _reused(rows: Iterable[Row]) -> str:
    origins = Counter(row.reused_from for row in rows if row.reused_from is not None)
    shown = [f"{count} from {origin}" for origin, count in origins.most_common(5)]
    if len(origins) > len(shown):
        shown.append(f"{sum(count for _, count in origins.most_common()[5:])} from others")
    return f"{counted(sum(origins.values()), 'result')}, not trained for this sweep: {', '.join(shown)}"


def _times(sweep: Sweep, made: Attempts) -> Iterable[Fact]:
    clock = Clock.of(made.spans)
    said = f"{duration(made.seconds - clock.paused)} from the first attempt to the end of the last one"
    if clock.pauses:
        said += f", without {counted(len(clock.pauses), 'pause')} of {duration(clock.paused)} in all"
    yield Fact("Time", said)
    trained = sum(sum(row.epoch_seconds) for row in sweep.rows.values() if row.reused_from is None)
    busy = attempts.busy_seconds(made.spans)
    yield Fact("Training", f"{duration(trained)} in epochs that count, of {duration(busy)} in attempts")


def duration(seconds: float) -> str:
    """Return a duration with two digits at least, in the largest unit in which it is more than one and a half."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds > 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


# Who trained what


@dataclass
class _Work:
    """What a worker contributed to results."""

    jobs: int = 0
    epochs: int = 0
    seconds: float = 0.0
    attempts: int = 0
    spans: list[Span] = field(default_factory=list)


def _workers(sweep: Sweep, made: Attempts) -> DataTable | None:
    work = {worker: _Work(spans=spans) for worker, spans in made.by_worker().items()}
    for row in sweep.rows.values():
        if row.reused_from is not None:
            continue
        if row.worker is not None:
            work.setdefault(row.worker, _Work()).jobs += 1
        for worker, epochs in _contributions(row):
            of_worker = work.setdefault(worker, _Work())
            of_worker.attempts += 1
            of_worker.epochs += len(epochs)
            of_worker.seconds += sum(epochs)
    if not work:
        return None
    active = made.seconds - Clock.of(made.spans).paused
    most_first = sorted(work.items(), key=lambda item: (-item[1].jobs, -item[1].epochs, item[0]))
    headings = ("worker", "jobs finished", "attempts", "epochs", "training, s", "processes", "busy")
    rows = [_worker(name, of_worker, active) for name, of_worker in most_first[:MOST_ROWS]]
    return DataTable("Who trained what", headings, rows, _rest(len(work), "worker"))


def _contributions(row: Row) -> Iterable[tuple[str, Sequence[float]]]:
    """Yield each attempt at a job: its worker, and the seconds of each epoch that it contributed to the result."""
    if row.worker is not None and not any(record.worker for record in row.history):
        yield row.worker, row.epoch_seconds
        return
    for record, epochs in attempts.contributions(row):
        yield record.worker or UNKNOWN, epochs


def _worker(name: str, work: _Work, active: float) -> tuple[str, ...]:
    processes = max(attempts.lanes(work.spans), default=-1) + 1
    share = attempts.busy_seconds(work.spans) / (processes * active) if processes and active > 0 else None
    return (
        name,
        str(work.jobs),
        str(work.attempts),
        str(work.epochs),
        f"{work.seconds:.1f}",
        str(processes or "-"),
        "-" if share is None else f"{100 * share:.0f} %",
    )


# What went wrong


def _problems(sweep: Sweep, names: JobNames) -> DataTable | None:
    found = [
        (names.job(job.seed, job.options), ended, _reason(row))
        for key, job in sweep.jobs.items()
        if (row := sweep.rows.get(key)) is not None and (ended := _ended(row))
    ]
    if not found:
        return None
    headings = ("job", "ended as", "reason")
    return DataTable("Jobs that need attention", headings, found[:MOST_ROWS], _rest(len(found), "such job"))


def _ended(row: Row) -> str:
    """Return how a job ended, if it needs attention; empty if it does not."""
    parts: list[str] = [] if row.status == "succeeded" else [row.status]
    if row.mismatches:
        parts.append("mismatched")
    return ", ".join(parts)


def _reason(row: Row) -> str:
    parts = [row.error] if row.error else []
    parts += [
        f"weights {found.first[:12]} first, {found.second[:12]} on {found.worker}" for found in row.mismatches[:2]
    ]
    text = "; ".join(parts) or "-"
    return text if len(text) <= MOST_REASON else f"{text[: MOST_REASON - 1]}…"


def _faults(made: Attempts, names: JobNames) -> DataTable | None:
    found = [span for span in made.spans if span.is_fault]
    if not found:
        return None
    rows = [
        (
            names.job(span.job.seed, span.job.options),
            str(span.number),
            span.worker,
            span.cause,
            str(span.end),
            f"{span.start:.1f}",
            f"{span.stop - span.start:.1f}",
        )
        for span in found[:MOST_ROWS]
    ]
    headings = ("job", "attempt", "worker", "cause", "end", "began, s", "lasted, s")
    return DataTable("Attempts that did not finish their job", headings, rows, _rest(len(found), "such attempt"))


def _rest(number: int, thing: str) -> str:
    return "" if number <= MOST_ROWS else f"{MOST_ROWS} of {counted(number, thing)}"
