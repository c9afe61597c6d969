"""Whether what is on record of attempts is true: nothing is held against a job that no fault explains."""

from collections.abc import Iterator

from tests.chaos.arena.arena import LEASE_SECONDS
from tests.chaos.checker.observation import Observation
from tests.chaos.checker.recovery import STOP_BOUND
from tests.chaos.history import Event
from tests.chaos.plan import CANCELLING, OUTAGES, UNNOTICED
from worker.job import Attempt

#: A worker beats three times in a lease: one of which nobody has heard for a lease was silent for so long at least.
SILENT_SECONDS = LEASE_SECONDS * 2 / 3
#: What ends a connection, and no more.
CUTS = ("cut connections", "reset the network", "refuse writes and cut")
#: What parts no worker from its messages, and no orchestrator from what it knew: it explains no attempt.
HARMLESS = (*CANCELLING, *UNNOTICED)
#: By how an attempt ended, which is why the next one begins, the only fault that explains it.
SOLE_FAULTS = {"child lost": "kill a child", "hung": "hang a process", "given back": "stop a worker"}
#: Seconds within which a worker notices that a process of it has died.
NOTICE_SECONDS = 2.0


def false_ends(seen: Observation) -> Iterator[str]:
    """Find ends for which somebody is blamed who did not die. Each fault explains one end of a job.

    An attempt that was only thought lost has the last word when its worker is back: to be frozen or cut off explains
    no end.
    """
    deaths: list[Event] = []
    for job, attempts in seen.attempts.items():
        used: list[Event] = []
        # The last attempt first: what explains it may explain those before it, too.
        for attempt in sorted(attempts, key=lambda attempt: -attempt.started):
            if attempt.end not in ("child lost", "hung", "worker lost"):
                continue
            taken = used if attempt.end == "worker lost" else used + deaths
            found = [fault for fault in _took_down(seen, attempt) if not any(fault is other for other in taken)]
            if not found:
                yield f"attempt {attempt.number} at {job} on {attempt.worker} ended as {attempt.end}: nothing did that"
                continue
            used.append(found[0])
            if attempt.end != "worker lost":
                # One process trains one job.
                deaths.append(found[0])


def _took_down(seen: Observation, attempt: Attempt) -> list[Event]:
    """Return the faults that explain why the attempt ended as it did."""
    own = _own(seen, attempt)
    if attempt.end in SOLE_FAULTS:
        return [fault for fault in own if fault["fault"] == SOLE_FAULTS[attempt.end]]
    found = [fault for fault in own if fault["fault"] == "kill a worker"]
    # Who could not say how an attempt ended is held for lost when its worker has gone.
    found += [
        fault
        for fault in own
        if (fault["fault"] in ("kill a child", "hang a process") and _unheard(seen, attempt, fault))
        or (fault["fault"] == "stop a worker" and _out(seen, fault["t"], _over(fault) + STOP_BOUND, OUTAGES))
    ]
    # It takes back what was said last.
    found += [fault for fault in seen.faults if fault["fault"] == "crash Redis" and _over(fault) >= attempt.started]
    return found


def _unheard(seen: Observation, attempt: Attempt, death: Event) -> bool:
    frozen = any(fault["fault"] == "freeze a worker" for fault in _own(seen, attempt))
    return frozen or _out(seen, attempt.started, _over(death) + NOTICE_SECONDS, (*OUTAGES, *CUTS))


def false_causes(seen: Observation) -> Iterator[str]:
    """Find attempts that were made for a reason that no fault gave."""
    if seen.forgets:
        # What was forgotten has no cause.
        return
    for job, attempts in seen.attempts.items():
        for attempt in attempts:
            earlier = [other for other in attempts if other.started < attempt.started]
            if attempt.cause != "first run" and not _explained(seen, attempt, earlier):
                yield f"attempt {attempt.number} at {job} was made because {attempt.cause}: nothing did that"


def _explained(seen: Observation, attempt: Attempt, earlier: list[Attempt]) -> bool:
    began = attempt.started
    own = [fault for other in earlier for fault in _own(seen, other) if fault["t"] <= began]
    names = {fault["fault"] for fault in own}
    if attempt.cause in SOLE_FAULTS:
        return SOLE_FAULTS[attempt.cause] in names
    if attempt.cause == "worker lost":
        frozen = any(fault["fault"] == "freeze a worker" and fault["t"] <= began - SILENT_SECONDS for fault in own)
        silent = _seconds_out(seen, began - 2 * LEASE_SECONDS, began) >= SILENT_SECONDS / 2
        stopped = "stop a worker" in names and _out(seen, began - 2 * STOP_BOUND, began, OUTAGES)
        return "kill a worker" in names or frozen or silent or stopped
    if attempt.cause == "delivered again":
        # Whatever parts a worker from its message, or an orchestrator from what it knew.
        return any(fault["t"] <= began and _parts(fault) for fault in seen.faults)
    return False


def too_many_attempts(seen: Observation) -> Iterator[str]:
    """Find jobs that were tried more often than faults can account for: each fault costs a job one attempt."""
    for job, attempts in seen.attempts.items():
        if not attempts:
            continue
        first = min(attempt.started for attempt in attempts)
        last = max(attempt.started for attempt in attempts)
        faults = [fault for fault in seen.faults if _until(seen, fault) >= first and fault["t"] <= last]
        allowed = 1 + sum(_parts(fault) for fault in faults)
        if len(attempts) > allowed:
            yield f"{len(attempts)} attempts at {job}; {allowed - 1} faults struck meanwhile"


def _parts(fault: Event) -> bool:
    """Return whether a fault parted a worker from a message, or an orchestrator from what it knew."""
    return bool(fault["resumed"]) if fault["fault"] == "operate" else fault["fault"] not in HARMLESS


def _own(seen: Observation, attempt: Attempt) -> list[Event]:
    """Return the faults that struck the attempt's worker since it began."""
    own = (fault for fault in seen.faults if fault.get("worker") == attempt.worker)
    return [fault for fault in own if _until(seen, fault) >= attempt.started]


def _out(seen: Observation, since: float, until: float, names: tuple[str, ...]) -> bool:
    return any(fault["fault"] in names and fault["t"] <= until and _over(fault) >= since for fault in seen.faults)


def _seconds_out(seen: Observation, since: float, until: float) -> float:
    """Return for how long Redis did not answer or took nothing; overlapping outages count twice."""
    outages = [fault for fault in seen.faults if fault["fault"] in OUTAGES]
    return sum(max(0.0, min(_over(fault), until) - max(float(fault["t"]), since)) for fault in outages)


def _until(seen: Observation, fault: Event) -> float:
    """Return until when a fault strikes attempts: a worker that was told to stop may take a job before it hears it.

    And one for which Redis was away or took nothing, or that lost its connection with a job in hand, records that an
    attempt begins at its next try.
    """
    if fault["fault"] in (*OUTAGES, *CUTS):
        return _over(fault) + NOTICE_SECONDS
    stops = fault["fault"] == "stop a worker"
    return max(_over(fault), float(fault["t"]) + (seen.stops.get(fault["worker"], 0.0) if stops else 0.0))


def _over(fault: Event) -> float:
    return float(fault["t"] if fault["over"] is None else fault["over"])
