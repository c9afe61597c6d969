"""Faults of workers and their processes."""

from __future__ import annotations

import contextlib
import signal

import psutil

from tests.chaos.arena.arena import LEASE_SECONDS, Arena
from tests.chaos.faults.common import end, miss, victim
from tests.chaos.history import Event

#: What a machine that lost power needs until its worker starts again: longer than the bound of a recovery.
REBOOT_SECONDS = 8.0


def kill_child(arena: Arena, choice: int, event: Event) -> None:
    worker = victim(arena, choice, event, counts=True)
    children = worker.children() if worker is not None and worker.process.poll() is None else []
    if not children:
        miss(arena, event)
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        children[choice % len(children)].kill()
    end(arena, event)


def kill_worker(arena: Arena, choice: int, event: Event) -> None:
    worker = victim(arena, choice, event, counts=True)
    if worker is None:
        miss(arena, event)
        return
    worker.kill()
    arena.killed.add(worker.name)
    # A new worker looks at once for jobs of the dead; where it comes late, the one that is left must.
    arena.replace(worker, same_name=choice % 2 == 0, after=(0.0, REBOOT_SECONDS)[choice // 2 % 2])
    end(arena, event)


def freeze_worker(arena: Arena, choice: int, event: Event) -> None:
    worker = victim(arena, choice, event, counts=True)
    if worker is None:
        miss(arena, event)
        return
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
    if worker is None:
        miss(arena, event)
        return
    arena.stop_worker(worker)
    arena.replace(worker, same_name=False)
    end(arena, event)
