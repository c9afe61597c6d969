"""What faults have in common: a victim, an end, and the case in which there is nothing to harm."""

from tests.chaos.arena.arena import MAX_ATTEMPTS, Arena
from tests.chaos.history import Event
from tests.support.worker_process import WorkerProcess


class NothingToHarm(Exception):  # noqa: N818 - not an error
    """The fault did not happen."""


def miss(arena: Arena, event: Event) -> None:
    """Note that there was nothing to harm."""
    event["struck"] = False
    end(arena, event)


def end(arena: Arena, event: Event) -> None:
    event["over"] = round(arena.history.now(), 3)
    told = {name: value for name, value in event.items() if name not in ("t", "event", "over")}
    arena.history.add("over", began=event["t"], **told)


def victim(arena: Arena, choice: int, event: Event, *, counts: bool, processes: int | None = None) -> WorkerProcess:
    """Pick a worker, if possible one that trains a job; raise `NothingToHarm` if there is none.

    Where it counts against the jobs, those are spared that were hit as often as a job can bear.
    With `processes`, it is one with so many.
    """
    arena.monitor.look()
    workers = [
        worker
        for worker in arena.usable_workers()
        if processes in (None, arena.processes[worker.name])
        and (not counts or all(arena.hits[job] < MAX_ATTEMPTS - 1 for job in arena.monitor.running(worker.name)))
    ]
    busy = [worker for worker in workers if arena.monitor.running(worker.name)]
    candidates = busy or workers
    if not candidates:
        raise NothingToHarm
    worker = candidates[choice % len(candidates)]
    event["jobs"] = arena.monitor.running(worker.name)
    event["worker"] = worker.name
    if counts:
        arena.hits.update(event["jobs"])
    return worker
