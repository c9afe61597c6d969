"""Faults of workers and their processes."""

import contextlib
import signal

import psutil

from tests.chaos.arena.arena import LEASE_SECONDS, Arena
from tests.chaos.arena.monitor import ENDED
from tests.chaos.faults.common import NothingToHarm, end, miss, victim
from tests.chaos.history import Event

#: What a machine that lost power needs until its worker starts again: longer than the bound of a recovery.
REBOOT_SECONDS = 8.0
#: Seconds after which a process that hangs was idle, if its job has ended.
HANGING_SECONDS = 15.0
#: What a worker logs when its clock is wrong, and the seconds within which it must.
SAYS_WRONG, NOTICE_SECONDS = "Clocks disagree", 10.0
#: Seconds for which it stays wrong at least: as leases are timed, two of them end meanwhile.
WRONG_SECONDS = 2 * LEASE_SECONDS


def kill_child(arena: Arena, choice: int, event: Event) -> None:
    worker = victim(arena, choice, event, counts=True)
    children = worker.children() if worker.process.poll() is None else []
    if not children:
        raise NothingToHarm
    with contextlib.suppress(psutil.NoSuchProcess):
        children[choice % len(children)].kill()
    end(arena, event)


def kill_worker(arena: Arena, choice: int, event: Event) -> None:
    worker = victim(arena, choice, event, counts=True)
    worker.kill()
    arena.killed.add(worker.name)
    # A new worker looks at once for jobs of the dead; where it comes late, the one that is left must.
    arena.replace(worker, same_name=choice % 2 == 0, after=(0.0, REBOOT_SECONDS)[choice // 2 % 2])
    end(arena, event)


def freeze_worker(arena: Arena, choice: int, event: Event) -> None:
    worker = victim(arena, choice, event, counts=True)
    worker.signal_all(signal.SIGSTOP)
    arena.frozen.append(worker)
    # Its jobs need not wait for it to wake up: what counts begins now.
    end(arena, event)

    def wake() -> None:
        worker.signal_all(signal.SIGCONT)
        arena.frozen.remove(worker)
        arena.history.add("woke up", worker=worker.name)

    # In the longest of these its jobs have time to begin elsewhere, and to fail to.
    arena.later(LEASE_SECONDS + (0.5, 2.0, 7.0)[choice % 3], wake)


def stop_worker(arena: Arena, choice: int, event: Event) -> None:
    worker = victim(arena, choice, event, counts=False)
    arena.stop_worker(worker)
    arena.replace(worker, same_name=False)
    end(arena, event)


def hang_process(arena: Arena, choice: int, event: Event) -> None:
    """Stop one process of a pool, which keeps its job until its worker ends it."""
    # Of several processes, one might have no job.
    worker = victim(arena, choice, event, counts=True, processes=1)
    children = worker.children() if worker.process.poll() is None else []
    if not children or not event["jobs"]:
        raise NothingToHarm
    child = children[0]
    child.suspend()
    struck = arena.history.now()

    def look() -> None:
        have_ended = all(arena.monitor.states[job] in ENDED for job in event["jobs"])
        if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
            end(arena, event)
        elif arena.history.now() - struck < HANGING_SECONDS or not have_ended:
            arena.later(0.05, look)
        else:
            # It had just finished its last job.
            child.resume()
            miss(arena, event)

    look()


def skew_clock(arena: Arena, choice: int, event: Event) -> None:
    """Set a worker's clock wrong by more than a third of a lease, for some leases, and until the worker says so."""
    worker = victim(arena, choice, event, counts=False)
    event["seconds"] = (-10.0, -2.0, 2.0, 10.0)[choice % 4]
    arena.clocks[worker.name].set(event["seconds"])
    # No job has to wait until it is right again.
    end(arena, event)
    struck = arena.history.now()

    def look() -> None:
        passed = arena.history.now() - struck
        # It says so once in ten minutes.
        noticed = SAYS_WRONG in worker.text()
        if passed > (WRONG_SECONDS if noticed else NOTICE_SECONDS):
            arena.clocks[worker.name].set(0.0)
            arena.history.add("clock set right", worker=worker.name, noticed=noticed)
        else:
            arena.later(0.1, look)

    look()
