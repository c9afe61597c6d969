"""The faults. Each does its harm at once and puts off what ends it, so that several can overlap."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.chaos.arena.arena import LEASE_SECONDS, MAX_ATTEMPTS, Arena
from tests.chaos.arena.other import JOBS
from tests.chaos.history import Event
from tests.chaos.plan import Fault, Strike
from tests.support.worker_process import WorkerProcess

#: What a crash of the machine under Redis takes with `appendfsync everysec`, in seconds.
LOST_SECONDS = 1.0
#: What a machine that lost power needs until its worker starts again: longer than the bound of a recovery.
REBOOT_SECONDS = 8.0


def strike(arena: Arena, planned: Strike) -> None:
    """Let a fault happen, and note it: `over` is when its cause has gone, `jobs` are those that it hit."""
    event = arena.history.add("fault", fault=planned.fault, over=None, jobs=[], struck=True)
    _FAULTS[planned.fault](arena, planned.choice, event)


def _miss(arena: Arena, event: Event) -> None:
    """There was nothing to harm."""
    event["struck"] = False
    _end(arena, event)


def _end(arena: Arena, event: Event) -> None:
    event["over"] = round(arena.history.now(), 3)
    told = {name: value for name, value in event.items() if name not in ("t", "event", "over")}
    arena.history.add("over", began=event["t"], **told)


def _victim(arena: Arena, choice: int, event: Event, *, counts: bool) -> WorkerProcess | None:
    """Pick a worker, if possible one that trains a job.

    Where it counts against the jobs, those are spared that were hit as often as a job can bear.
    """
    arena.monitor.look()
    workers = [
        worker
        for worker in arena.usable_workers()
        if not counts or all(arena.hits[job] < MAX_ATTEMPTS - 1 for job in arena.monitor.running(worker.name))
    ]
    busy = [worker for worker in workers if arena.monitor.running(worker.name)]
    candidates = busy or workers
    if not candidates:
        return None
    worker = candidates[choice % len(candidates)]
    event["jobs"] = arena.monitor.running(worker.name)
    event["worker"] = worker.name
    if counts:
        arena.hits.update(event["jobs"])
    return worker


def _kill_child(arena: Arena, choice: int, event: Event) -> None:
    worker = _victim(arena, choice, event, counts=True)
    children = worker.children() if worker is not None and worker.process.poll() is None else []
    if not children:
        _miss(arena, event)
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        children[choice % len(children)].kill()
    _end(arena, event)


def _kill_worker(arena: Arena, choice: int, event: Event) -> None:
    worker = _victim(arena, choice, event, counts=True)
    if worker is None:
        _miss(arena, event)
        return
    worker.kill()
    arena.killed.add(worker.name)
    # A new worker looks at once for jobs of the dead; where it comes late, the one that is left must.
    arena.replace(worker, same_name=choice % 2 == 0, after=(0.0, REBOOT_SECONDS)[choice // 2 % 2])
    _end(arena, event)


def _freeze_worker(arena: Arena, choice: int, event: Event) -> None:
    worker = _victim(arena, choice, event, counts=True)
    if worker is None:
        _miss(arena, event)
        return
    worker.signal_all(signal.SIGSTOP)
    arena.frozen.append(worker)
    # Its jobs need not wait for it to wake up: what counts begins now.
    _end(arena, event)

    def wake() -> None:
        worker.signal_all(signal.SIGCONT)
        arena.frozen.remove(worker)
        arena.history.add("woke up", worker=worker.name)

    # In the longest of these its jobs have time to begin elsewhere, and to fail to.
    arena.later(LEASE_SECONDS + (0.5, 2.0, 7.0)[choice % 3], wake)


def _stop_worker(arena: Arena, choice: int, event: Event) -> None:
    worker = _victim(arena, choice, event, counts=False)
    if worker is None:
        _miss(arena, event)
        return
    arena.stop_worker(worker)
    arena.replace(worker, same_name=False)
    _end(arena, event)


def _cut_connections(arena: Arena, choice: int, event: Event) -> None:
    if arena.redis_is_away:
        _miss(arena, event)
        return
    kinds = (("normal",), ("pubsub",), ("normal", "pubsub"))[choice % 3]
    for kind in kinds:
        arena.patient_client.execute_command("CLIENT", "KILL", "TYPE", kind)
    _end(arena, event)


def _stop_redis(arena: Arena, choice: int, event: Event) -> None:
    _restart_redis(arena, choice, event, signal.SIGTERM)


def _kill_redis(arena: Arena, choice: int, event: Event) -> None:
    _restart_redis(arena, choice, event, signal.SIGKILL)


def _restart_redis(arena: Arena, choice: int, event: Event, how: signal.Signals) -> None:
    if arena.redis_is_away:
        _miss(arena, event)
        return
    arena.redis_is_away = True
    arena.redis.stop(how)

    def start() -> None:
        arena.redis.start()
        arena.redis_is_away = False
        _end(arena, event)

    arena.later((choice % 30) / 10, start)


def _crash_redis(arena: Arena, choice: int, event: Event) -> None:
    """Kill Redis and take what it wrote in its last second: a machine that lost power had not written that yet."""
    if arena.redis_is_away:
        _miss(arena, event)
        return
    arena.redis_is_away = True
    logs = {log: log.stat().st_size for log in _append_only_files(arena.redis.folder)}

    def kill() -> None:
        arena.redis.stop(signal.SIGKILL)
        for log in _append_only_files(arena.redis.folder):
            if log in logs:
                event["lost_bytes"] = log.stat().st_size - logs[log]
                os.truncate(log, logs[log])
        arena.later((choice % 20) / 10, start)

    def start() -> None:
        arena.redis.start()
        arena.redis_is_away = False
        _end(arena, event)

    arena.later(LOST_SECONDS, kill)


def _append_only_files(folder: Path) -> list[Path]:
    return sorted((folder / "appendonlydir").glob("*.incr.aof"))


def _kill_orchestrator(arena: Arena, choice: int, event: Event) -> None:
    arena.kill_orchestrator()

    def resume() -> None:
        if arena.orchestrator is None:
            arena.go_on(choice)
        _end(arena, event)

    arena.later((choice % 20) / 10, resume)


def _stall_network(arena: Arena, choice: int, event: Event) -> None:
    if arena.network_is_silent:
        _miss(arena, event)
        return
    arena.network_is_silent = True
    arena.proxy.stall()

    def resume() -> None:
        arena.proxy.resume()
        arena.network_is_silent = False
        _end(arena, event)

    arena.later(1.0 + (choice % 50) / 10, resume)


def _reset_network(arena: Arena, choice: int, event: Event) -> None:
    arena.proxy.reset()
    _end(arena, event)


def _fill_disk(arena: Arena, choice: int, event: Event) -> None:
    """Fill the output's file system to the last byte. The runner empties it when the sweep has given up."""
    if arena.filler is not None:
        _miss(arena, event)
        return
    filler = arena.output / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue
    arena.filler = filler


def empty_disk(arena: Arena, *, noticed: bool) -> None:
    """End the fault above; one that nobody noticed came when all was written."""
    if arena.filler is not None:
        arena.filler.unlink()
        arena.filler = None
        for event in arena.history.events:
            if event.get("fault") == "fill the disk" and event.get("over", 0) is None:
                event["struck"] = noticed
                _end(arena, event)


def _cancel_jobs(arena: Arena, choice: int, event: Event) -> None:
    """Cancel some jobs that have not begun."""
    arena.monitor.look()
    waiting = arena.monitor.untouched()
    # The first in the queue are about to begin.
    chosen = waiting[-1 - choice % 3 :] if len(waiting) > 3 else []
    arena.store.cancel(chosen, "by the chaos suite")
    arena.cancelled.update(chosen)
    event["cancelled"] = chosen
    event["struck"] = bool(chosen)
    _end(arena, event)


def _refuse_writes(arena: Arena, choice: int, event: Event) -> None:
    """Let Redis take no writes, as it does in a fail-over: it misses its replicas, or is one itself."""
    if arena.redis_is_away or arena.redis_refuses_writes:
        _miss(arena, event)
        return
    arena.redis_refuses_writes = True
    refuse, accept = (
        (("CONFIG", "SET", "min-replicas-to-write", "1"), ("CONFIG", "SET", "min-replicas-to-write", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    )[choice % 2]
    event["by"] = " ".join(refuse)
    arena.patient_client.execute_command(*refuse)

    def end() -> None:
        if arena.redis_is_away:
            # It has forgotten that when it is back.
            arena.later(0.1, end)
            return
        arena.patient_client.execute_command(*accept)
        arena.redis_refuses_writes = False
        _end(arena, event)

    arena.later(0.3 + choice % 13 / 10, end)


def _cancel_sweep(arena: Arena, choice: int, event: Event) -> None:
    """Cancel the sweep in front, of which some jobs run and others wait."""
    event["running"] = [job for job in arena.monitor.running() if job in JOBS]
    arena.other.cancel()

    def look() -> None:
        if arena.other.is_cancelled():
            _end(arena, event)
            rest()
        else:
            arena.later(0.1, look)

    def rest() -> None:
        if not arena.other.has_ended():
            arena.later(0.1, rest)

    look()


_FAULTS: dict[Fault, Callable[[Arena, int, Event], None]] = {
    "kill a child": _kill_child,
    "kill a worker": _kill_worker,
    "freeze a worker": _freeze_worker,
    "stop a worker": _stop_worker,
    "cut connections": _cut_connections,
    "stop Redis": _stop_redis,
    "kill Redis": _kill_redis,
    "crash Redis": _crash_redis,
    "kill the orchestrator": _kill_orchestrator,
    "stall the network": _stall_network,
    "reset the network": _reset_network,
    "fill the disk": _fill_disk,
    "cancel jobs": _cancel_jobs,
    "refuse writes": _refuse_writes,
    "cancel a sweep": _cancel_sweep,
}
