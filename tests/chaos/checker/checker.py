"""Holds what a run left against what it must be: the promises of docs/explanation/guarantees.md, one function each."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from orchestrator.folder.rows import Row
from tests.chaos.arena.arena import NAME
from tests.chaos.arena.oracle import CleanRun
from tests.chaos.arena.other import NAME as OTHER
from tests.chaos.checker.causes import CUTS, false_causes, false_ends, too_many_attempts
from tests.chaos.checker.observation import Observation
from tests.chaos.checker.recovery import HANG_BOUND, STOP_BOUND, recoveries
from tests.chaos.history import Event
from tests.chaos.plan import OUTAGES, RESTARTS, UNNOTICED
from tests.chaos.runner import AGAIN
from worker.records.store import artifact

Kind = Literal["lost", "double", "mismatch", "cancelled", "attempt", "leaderboard", "recovery", "leak", "end"]

#: Bytes that no worker's main process exceeds: it holds the data set, and no message, however packed, comes near that.
MEMORY_BOUND = 450 << 20
#: The most files that a worker has open at rest, whatever became of its connections. One with two processes needs 40.
DESCRIPTORS_BOUND = 48

#: An accounting line that counts some.
_ALARM = re.compile(r"mismatches [1-9]")


@dataclass(frozen=True)
class Violation:
    """A broken promise."""

    kind: Kind
    text: str


def check(seen: Observation, clean: CleanRun) -> list[Violation]:
    """Return every violation; none is what a run must have."""
    return [violation for promise in _PROMISES for violation in promise(seen, clean)]


def _one_row_each(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    rows = _rows(seen.lines)
    counts = Counter(row.job for row in rows)
    for job in clean.jobs:
        if counts[job] == 0:
            yield Violation("lost", f"no row for {job}")
        if counts[job] > 1:
            yield Violation("double", f"{counts[job]} rows for {job}")
    for job in counts.keys() - clean.jobs.keys():
        yield Violation("double", f"a row for {job}, which is no job of the sweep")
    for row in rows:
        if not row.accepted and row.job not in seen.cancelled:
            yield Violation("lost", f"{row.job} is {row.status}: {row.error}")


def _counted_once(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for lines in (seen.lines, *seen.logs):
        if unreadable := len(lines) - len(_rows(lines)):
            yield Violation("lost", f"{unreadable} lines of results.jsonl cannot be read")
    for log in seen.logs:
        # The sweep puts each row once into the file that it leaves: only what it appended tells what it counted.
        for job, count in Counter(row.job for row in _rows(log) if row.accepted).items():
            if count > 1:
                yield Violation("double", f"{count} accepted rows for {job} were appended")
    for name, count in Counter(seen.reported).items():
        if count > 1:
            yield Violation("double", f"{name} was accepted {count} times")


def _nothing_of_cancelled_jobs(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for row in _rows(seen.lines):
        if row.job in seen.cancelled and row.status != "cancelled":
            yield Violation("cancelled", f"{row.job} was cancelled, and its row says {row.status}")
    for job in seen.cancelled:
        if seen.states.get(job) not in ("REVOKED", None):
            yield Violation("cancelled", f"{job} was cancelled, and Redis says {seen.states[job]}")


def _the_cancelled_sweep_ended(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    struck = [fault for fault in seen.faults if fault["fault"] == "cancel a sweep"]
    if not struck:
        return
    others = clean.workload.other_jobs
    if not 0 < len(struck[0]["running"]) < len(others):
        yield Violation("end", f"{len(struck[0]['running'])} of the {len(others)} jobs to cancel ran: not some of them")
    if seen.other_status != 1:
        yield Violation("cancelled", f"the cancelled sweep's orchestrator ended with {seen.other_status}")
    for job in others:
        if seen.other_rows.get(job) != "cancelled":
            yield Violation("cancelled", f"{job} was cancelled, and its row says {seen.other_rows.get(job)}")
        if seen.states.get(job) not in ("REVOKED", None):
            yield Violation("cancelled", f"{job} was cancelled, and Redis says {seen.states[job]}")
        # None if the command did not end.
        over = struck[0]["over"] or float("inf")
        if any(attempt.end == "finished" or attempt.started > over for attempt in seen.attempts[job]):
            yield Violation("cancelled", f"{job} was trained after it was cancelled")
    for job in clean.jobs:
        if f"seedsweep:cancelled:{job}" in seen.keys and job not in seen.cancelled:
            yield Violation("cancelled", f"{job} of another sweep was cancelled, too")


def _same_bits(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for row in _rows(seen.lines):
        if row.accepted and row.weights_sha256 != clean.hashes.get(row.job):
            yield Violation("mismatch", f"{row.job} has the weights {row.weights_sha256}")
        if row.accepted and row.validation_score != clean.accuracies.get(row.job):
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
    for text in (*false_ends(seen), *false_causes(seen), *too_many_attempts(seen)):
        yield Violation("attempt", text)
    forgets = seen.forgets
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
    for row in _rows(seen.lines):
        if row.accepted and row.attempts < 1:
            yield Violation("attempt", f"{row.job} has a result without an attempt")


def _recovers_in_time(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for recovery in recoveries(seen.events, forgets=seen.lost_messages):
        if recovery.late is not None and recovery.late > 0:
            yield Violation(
                "recovery", f"{recovery.fault}: no work for {recovery.seconds:.1f} s, {recovery.late:.1f} s too long"
            )
    for name, seconds in seen.stops.items():
        if seconds > STOP_BOUND:
            yield Violation("recovery", f"{name} took {seconds:.1f} s to end after SIGTERM; bound {STOP_BOUND:.0f} s")


def _what_is_wrong_is_noticed(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for fault in seen.faults:
        if fault["fault"] != "hang a process" or _was_disturbed(seen, fault):
            continue
        if fault["over"] is None or fault["over"] - fault["t"] > HANG_BOUND:
            yield Violation("recovery", f"a process that hung lived longer than {HANG_BOUND:.0f} s: {fault}")
    struck = [fault for fault in seen.faults if fault["fault"] not in UNNOTICED]
    for fault in struck:
        # Another fault might have given it a worker that takes jobs.
        if fault.get("told") is False and len(struck) == 1:
            yield Violation("end", f"no worker took jobs, and the sweep did not say so: {fault}")
    for event in seen.events:
        if event["event"] == "clock set right" and not event["noticed"]:
            earlier = (fault for fault in seen.faults if fault["fault"] == "skew a clock" and fault["t"] < event["t"])
            skewed = next(fault for fault in earlier if fault["worker"] == event["worker"])
            if not _was_disturbed(seen, skewed | {"over": event["t"]}):
                yield Violation("end", f"{event['worker']} said nothing of its clock, which was wrong: {skewed}")


def _was_disturbed(seen: Observation, fault: Event) -> bool:
    """Return whether the fault's worker had other troubles while it lasted: its own, or those of every worker."""
    until = fault["over"] or float("inf")
    others = [other for other in seen.faults if other["t"] <= until and (other["over"] or until) >= fault["t"]]
    late = [other for other in others if other["t"] != fault["t"]]
    return any(other["fault"] in (*OUTAGES, *CUTS) or other.get("worker") == fault["worker"] for other in late)


def _nothing_left(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    expected = {"seedsweep:workers", "seedsweep:sweeps", f"seedsweep:sweep:{NAME}"}
    for job in clean.jobs:
        evidence = f"seedsweep:finished:{job}{clean.workload.evidence}"
        expected |= {f"celery-task-meta-{job}", f"seedsweep:attempts:{job}", evidence}
    expected |= {
        f"{kind}{job.key}" for kind in ("celery-task-meta-", "seedsweep:attempts:") for job in clean.workload.quick
    }
    expected |= {f"seedsweep:weights:{artifact(job, sha256)}" for job, sha256 in clean.hashes.items()}
    expected |= {"seedsweep:released", "seedsweep:released:bytes"}
    expected |= {f"seedsweep:cancelled:{job}" for job in seen.cancelled}
    if seen.plan.has("cancel a sweep"):
        kinds = ("celery-task-meta-", "seedsweep:attempts:", "seedsweep:cancelled:")
        expected |= {
            f"seedsweep:sweep:{OTHER}",
            *(f"{kind}{job}" for kind in kinds for job in clean.workload.other_jobs),
        }
    if any(fault["fault"] == "crash Redis" for fault in seen.faults):
        # The crash took a result with it after the sweep had its row: nobody trains the job again, and its checkpoint,
        # which the crash brought back, stays until it expires.
        expected |= {f"seedsweep:checkpoint:{job}" for job in clean.jobs if job not in seen.states}
    # The receipts of a withdrawal expire by themselves if its orchestrator is killed, or a crash brings them back.
    may_stay = any(fault["fault"] in ("crash Redis", "kill the orchestrator") for fault in seen.faults)
    passing = ("_kombu.binding", "seedsweep:withdrawn:") if may_stay else ("_kombu.binding",)
    for key, ttl in seen.keys.items():
        if key.startswith(passing):
            # The tables of queues, which are kombu's own: they stay, and do not grow with jobs.
            continue
        if key.partition(f".{AGAIN}")[0] not in expected:
            yield Violation("leak", f"Redis holds {key}")
        elif ttl < 0:
            yield Violation("leak", f"Redis keeps {key} forever")
    # A worker that ends while Redis is away cannot sign off, and a crash may forget that it did: its record expires.
    away = any(event.get("fault") in (*RESTARTS, "stall the network") for event in seen.events)
    for name in seen.members - seen.killed - (seen.stops.keys() if away else set()):
        yield Violation("leak", f"{name} has ended, and is still on record as a worker")
    files = {f"{NAME}/{name}" for name in ("sweep.json", "results.jsonl", "leaderboard.csv", "leaderboard.json")}
    for name in seen.files - files:
        yield Violation("leak", f"the output folder holds {name}")


def _workers_stay_small(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for name, peak in seen.peaks.items():
        if peak > MEMORY_BOUND:
            yield Violation("leak", f"{name} took {peak >> 20} MiB; bound {MEMORY_BOUND >> 20} MiB")
    for name, count in seen.descriptors.items():
        if count > DESCRIPTORS_BOUND:
            yield Violation("leak", f"{name} has {count} files open; bound {DESCRIPTORS_BOUND}")


def _ends_well(seen: Observation, clean: CleanRun) -> Iterator[Violation]:
    for trouble in seen.troubles:
        yield Violation("end", trouble)
    wanted = [1] if seen.cancelled else [0]
    if seen.statuses != wanted:
        yield Violation("end", f"the orchestrator ended with {seen.statuses}; expected {wanted}")
    if "Traceback" in seen.said:
        yield Violation("end", "an orchestrator printed a traceback")
    filled = any(fault["fault"] == "fill the disk" for fault in seen.faults)
    if filled and "cannot be written" not in seen.said:
        yield Violation("end", "the disk was full, and no orchestrator said so")


_PROMISES: tuple[Callable[[Observation, CleanRun], Iterator[Violation]], ...] = (
    _one_row_each,
    _counted_once,
    _nothing_of_cancelled_jobs,
    _the_cancelled_sweep_ended,
    _same_bits,
    _weights_files,
    _same_leaderboard,
    _attempts_have_causes,
    _recovers_in_time,
    _what_is_wrong_is_noticed,
    _nothing_left,
    _workers_stay_small,
    _ends_well,
)


def _rows(lines: list[str]) -> list[Row]:
    rows = []
    for line in lines:
        try:
            rows.append(Row.model_validate(json.loads(line)))
        except ValueError:
            continue
    return rows
