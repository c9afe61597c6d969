"""The faults. Each does its harm at once and puts off what ends it, so that several can overlap."""

import signal
from collections.abc import Callable
from functools import partial

from tests.chaos.arena.arena import Arena
from tests.chaos.faults import network, operators, processes, requests, server, strangers
from tests.chaos.faults.common import NothingToHarm, miss
from tests.chaos.history import Event
from tests.chaos.plan import Fault, Strike


def strike(arena: Arena, planned: Strike) -> None:
    """Let a fault happen, and note it: `over` is when its cause has gone, `jobs` are those that it hit."""
    event = arena.history.add("fault", fault=planned.fault, over=None, jobs=[], struck=True)
    try:
        _FAULTS[planned.fault](arena, planned.choice, event)
    except NothingToHarm:
        miss(arena, event)


_FAULTS: dict[Fault, Callable[[Arena, int, Event], None]] = {
    "kill a child": processes.kill_child,
    "kill a worker": processes.kill_worker,
    "freeze a worker": processes.freeze_worker,
    "stop a worker": processes.stop_worker,
    "cut connections": network.cut_connections,
    "stop Redis": partial(server.restart_redis, how=signal.SIGTERM),
    "kill Redis": partial(server.restart_redis, how=signal.SIGKILL),
    "crash Redis": server.crash_redis,
    "kill the orchestrator": requests.kill_orchestrator,
    "stall the network": network.stall_network,
    "reset the network": network.reset_network,
    "fill the disk": requests.fill_disk,
    "cancel jobs": requests.cancel_jobs,
    "refuse writes": server.refuse_writes,
    "cancel a sweep": requests.cancel_sweep,
    "refuse writes and cut": server.refuse_and_cut,
    "shout": strangers.shout,
    "foreign values": strangers.store_foreign_values,
    "forged headers": strangers.forge_headers,
    "operate": operators.operate,
    "hang a process": processes.hang_process,
    "skew a clock": processes.skew_clock,
}
