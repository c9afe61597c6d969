"""One run: a sweep, the plan's strikes, and what is there when all has come to rest."""

import itertools
import time
from collections import deque
from pathlib import Path

from orchestrator.cli.main import BAD_INPUT
from tests.chaos.arena.arena import NAME, Arena
from tests.chaos.arena.monitor import ENDED
from tests.chaos.arena.oracle import CleanRun
from tests.chaos.checker.observation import Observation, observe
from tests.chaos.faults.requests import empty_disk
from tests.chaos.faults.strike import strike
from tests.chaos.history import History
from tests.chaos.plan import Plan
from tests.support.waiting import wait_for
from worker.job import task_id
from worker.messages import TRAIN, signature

WORKERS = 2
#: Seconds after which a sweep hangs. Undisturbed it takes about ten.
RUN_SECONDS = 150.0
#: Seconds after which workers that should rest are still at it.
REST_SECONDS = 45.0
#: Seconds after which a worker ignores SIGTERM.
STOP_SECONDS = 30.0
#: Seconds after which a worker at rest must have taken a job: a long outage has it wait for up to 6 s.
TAKE_SECONDS = 20.0
#: The label of the tasks that workers at rest are given.
AGAIN = "again"
#: Seconds between two rounds of them.
ROUND_SECONDS = 0.2
LOOK_SECONDS = 0.05
#: Seconds after which an orchestrator that could not begin is started again.
AGAIN_SECONDS = 1.0
#: Seconds after which a worker that is to end is asked what it is doing; the answer is in its log.
LATE_SECONDS = 6.0


def run(plan: Plan, clean: CleanRun, folder: Path, output: Path, cache_dir: Path, history: History) -> Observation:
    """Carry out a plan and return what was seen."""
    history.add(
        "plan", seed=plan.seed, persistence=plan.persistence, kind=plan.kind, proxied=plan.proxied,
        strikes=[[planned.fault, planned.pause, planned.choice] for planned in plan.strikes],
    )  # fmt: skip
    with Arena(plan, clean, folder, output, cache_dir, history) as arena:
        for number in range(1, WORKERS + 1):
            arena.start_worker(f"w{number}", 2 if plan.paired and number == 1 else 1)
        if plan.has("cancel a sweep"):
            arena.other.start()
            wait_for(lambda: arena.other.is_queued(arena.client), "the other sweep's jobs in the queue")
        arena.sweep()
        troubles = [
            *_until_ended(arena, deque(plan.strikes)),
            *_until_rest(arena),
            *_until_all_took_jobs(arena),
            *_until_rest(arena),
            *_until_stopped(arena),
        ]
        return observe(arena, troubles)


def _until_ended(arena: Arena, strikes: deque) -> list[str]:
    """Strike as planned, until the sweep has ended and nothing is left to be put right."""
    deadline = time.monotonic() + RUN_SECONDS
    next_strike: float | None = None
    while arena.orchestrator is not None or arena.deferred:
        arena.monitor.look()
        arena.do_due()
        arena.look_at_stopping()
        has_begun = (arena.output / NAME / "sweep.json").exists()
        if next_strike is None and has_begun and arena.monitor.running():
            next_strike = time.monotonic() + strikes[0].pause
        if strikes and next_strike is not None and time.monotonic() >= next_strike and arena.orchestrator is not None:
            strike(arena, strikes.popleft())
            next_strike = time.monotonic() + (strikes[0].pause if strikes else 0.0)
        _look_at_orchestrator(arena)
        if time.monotonic() > deadline:
            arena.kill_orchestrator()
            return [f"the sweep did not end within {RUN_SECONDS:.0f} s"]
        time.sleep(LOOK_SECONDS)
    for planned in strikes:
        arena.history.add("not struck", fault=planned.fault)
    arena.monitor.look()
    return []


def _look_at_orchestrator(arena: Arena) -> None:
    if arena.orchestrator is None or arena.orchestrator.poll() is None:
        return
    status = arena.wait_for_orchestrator()
    arena.history.add("orchestrator ended", status=status)
    if arena.filler is not None:
        # Somebody makes room, and goes on if it had not written everything before.
        empty_disk(arena, noticed=status != 0)
        if status != 0:
            arena.go_on()
            return
    if status == BAD_INPUT and "No Redis server answers" in (arena.said().strip().splitlines() or [""])[-1]:
        # Resumed at a moment at which nothing answered, it said so and did not begin. Somebody tries once more.
        arena.later(AGAIN_SECONDS, arena.go_on)
    else:
        arena.statuses.append(status)


def _until_rest(arena: Arena) -> list[str]:
    """Wait until the workers have nothing to do: no message, and no job in any process."""
    troubles = []
    deadline = time.monotonic() + REST_SECONDS
    for worker in arena.workers:
        while "ready." not in worker.text() and worker.process.poll() is None and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        if worker.process.poll() is not None:
            troubles.append(f"{worker.name} ended by itself, with status {worker.process.returncode}")
    while left := _at_work(arena):
        arena.monitor.look()
        arena.look_at_stopping()
        if time.monotonic() > deadline:
            return [*troubles, f"no rest after {REST_SECONDS:.0f} s: {left}"]
        time.sleep(LOOK_SECONDS)
    arena.monitor.look()
    return troubles


def _at_work(arena: Arena) -> dict[str, object]:
    alive = {worker.name for worker in arena.workers}
    presences = arena.cluster.app.tasks[TRAIN].roster(patient=False).all()
    found = {
        "queued": arena.client.llen("seedsweep"),
        "unacknowledged": arena.client.hlen("seedsweep:unacked"),
        "running": [presence.name for presence in presences if presence.name in alive and presence.running],
    }
    return {name: value for name, value in found.items() if value}


def _until_all_took_jobs(arena: Arena) -> list[str]:
    """Give the workers jobs until each has taken one: one that takes no more would not be missed beside another."""
    # Twice as many as the workers train at once.
    jobs = arena.workload.quick[: 2 * sum(arena.processes[worker.name] for worker in arena.workers)]
    deadline = time.monotonic() + TAKE_SECONDS
    idle = {worker.name for worker in arena.workers}
    for number in itertools.count(1):
        label = f"{AGAIN}{number}"
        for job in jobs:
            signature(arena.cluster.app, job, label=label).apply_async()
        runs = [task_id(job, label) for job in jobs]
        while not all(arena.cluster.state(run) in ENDED for run in runs) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        for attempts in arena.monitor.ask(runs)[1].values():
            idle -= {attempt.worker for attempt in attempts.values()}
        if not idle:
            return []
        time.sleep(ROUND_SECONDS)
        if time.monotonic() > deadline:
            return [f"{name} takes no jobs any more" for name in sorted(idle)]
    raise AssertionError("endless")


def _until_stopped(arena: Arena) -> list[str]:
    """End the workers that are left, as `docker stop` does."""
    arena.measure()
    for worker in arena.workers:
        arena.stop_worker(worker)
    late, deadline = time.monotonic() + LATE_SECONDS, time.monotonic() + STOP_SECONDS
    while not arena.look_at_stopping():
        if time.monotonic() > late:
            arena.ask_stopping()
            late = deadline
        if time.monotonic() > deadline:
            return [f"a worker did not end within {STOP_SECONDS:.0f} s after SIGTERM"]
        time.sleep(LOOK_SECONDS)
    return []
