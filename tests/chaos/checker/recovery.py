"""How long the sweep stood still after a fault: computed from the history alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.running.stalls import LOOK_SECONDS
from tests.chaos.arena.arena import HANG_SECONDS, LEASE_SECONDS, RESTORE_SECONDS
from tests.chaos.history import Event
from tests.chaos.plan import CANCELLING, UNNOTICED, Fault

#: Faults that hit the jobs of one worker: they are over when each of these has begun again, was
#: given back, or ended.
OF_A_WORKER = ("kill a worker", "freeze a worker", "stop a worker")
#: Faults that hit the orchestrator: they are over when the next row is in its folder.
OF_THE_ORCHESTRATOR = ("kill the orchestrator", "fill the disk")

#: What somebody has to ask for again, or another sweep to make room for: it takes nothing from the workers.
OF_NO_WORKER = (*OF_THE_ORCHESTRATOR, *CANCELLING)

#: Seconds for what is bounded by this machine alone: starting Python, and finishing the jobs in front. A machine under
#: test has other things to do, and still needs less than half of this.
MACHINE_SECONDS = 4.0
#: Seconds more after several faults: a worker that finds Redis away twice looks again after two seconds, and four.
SEVERAL_SECONDS = 4.0
#: A worker's jobs wait for the end of its lease, and for the next look for such jobs.
LEASE_BOUND = LEASE_SECONDS + RESTORE_SECONDS + MACHINE_SECONDS
#: What Redis forgot, the orchestrator's second look finds (`orchestrator.running.stalls`).
FORGOTTEN_BOUND = max(2 * LOOK_SECONDS, LEASE_SECONDS + RESTORE_SECONDS) + MACHINE_SECONDS
#: A worker looks at its processes every second, and ends one that hangs.
HANG_BOUND = HANG_SECONDS + 1.0 + MACHINE_SECONDS
#: A worker ends after SIGTERM.
STOP_BOUND = 10.0


@dataclass(frozen=True)
class Recovery:
    """How a fault passed.

    Attributes:
        seconds: From the end of the fault's cause until work went on; None if no work was left.
        alone: Whether no other fault struck before.
        waited: The same seconds, but counted from the last fault that struck before.
        late: Seconds by which it exceeded its bound; none or less if it was in time.
    """

    fault: Fault
    seconds: float | None
    alone: bool
    waited: float | None
    late: float | None = None


def recoveries(events: list[Event], *, forgets: bool = False) -> Iterator[Recovery]:
    """Measure each fault that struck.

    Args:
        events: The history.
        forgets: Whether Redis, or a worker that died, lost messages.
    """
    faults = [event for event in events if event["event"] == "fault" and event["struck"]]
    for fault in faults:
        over = fault["over"] if fault["over"] is not None else fault["t"]
        went_on = _went_on(fault, over, events)
        if went_on is None:
            yield Recovery(fault["fault"], None, True, None)
            continue
        others = [other for other in faults if other is not fault]
        disturbing = [other for other in others if other["t"] <= went_on and (other["over"] or went_on) >= fault["t"]]
        last = max([over, *(min(other["over"] or went_on, went_on) for other in disturbing)])
        deadline = _deadline(fault, over, events, forgets)
        yield Recovery(
            fault["fault"],
            round(went_on - over, 3),
            alone=not disturbing,
            waited=round(went_on - last, 3),
            late=round(went_on - deadline, 3),
        )


def _deadline(fault: Event, over: float, events: list[Event], forgets: bool) -> float:
    """Return when work must have gone on.

    Only what can delay a fault's recovery puts its deadline off, and only if it struck before the deadline.
    """
    bound = FORGOTTEN_BOUND if forgets else LEASE_BOUND
    deadline, several = over + bound, 0.0
    for other in events:
        if other["event"] != "fault" or not other["struck"] or other is fault or not _delays(other, fault, forgets):
            continue
        passed = _passed(other, events) + bound
        if fault["t"] <= passed and other["t"] <= deadline:
            deadline, several = max(deadline, passed), SEVERAL_SECONDS
    return deadline + several


def _delays(other: Event, fault: Event, forgets: bool) -> bool:
    if other["fault"] in UNNOTICED:
        return False
    # A message that was lost waits for an orchestrator.
    return forgets or other["fault"] not in OF_NO_WORKER or fault["fault"] in OF_NO_WORKER


def _passed(fault: Event, events: list[Event]) -> float:
    """Return when a fault had no more hold on anything."""
    back = None
    if fault["fault"] == "freeze a worker":
        back = _first(events, fault["t"], ("woke up",), worker=fault["worker"])
    elif fault["fault"] == "kill a worker":
        back = _first(events, fault["t"], ("worker started",), replaces=fault["worker"])
    over = float(fault["t"] if fault["over"] is None else fault["over"])
    return over if back is None else max(over, back)


def _went_on(fault: Event, over: float, events: list[Event]) -> float | None:
    """Return when work went on after a fault; None if none was left."""
    if fault["fault"] in OF_A_WORKER:
        # A job that is given back is free for others, behind those that wait.
        back = ("attempt ended",) if fault["fault"] == "stop a worker" else ()
        times = [_first(events, fault["t"], ("attempt", "ended", *back), job=job) for job in fault["jobs"]]
        known = [time for time in times if time is not None]
        return max(known, default=None)
    if fault["fault"] in ("kill a child", "hang a process"):
        # Its job is tried again when those that wait have begun; its worker goes on at once.
        return _first(events, over, ("attempt",), worker=fault["worker"])
    names = ("row",) if fault["fault"] in OF_THE_ORCHESTRATOR else ("attempt", "ended")
    return _first(events, over, names)


def _first(events: list[Event], after: float, names: tuple[str, ...], **fields: object) -> float | None:
    for event in events:
        matches = all(event.get(name) == value for name, value in fields.items())
        if event["t"] > after and event["event"] in names and matches:
            return float(event["t"])
    return None
