"""Faults of Redis: it ends, loses what it wrote last, or takes no writes."""

import os
import signal
from functools import partial
from pathlib import Path

from tests.chaos.arena.arena import Arena
from tests.chaos.faults.common import NothingToHarm, end
from tests.chaos.faults.network import cut
from tests.chaos.history import Event

#: What a crash of the machine under Redis takes with `appendfsync everysec`, in seconds.
LOST_SECONDS = 1.0
#: Seconds between two cuts while Redis refuses writes.
CUT_SECONDS = 0.5


def restart_redis(arena: Arena, choice: int, event: Event, *, how: signal.Signals) -> None:
    if arena.redis_is_away:
        raise NothingToHarm
    arena.redis_is_away = True
    arena.redis.stop(how)
    arena.later((choice % 30) / 10, partial(_start_redis, arena, event))


def _start_redis(arena: Arena, event: Event) -> None:
    arena.redis.start()
    arena.redis_is_away = False
    end(arena, event)


def crash_redis(arena: Arena, choice: int, event: Event) -> None:
    """Kill Redis and take what it wrote in its last second: a machine that lost power had not written that yet."""
    if arena.redis_is_away:
        raise NothingToHarm
    arena.redis_is_away = True
    logs = {log: log.stat().st_size for log in _append_only_files(arena.redis.folder)}

    def kill() -> None:
        arena.redis.stop(signal.SIGKILL)
        for log in _append_only_files(arena.redis.folder):
            if log in logs:
                event["lost_bytes"] = log.stat().st_size - logs[log]
                os.truncate(log, logs[log])
        arena.later((choice % 20) / 10, partial(_start_redis, arena, event))

    arena.later(LOST_SECONDS, kill)


def _append_only_files(folder: Path) -> list[Path]:
    return sorted((folder / "appendonlydir").glob("*.incr.aof"))


def refuse_writes(arena: Arena, choice: int, event: Event) -> None:
    """Let Redis take no writes, as it does in a fail-over: it misses its replicas, or is one itself."""
    _refuse(arena, choice, event, seconds=0.3 + choice % 13 / 10)


def refuse_and_cut(arena: Arena, choice: int, event: Event) -> None:
    """Let Redis take no writes, and cut every connection meanwhile, for longer than leaked descriptors would last."""
    _refuse(arena, choice, event, seconds=6.0 + choice % 30 / 10)
    _go_on_cutting(arena)


def _go_on_cutting(arena: Arena) -> None:
    if arena.redis_refuses_writes:
        if not arena.redis_is_away:
            cut(arena, "normal", "pubsub")
        arena.later(CUT_SECONDS, lambda: _go_on_cutting(arena))


def _refuse(arena: Arena, choice: int, event: Event, seconds: float) -> None:
    if arena.redis_is_away or arena.redis_refuses_writes:
        raise NothingToHarm
    arena.redis_refuses_writes = True
    refuse, accept = (
        (("CONFIG", "SET", "min-replicas-to-write", "1"), ("CONFIG", "SET", "min-replicas-to-write", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    )[choice % 2]
    event["by"] = " ".join(refuse)
    arena.patient_client.execute_command(*refuse)

    def take_writes() -> None:
        if arena.redis_is_away:
            # It has forgotten that when it is back.
            arena.later(0.1, take_writes)
            return
        arena.patient_client.execute_command(*accept)
        arena.redis_refuses_writes = False
        end(arena, event)

    arena.later(seconds, take_writes)
