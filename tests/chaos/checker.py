"""Holds what a run left against what it must be: the promises of docs/guarantees.md, one function each."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from orchestrator.rows import Row
from tests.chaos.arena import NAME
from tests.chaos.observation import Observation
from tests.chaos.oracle import CleanRun
from tests.chaos.plan import RESTARTS
from tests.chaos.recovery import FORGOTTEN_BOUND, LEASE_BOUND, recoveries

Kind = Literal["lost", "double", "mismatch", "cancelled", "attempt", "leaderboard", "recovery", "leak", "end"]

#: An accounting line that counts some.
_ALARM = re.compile(r"mismatches [1-9]")
#: Seconds within which a worker ends after SIGTERM.
STOP_BOUND = 10.0


@dataclass(frozen=True)
class Violation:
    """A broken promise."""

    kind: Kind
    text: str


def check(seen: Observation, clean: CleanRun) -> list[Violation]:
    """Return every violation; none is what a run must have."""
    return [violation for promise in _PROMISES for violation in promise(seen, clean)]


def _one_row_each(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    rows = _rows(seen)
    counts = Counter(row.job for row in rows)
    for job in clean.jobs:
        if counts[job] == 0:
            yield Violation("lost", f"no row for {job}")
        if counts[job] > 1:
            yield Violation("double", f"{counts[job]} rows for {job}")
    for job in counts.keys() - clean.jobs.keys():
        yield Violation("double", f"a row for {job}, which is no job of the sweep")
    if len(rows) != len(seen.lines):
        yield Violation("lost", f"{len(seen.lines) - len(rows)} lines of results.jsonl cannot be read")
    for name, count in Counter(seen.reported).items():
        if count > 1:
            yield Violation("double", f"{name} was accepted {count} times")
    for row in rows:
        if not row.accepted and row.job not in seen.cancelled:
            yield Violation("lost", f"{row.job} is {row.status}: {row.error}")


def _nothing_of_cancelled_jobs(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for row in _rows(seen):
        if row.job in seen.cancelled and row.status != "cancelled":
            yield Violation("cancelled", f"{row.job} was cancelled, and its row says {row.status}")
    for job in seen.cancelled:
        if seen.states.get(job) not in ("REVOKED", None):
            yield Violation("cancelled", f"{job} was cancelled, and Redis says {seen.states[job]}")


def _same_bits(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for row in _rows(seen):
        if row.accepted and row.weights_sha256 != clean.hashes.get(row.job):
            yield Violation("mismatch", f"{row.job} has the weights {row.weights_sha256}")
        if row.accepted and row.validation_accuracy != clean.accuracies.get(row.job):
            yield Violation("mismatch", f"{row.job} has other accuracies than in the clean run")
    for key in seen.keys:
        if key.startswith("seedsweep:mismatch:"):
            yield Violation("mismatch", f"Redis holds {key}")
    if _ALARM.search(seen.said) or any('"mismatches":[{' in line for line in seen.lines):
        yield Violation("mismatch", "the orchestrator reported a mismatch")


def _weights_files(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for name, actual in seen.weights.items():
        if name != actual:
            yield Violation("mismatch", f"the weights file {name} holds {actual}")
    wanted = {clean.hashes[job] for job in clean.jobs if job not in seen.cancelled}
    for missing in wanted - seen.weights.keys():
        yield Violation("lost", f"no weights file {missing}")
    for strange in seen.weights.keys() - wanted:
        yield Violation("leak", f"the weights file {strange} is no row's")


def _same_leaderboard(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for name, actual, wanted in zip(("csv", "json"), seen.leaderboard, clean.leaderboard(seen.cancelled), strict=True):
        if actual != wanted:
            yield Violation("leaderboard", f"leaderboard.{name} differs from the clean run's")


def _attempts_have_causes(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    keeps = seen.plan.persistence != "none"
    forgets = not keeps or any(event.get("fault") == "crash Redis" for event in seen.events)
    for job, attempts in seen.attempts.items():
        ends = [attempt.end for attempt in attempts]
        finished = ends.count("finished")
        if seen.states.get(job) == "SUCCESS" and not finished and not forgets:
            yield Violation("attempt", f"{job} has a result, and its attempts ended {ends}")
        if job in seen.cancelled and attempts:
            yield Violation("attempt", f"{job} was cancelled before it began, and has attempts")
        for attempt in attempts:
            if attempt.end is None and attempt.worker not in seen.killed and not forgets:
                yield Violation("attempt", f"attempt {attempt.number} at {job} on {attempt.worker} has no end")
        causes = [attempt.cause for attempt in sorted(attempts, key=lambda attempt: attempt.started)]
        if causes and causes[0] != "first run" and not forgets:
            yield Violation("attempt", f"the first attempt at {job} was made because {causes[0]}")
    for row in _rows(seen):
        if row.accepted and row.attempts < 1:
            yield Violation("attempt", f"{row.job} has a result without an attempt")


def _recovers_in_time(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    forgets = seen.plan.persistence == "none" or "Redis lost" in seen.said
    bound = FORGOTTEN_BOUND if forgets else LEASE_BOUND
    for recovery in recoveries(seen.events):
        if recovery.waited is not None and recovery.waited > bound:
            yield Violation("recovery", f"{recovery.fault}: no work for {recovery.waited:.1f} s; bound {bound:.1f} s")
    for name, seconds in seen.stops.items():
        if seconds > STOP_BOUND:
            yield Violation("recovery", f"{name} took {seconds:.1f} s to end after SIGTERM; bound {STOP_BOUND:.0f} s")


def _nothing_left(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    expected = {"seedsweep:workers", "seedsweep:sweeps", f"seedsweep:sweep:{NAME}"}
    for job in clean.jobs:
        expected |= {f"celery-task-meta-{job}", f"seedsweep:attempts:{job}", f"seedsweep:finished:{job}"}
    expected |= {f"seedsweep:weights:{sha256}" for sha256 in clean.hashes.values()}
    expected |= {f"seedsweep:cancelled:{job}" for job in seen.cancelled}
    if any(event["event"] == "fault" and event["fault"] == "crash Redis" for event in seen.events):
        # The crash took a result with it after the sweep had its row: nobody trains the job again, and its checkpoint,
        # which the crash brought back, stays until it expires.
        expected |= {f"seedsweep:checkpoint:{job}" for job in clean.jobs if job not in seen.states}
    for key, ttl in seen.keys.items():
        if key.startswith("_kombu.binding"):
            # The tables of queues, which are kombu's own: they stay, and do not grow with jobs.
            continue
        if key not in expected:
            yield Violation("leak", f"Redis holds {key}")
        elif ttl < 0:
            yield Violation("leak", f"Redis keeps {key} for ever")
    # A worker that ends while Redis is away cannot sign off, and a crash may forget that it did: its record expires.
    away = any(event.get("fault") in (*RESTARTS, "stall the network") for event in seen.events)
    for name in seen.members - seen.killed - (seen.stops.keys() if away else set()):
        yield Violation("leak", f"{name} has ended, and is still on record as a worker")
    files = {f"{NAME}/{name}" for name in ("sweep.json", "results.jsonl", "leaderboard.csv", "leaderboard.json")}
    for name in seen.files - files:
        yield Violation("leak", f"the output folder holds {name}")


def _ends_well(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for trouble in seen.troubles:
        yield Violation("end", trouble)
    wanted = [1] if seen.cancelled else [0]
    if seen.statuses != wanted:
        yield Violation("end", f"the orchestrator ended with {seen.statuses}; expected {wanted}")
    if "Traceback" in seen.said:
        yield Violation("end", "an orchestrator printed a traceback")
    filled = any(
        event["event"] == "fault" and event["fault"] == "fill the disk" and event["struck"] for event in seen.events
    )
    if filled and "cannot be written" not in seen.said:
        yield Violation("end", "the disk was full, and no orchestrator said so")


_PROMISES: tuple[Callable[[Observation, CleanRun], Iterator[Violation]], ...] = (
    _one_row_each,
    _nothing_of_cancelled_jobs,
    _same_bits,
    _weights_files,
    _same_leaderboard,
    _attempts_have_causes,
    _recovers_in_time,
    _nothing_left,
    _ends_well,
)


def _rows(seen: Observation) -> list[Row]:
    rows = []
    for line in seen.lines:
        try:
            rows.append(Row.model_validate(json.loads(line)))
        except (ValueError, ValidationError):
            continue
    return rows
