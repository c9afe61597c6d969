"""An intact run of three jobs, and every violation that is planted in it to see whether the checker finds it."""

import json
from collections.abc import Callable
from typing import Any

from tests.chaos.arena.oracle import CleanRun
from tests.chaos.arena.workload import workload
from tests.chaos.checker.checker import DESCRIPTORS_BOUND, MEMORY_BOUND
from tests.chaos.checker.observation import Observation
from tests.chaos.checker.recovery import HANG_BOUND, LEASE_BOUND
from tests.chaos.history import Event
from tests.chaos.plan import Plan
from tests.chaos.test_evidence import fault
from tests.support.cluster import make_job
from worker.job import Attempt

JOBS = {job.key: job for job in (make_job(seed=0), make_job(seed=1), make_job(seed=2))}
FIRST, SECOND, CANCELLED = JOBS
CLEAN = CleanRun(
    JOBS,
    {key: digit * 64 for key, digit in zip(JOBS, "abc", strict=True)},
    {key: [0.5, 0.25 * number] for number, key in enumerate(JOBS, start=1)},
    workload("short"),
)
#: Changes an intact run.
Plant = Callable[[Observation], object]
PLAN = Plan(seed=0, shuffled=False, proxied=False, persistence="always", strikes=())


def attempt(number: int = 1, **fields: Any) -> Attempt:
    known = {"number": number, "cause": "first run", "worker": "w1@test", "started": float(number), "end": "finished"}
    return Attempt(**known | fields)


def intact() -> Observation:
    """A run of three jobs, of which one was cancelled, after which everything is as it must be."""
    cancelled = frozenset({CANCELLED})
    rows = [CLEAN._row(key, key in cancelled) for key in JOBS]
    keys = {f"{kind}{job}": 600 for kind in ("celery-task-meta-", "seedsweep:attempts:") for job in JOBS}
    return Observation(
        plan=PLAN,
        events=[
            fault(1.0, "kill a worker", jobs=[FIRST], worker="w1@test"),
            {"t": 4.5, "event": "attempt", "job": FIRST, "worker": "w2@test"},
        ],
        cancelled=cancelled,
        lines=[row.line().strip() for row in rows],
        logs=[[row.line().strip() for row in reversed(rows)]],
        reported=["seed 0, learning rate 0.03", "seed 1, learning rate 0.03"],
        leaderboard=CLEAN.leaderboard(cancelled),
        weights={CLEAN.hashes[key]: CLEAN.hashes[key] for key in (FIRST, SECOND)},
        files={f"chaos/{name}" for name in ("sweep.json", "results.jsonl", "leaderboard.csv", "leaderboard.json")},
        attempts={
            FIRST: [attempt(end="worker lost"), attempt(2, cause="worker lost", worker="w2@test", started=4.5)],
            SECOND: [attempt()],
            CANCELLED: [],
        },
        states={FIRST: "SUCCESS", SECOND: "SUCCESS", CANCELLED: "REVOKED"},
        keys=keys | {"seedsweep:workers": 30, f"seedsweep:cancelled:{CANCELLED}": 600, "_kombu.binding.seedsweep": -1},
        members={"w1@test"},
        killed={"w1@test"},
        statuses=[1],
        said="[1/3] seed 0, learning rate 0.03: 50.00 %\njobs 3, accepted 2, mismatches 0\n",
        stops={"w2@test": 2.0},
        peaks={"w2@test": 320 << 20},
        descriptors={"w2@test": 20},
    )


def rows(number: int, **fields: Any) -> Plant:
    """Change fields of a row."""

    def plant(seen: Observation) -> None:
        seen.lines[number] = json.dumps(json.loads(seen.lines[number]) | fields)

    return plant


def events(*added: Event) -> Plant:
    return lambda seen: seen.events.extend(added)


def tried(*attempts: Attempt, job: str = SECOND, faults: tuple[Event, ...] = ()) -> Plant:
    """Put a job's attempts in the place of those that it had, beside these faults."""
    return each(events(*faults), lambda seen: seen.attempts.update({job: [*attempts]}))


def troubled(text: str, *faults: Event) -> Plant:
    return each(events(*faults), lambda seen: seen.troubles.append(text))


def said(text: str) -> Plant:
    return lambda seen: setattr(seen, "said", seen.said + text)


def keeps(name: str, ttl: int) -> Plant:
    return lambda seen: seen.keys.update({name: ttl})


def each(*plants: Plant) -> Plant:
    def plant(seen: Observation) -> None:
        for one in plants:
            one(seen)

    return plant


def append_to_a_torn_row(seen: Observation) -> None:
    seen.logs[0][1] = seen.logs[0][1][:50] + seen.logs[0][2]


def train_a_cancelled_job(seen: Observation) -> None:
    seen.lines[2] = CLEAN._row(CANCELLED, False).line().strip()


def recover_late(seen: Observation) -> None:
    seen.events[1]["t"] = 1.0 + LEASE_BOUND + 0.1


NO_RESULT: dict[str, Any] = {"validation_score": [], "weights_sha256": None}
#: A second attempt on another worker, after one that finished, was lost with its worker, or lost its process.
FINISHED, LOST, CHILD_LOST = (attempt(worker="w2@test", end=end) for end in ("finished", "worker lost", "child lost"))
LATER = attempt(2, worker="w3@test", started=6.0)
AGAIN = attempt(2, cause="worker lost", worker="w3@test")
#: An attempt that was under way when a stranger wrote something, and one that followed.
UNDER_WAY = (attempt(started=0.2), attempt(2, cause="delivered again", started=0.8))
SKEWED = {"worker": "w2@test", "seconds": 10.0}

#: What is planted, by the kind of the violation as which it must be found.
PLANTED: dict[str, dict[str, Plant]] = {
    "lost": {
        "a row is missing": lambda seen: seen.lines.pop(0),
        "a row is torn": lambda seen: seen.lines.insert(1, seen.lines.pop(1)[:50]),
        "a job failed": rows(0, status="failed", error="why", **NO_RESULT),
        "a weights file is missing": lambda seen: seen.weights.pop(CLEAN.hashes[SECOND]),
        "a row was appended to a torn one": append_to_a_torn_row,
        "a job was revoked": each(
            events(fault(2.0, "operate", way="revoke", resumed=True)),
            rows(1, status="cancelled", error="cancelled (revoked)", **NO_RESULT),
            lambda seen: seen.states.update({SECOND: "REVOKED"}),
        ),
        "what was purged": each(
            events(fault(2.0, "operate", way="purge", resumed=True)), lambda seen: seen.lines.pop(0)
        ),
    },
    "double": {
        "two rows for a job": lambda seen: seen.lines.append(seen.lines[0]),
        "a row was appended twice": lambda seen: seen.logs[0].append(seen.logs[0][-1]),
        "a row was counted twice": lambda seen: seen.reported.append(seen.reported[0]),
        "a row of another job": lambda seen: seen.lines.append(seen.lines[0].replace(FIRST, "0" * 64)),
    },
    "mismatch": {
        "another hash": rows(1, weights_sha256="d" * 64),
        "another job's hash": rows(0, weights_sha256=CLEAN.hashes[SECOND]),
        "another accuracy": rows(0, validation_score=[0.5, 0.2500001]),
        "a damaged weights file": lambda seen: seen.weights.update({CLEAN.hashes[FIRST]: "e" * 64}),
        "an alarm in Redis": keeps(f"seedsweep:mismatch:{FIRST}", 600),
        "an alarm of the orchestrator": said("jobs 3, accepted 2, mismatches 1\n"),
    },
    "cancelled": {
        "a cancelled job has a row": train_a_cancelled_job,
        "a cancelled job has a result": lambda seen: seen.states.update({CANCELLED: "SUCCESS"}),
    },
    "attempt": {
        "a cancelled job began": tried(attempt(), job=CANCELLED),
        "an attempt has no end": tried(attempt(worker="w2@test", end=None), attempt(2)),
        "a job finished without an attempt": tried(),
        "the first attempt is a later one": tried(attempt(cause="worker lost")),
        "a worker was lost to nothing": tried(LOST, attempt(2)),
        "two attempts were lost to one fault": tried(
            *(attempt(end="worker lost", started=t) for t in (0.5, 0.9)), job=FIRST
        ),
        "an attempt was lost to a fault before it": tried(
            attempt(end="worker lost", started=1.1),
            attempt(2, cause="worker lost", worker="w2@test", started=4.5),
            job=FIRST,
        ),
        "a child was lost to another worker's fault": tried(
            attempt(end="child lost"), attempt(2), faults=(fault(1.5, "kill a child", worker="w2@test"),)
        ),
        "two jobs lost one child": each(
            tried(CHILD_LOST, faults=(fault(1.5, "kill a child", worker="w2@test"),)),
            lambda seen: seen.attempts[FIRST].append(CHILD_LOST),
        ),
        "a worker that is back stays lost": tried(
            LOST,
            LATER,
            faults=(fault(1.5, "freeze a worker", worker="w2@test"), fault(1.5, "stall the network", over=6.0)),
        ),
        "a worker was lost that gave back": tried(LOST, LATER, faults=(fault(1.5, "stop a worker", worker="w2@test"),)),
        "a job was tried again for nothing": tried(FINISHED, AGAIN),
        "a finished job was submitted again": tried(FINISHED, attempt(2, cause="submitted again", worker="w3@test")),
        "a job was tried again for a moment's freeze": tried(
            FINISHED, AGAIN, faults=(fault(1.5, "freeze a worker", worker="w2@test"),)
        ),
        "a job was tried again for refused writes": tried(
            FINISHED, AGAIN, faults=(fault(1.5, "refuse writes", over=1.9),)
        ),
        "a job was tried too often": lambda seen: seen.attempts[FIRST].append(
            attempt(3, cause="worker lost", worker="w2@test", started=5.0)
        ),
        "an operator ended an attempt": tried(
            attempt(worker="w2@test", end=None),
            attempt(2, cause="delivered again", started=3.0),
            faults=(fault(0.5, "operate", way="terminate", resumed=False),),
        ),
        "a child was lost to an operator": tried(
            CHILD_LOST,
            attempt(2, cause="child lost", started=3.0),
            faults=(fault(1.5, "operate", way="terminate", resumed=True, worker="w2@test"),),
        ),
        "a job was trained for a foreign value": tried(
            attempt(), attempt(2, cause="submitted again", started=3.0), faults=(fault(0.5, "foreign values"),)
        ),
        "a job was delivered again for a forged message": tried(*UNDER_WAY, faults=(fault(0.5, "forged headers"),)),
        "a process hung for nothing": tried(attempt(worker="w2@test", end="hung"), attempt(2, started=9.0)),
        "a job was tried again for no hang": tried(FINISHED, attempt(2, cause="hung", worker="w3@test")),
        "a child that hung was held for lost": tried(
            CHILD_LOST,
            attempt(2, cause="child lost", started=9.0),
            faults=(fault(1.5, "hang a process", worker="w2@test", over=8.0),),
        ),
        "a worker was lost to its clock": tried(LOST, LATER, faults=(fault(1.5, "skew a clock", **SKEWED),)),
        "a job was delivered again by a clock": tried(
            *UNDER_WAY, faults=(fault(0.5, "skew a clock", worker="w2@test", seconds=-10.0),)
        ),
    },
    "leaderboard": {
        "a digit of the CSV file": lambda seen: setattr(
            seen, "leaderboard", (seen.leaderboard[0].replace(b"0.25", b"0.26"), seen.leaderboard[1])
        ),
        "an empty JSON file": lambda seen: setattr(seen, "leaderboard", (seen.leaderboard[0], b"")),
    },
    "recovery": {
        "a fault": recover_late,
        "a fault that a shout does not excuse": each(
            recover_late, lambda seen: seen.events.insert(1, fault(2.0, "shout"))
        ),
        "the end of a worker": lambda seen: seen.stops.update({"w2@test": 10.1}),
        "a process that hung for long": events(
            fault(2.0, "hang a process", worker="w2@test", over=2.0 + HANG_BOUND + 0.1)
        ),
        "a process that hung for ever": events(fault(2.0, "hang a process", worker="w2@test") | {"over": None}),
    },
    "leak": {
        "a weights file": lambda seen: seen.weights.update({CLEAN.hashes[CANCELLED]: CLEAN.hashes[CANCELLED]}),
        "a message": keeps("seedsweep:unacked", -1),
        "a checkpoint": keeps(f"seedsweep:checkpoint:{FIRST}", 600),
        "attempts that are kept for ever": keeps(f"seedsweep:attempts:{FIRST}", -1),
        "a worker on record": lambda seen: seen.members.add("w2@test"),
        "a temporary file": lambda seen: seen.files.add("chaos/.leaderboard.csv.1234.tmp"),
        "memory, by a shout": each(
            events(fault(2.0, "shout")), lambda seen: seen.peaks.update({"w2@test": MEMORY_BOUND + 1})
        ),
        "descriptors": each(
            events(fault(2.0, "refuse writes and cut", over=9.0)),
            lambda seen: seen.descriptors.update({"w2@test": DESCRIPTORS_BOUND + 1}),
        ),
        "a foreign value": each(events(fault(2.0, "foreign values")), keeps(f"celery-task-meta-{SECOND}", -1)),
    },
    "end": {
        "another status": lambda seen: setattr(seen, "statuses", [0]),
        "a traceback": said("Traceback (most recent call last):\n"),
        "a sweep that hangs": troubled("the sweep did not end within 150 s"),
        "a full disk, unsaid": events(fault(9.0, "fill the disk", over=9.5)),
        "a worker that stays drained": troubled(
            "w2@test takes no jobs any more", fault(2.0, "operate", way="drain", resumed=False, over=4.0)
        ),
        "drained workers, unsaid": lambda seen: setattr(
            seen,
            "events",
            [fault(2.0, "operate", way="drain", resumed=False, over=14.0, told=False), fault(3.0, "shout")],
        ),
        "a worker that ends at a shout": troubled("w2@test ended by itself, with status 1", fault(2.0, "shout")),
        "a wrong clock, unsaid": events(
            fault(2.0, "skew a clock", **SKEWED),
            {"t": 12.1, "event": "clock set right", "worker": "w2@test", "noticed": False},
        ),
    },
}
