"""What operators do with Celery's own commands, and a sweep that is resumed afterwards."""

import time
from typing import Any

from tests.chaos.arena.arena import Arena
from tests.chaos.faults.common import NothingToHarm, end
from tests.chaos.history import Event
from tests.support.messages import CONTROL_CHANNEL, command
from worker.messages import QUEUE, TRAIN

#: What is done; the workers reject `revoke`, `terminate` and limits (docs/how-to/operating.md).
WAYS = ("revoke", "drain", "terminate", "purge", "limits", "drain")
#: Seconds for which workers take no jobs, by chance; the longest is long enough for the sweep to say so.
DRAINED_SECONDS = (2.0, 10.0)
#: Seconds in which every worker has sent a heartbeat.
BEAT_SECONDS = 1.2


def operate(arena: Arena, choice: int, event: Event) -> None:
    """Give a command that would harm the sweep, and let a second orchestrator resume it in half of the cases."""
    if arena.redis_is_away or arena.redis_refuses_writes:
        raise NothingToHarm
    way = WAYS[choice % len(WAYS)]
    event["way"] = way
    event["resumed"] = choice // len(WAYS) % 2 == 0
    _give_command(arena, way, choice)

    seconds = DRAINED_SECONDS[choice // 12 % len(DRAINED_SECONDS)] if way == "drain" else 0.0

    def pass_by() -> None:
        if seconds == max(DRAINED_SECONDS) and arena.orchestrator is not None and _all_are_drained(arena):
            event["told"] = "does not consume the queue" in arena.said()
        if event["resumed"]:
            _resume(arena)
        if way == "drain":
            _take_jobs_again(arena, event)
        else:
            end(arena, event)

    arena.later(seconds, pass_by)


def _tell(arena: Arena, method: str, **arguments: Any) -> None:
    arena.patient_client.publish(CONTROL_CHANNEL, command(method, arguments))


def _give_command(arena: Arena, way: str, choice: int) -> None:
    running = arena.monitor.running()
    match way:
        case "revoke":
            _tell(arena, "revoke", task_id=arena.monitor.untouched() or running, terminate=False, signal=None)
        case "terminate":
            _tell(arena, "revoke", task_id=running, terminate=True, signal=("KILL", "TERM")[choice // 12 % 2])
        case "limits":
            _tell(arena, "time_limit", task_name=TRAIN, hard=0.1, soft=None)
            _tell(arena, "rate_limit", task_name=TRAIN, rate_limit="1/h")
        case "drain":
            _tell(arena, "cancel_consumer", queue=QUEUE)
        case "purge":
            arena.patient_client.delete(QUEUE)


def _all_are_drained(arena: Arena) -> bool:
    """Return whether no worker takes jobs: one that had not yet started did not hear the command."""
    names = {worker.name for worker in arena.usable_workers()}
    roster = arena.cluster.app.tasks[TRAIN].roster().all()
    return names <= {presence.name for presence in roster if not presence.consuming}


def _take_jobs_again(arena: Arena, event: Event) -> None:
    """Tell every worker to take jobs until each says that it does: one that was cut off did not hear it."""
    if arena.redis_is_away or arena.redis_refuses_writes:
        arena.later(0.1, lambda: _take_jobs_again(arena, event))
        return
    _tell(arena, "add_consumer", queue=QUEUE)
    told = time.time()

    def look() -> None:
        # Those that are frozen, too: a worker takes no jobs when it is back, even over a new connection.
        names = {worker.name for worker in arena.workers}
        roster = arena.cluster.app.tasks[TRAIN].roster().all()
        if names <= {presence.name for presence in roster if presence.consuming and presence.beat > told}:
            end(arena, event)
        else:
            _take_jobs_again(arena, event)

    arena.later(BEAT_SECONDS, look)


def _resume(arena: Arena) -> None:
    if arena.orchestrator is not None:
        arena.kill_orchestrator()
        arena.go_on()
