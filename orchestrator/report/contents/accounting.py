"""Accounting: how each job ended, how often jobs were tried and why, what was reused, and who trained what."""

from collections import Counter
from collections.abc import Iterable, Sequence

from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.rows import Row
from orchestrator.report import attempts
from orchestrator.report.attempts import Attempts, Span
from orchestrator.report.contents.parts import DataTable, Fact
from orchestrator.text import counted, duration

#: Most rows of a table.
MOST_ROWS = 200
#: Longest reason, in characters.
MOST_REASON = 300


def untimed(made: Attempts) -> str:
    """Return why some attempts have no times; empty if all have."""
    if not made.untimed:
        return ""
    which = counted(made.untimed, "attempt") if made.spans else "the attempts"
    return f"When {which} began and ended is not known: their cluster was gone before it could be asked"


# Facts


def facts(sweep: Sweep, made: Attempts) -> Iterable[Fact]:
    """Yield counts of jobs and attempts, and times."""
    accounting = sweep.accounting
    yield Fact("Jobs", _jobs(sweep))
    if accounting.attempts:
        repeated = ", ".join(f"{count} after {_AFTER[cause]}" for cause, count in sorted(accounting.repeated.items()))
        trained = counted(accounting.jobs - accounting.reused, "job")
        yield Fact("Attempts", f"{accounting.attempts} at {trained}; repeated: {repeated or 'none'}")
    if accounting.reused:
        origins = Counter(row.reused_from for row in sweep.rows.values() if row.reused_from is not None)
        shown = [f"{count} from {origin}" for origin, count in origins.most_common(5)]
        if len(origins) > len(shown):
            shown.append(f"{sum(count for _, count in origins.most_common()[5:])} from others")
        results = counted(sum(origins.values()), "result")
        yield Fact("Reused", f"{results}, not trained for this sweep: {', '.join(shown)}")
    if accounting.mismatches:
        jobs = counted(accounting.mismatches, "job")
        yield Fact("Mismatches", f"{jobs} of which two executions ended with different weights: evidence of a fault")
    if made.spans:
        said = f"{duration(made.seconds - made.paused)} from the first attempt to the end of the last one"
        if made.pauses:
            said += f", without {counted(len(made.pauses), 'pause')} of {duration(made.paused)} in all"
        yield Fact("Time", said)
        own = [row for row in sweep.ended if row.reused_from is None]
        # Without the epochs of a shorter job, if one went on from its weights.
        counting = sum(sum(epochs) for row in own for _, epochs in attempts.contributions(row))
        busy = attempts.busy_seconds(made.spans)
        yield Fact("Training", f"{duration(counting)} in epochs that count, of {duration(busy)} in attempts")


#: The words for each cause, to follow `after`.
_AFTER = {
    "worker lost": "the loss of a worker",
    "child lost": "the loss of a worker's process",
    "hung": "a process hung",
    "given back": "a worker was shut down",
    "delivered again": "the message was delivered again",
    "submitted again": "the job was submitted again",
}


def _jobs(sweep: Sweep) -> str:
    told = sweep.accounting
    missing = told.jobs - told.accepted - told.failed - told.cancelled
    counts = {
        "of these diverged": told.diverged,
        "failed": told.failed,
        "cancelled": told.cancelled,
        f"{'has' if missing == 1 else 'have'} not ended": missing,
    }
    ended = f"{told.accepted} of {told.jobs} {'has' if told.accepted == 1 else 'have'} a result"
    return "; ".join([ended, *(f"{count} {word}" for word, count in counts.items() if count)])


# Who trained what


def workers(sweep: Sweep, made: Attempts) -> DataTable | None:
    """Return who trained what; None if no worker is known."""
    own = [row for row in sweep.rows.values() if row.reused_from is None]
    spans, jobs = made.by_worker(), Counter(row.worker for row in own if row.worker is not None)
    # The seconds of the epochs of each attempt.
    work: dict[str, list[Sequence[float]]] = {name: [] for name in (*spans, *jobs)}
    for row in own:
        if row.worker is not None and not row.history:
            work[row.worker].append(row.epoch_seconds)
        for record, epochs in attempts.contributions(row):
            work.setdefault(record.worker, []).append(epochs)
    active = made.seconds - made.paused
    headings = ("worker", "jobs finished", "attempts", "epochs", "training, s", "processes", "busy")
    rows = [_worker(name, jobs[name], spans.get(name, ()), epochs, active) for name, epochs in work.items()]
    # The most jobs first, then the most epochs.
    rows.sort(key=lambda row: (-int(row[1]), -int(row[3]), row[0]))
    return _table("Who trained what", headings, rows, "worker")


def _worker(
    name: str, jobs: int, spans: Sequence[Span], epochs: Sequence[Sequence[float]], active: float
) -> tuple[str, ...]:
    processes = max(attempts.lanes(spans), default=-1) + 1
    share = attempts.busy_seconds(spans) / (processes * active) if processes and active > 0 else None
    return (
        *(name, str(jobs), str(len(epochs)), str(sum(map(len, epochs)))),
        *(f"{sum(map(sum, epochs)):.1f}", str(processes or "-"), "-" if share is None else f"{100 * share:.0f} %"),
    )


# What went wrong


def problems(sweep: Sweep) -> DataTable | None:
    """Return the jobs that did not succeed or had mismatches, with the reason; None if there are none."""
    found = []
    for row in sweep.ended:
        status = "" if row.status == "succeeded" else row.status
        ended = ", ".join(filter(None, (status, "mismatched" if row.mismatches else "")))
        if ended:
            found.append((sweep.names.job(row.seed, row.options), ended, _reason(row)))
    return _table("Jobs that need attention", ("job", "ended as", "reason"), found, "such job")


def _reason(row: Row) -> str:
    parts = [row.error] if row.error else []
    parts += [
        f"weights {found.first[:12]} first, {found.second[:12]} on {found.worker}" for found in row.mismatches[:2]
    ]
    text = "; ".join(parts) or "-"
    return text if len(text) <= MOST_REASON else f"{text[: MOST_REASON - 1]}…"


def faults(sweep: Sweep, made: Attempts) -> DataTable | None:
    """Return the attempts that did not finish their job; None if there are none."""
    found = [
        (
            sweep.names.job(span.job.seed, span.job.options),
            *(str(span.number), span.worker, span.cause, str(span.end)),
            *(f"{span.start:.1f}", f"{span.stop - span.start:.1f}"),
        )
        for span in made.spans
        if span.is_fault
    ]
    headings = ("job", "attempt", "worker", "cause", "end", "began, s", "lasted, s")
    return _table("Attempts that did not finish their job", headings, found, "such attempt")


def _table(label: str, headings: Sequence[str], rows: Sequence[Sequence[str]], thing: str) -> DataTable | None:
    return DataTable.of(label, headings, rows, thing, MOST_ROWS) if rows else None
