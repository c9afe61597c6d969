"""What people ask for, and what ends the orchestrator that asks."""

from tests.chaos.arena.arena import Arena
from tests.chaos.faults.common import NothingToHarm, end
from tests.chaos.history import Event
from tests.support.disks import fill


def kill_orchestrator(arena: Arena, choice: int, event: Event) -> None:
    arena.kill_orchestrator()

    def resume() -> None:
        if arena.orchestrator is None:
            arena.go_on(choice)
        end(arena, event)

    arena.later((choice % 20) / 10, resume)


def fill_disk(arena: Arena, choice: int, event: Event) -> None:
    """Fill the output's file system to the last byte. The runner empties it when the sweep has given up."""
    if arena.filler is not None:
        raise NothingToHarm
    arena.filler = arena.output / "filler"
    fill(arena.filler)


def empty_disk(arena: Arena, *, noticed: bool) -> None:
    """End the fault above; one that nobody noticed came when all was written."""
    if arena.filler is not None:
        arena.filler.unlink()
        arena.filler = None
        for event in arena.history.events:
            if event.get("fault") == "fill the disk" and event.get("over", 0) is None:
                event["struck"] = noticed
                end(arena, event)


def cancel_jobs(arena: Arena, choice: int, event: Event) -> None:
    """Cancel some jobs that have not begun."""
    arena.monitor.look()
    waiting = arena.monitor.untouched()
    # The first in the queue are about to begin.
    chosen = waiting[-1 - choice % 3 :] if len(waiting) > 3 else []
    arena.store.cancel(chosen, "by the chaos suite")
    arena.cancelled.update(chosen)
    event["cancelled"] = chosen
    event["struck"] = bool(chosen)
    end(arena, event)


def cancel_sweep(arena: Arena, choice: int, event: Event) -> None:
    """Cancel the sweep in front, of which some jobs run and others wait."""
    event["running"] = [job for job in arena.monitor.running() if job in arena.workload.other_jobs]
    arena.other.cancel()

    def look() -> None:
        if arena.other.is_cancelled():
            end(arena, event)
            rest()
        else:
            arena.later(0.1, look)

    def rest() -> None:
        if arena.other.status() is None:
            arena.later(0.1, rest)

    look()
