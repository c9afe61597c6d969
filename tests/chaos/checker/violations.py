"""An intact run of three jobs, and every violation that is planted in it to see whether the checker finds it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.chaos.arena.oracle import CleanRun
from tests.chaos.arena.workload import workload
from tests.chaos.checker.checker import DESCRIPTORS_BOUND, MEMORY_BOUND
from tests.chaos.checker.observation import Observation
from tests.chaos.checker.recovery import HANG_BOUND, LEASE_BOUND
from tests.chaos.plan import Plan
from tests.chaos.test_evidence import fault
from tests.support.cluster import make_job
from worker.records.history import Attempt

JOBS = {job.key: job for job in (make_job(seed=0), make_job(seed=1), make_job(seed=2))}
FIRST, SECOND, CANCELLED = JOBS
CLEAN = CleanRun(
    JOBS,
    {key: digit * 64 for key, digit in zip(JOBS, "abc", strict=True)},
    {key: [0.5, 0.25 * number] for number, key in enumerate(JOBS, start=1)},
    workload("short"),
)
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


def change_row(seen: Observation, number: int, **fields: Any) -> None:
    seen.lines[number] = json.dumps(json.loads(seen.lines[number]) | fields)


def lose_a_row(seen: Observation) -> None:
    del seen.lines[0]


def tear_a_row(seen: Observation) -> None:
    seen.lines[1] = seen.lines[1][:50]


def fail_a_job(seen: Observation) -> None:
    change_row(seen, 0, status="failed", validation_score=[], weights_sha256=None, error="why")


def append_a_row_twice(seen: Observation) -> None:
    seen.logs[0].append(seen.logs[0][-1])


def append_to_a_torn_row(seen: Observation) -> None:
    seen.logs[0][1] = seen.logs[0][1][:50] + seen.logs[0][2]


def double_a_row(seen: Observation) -> None:
    seen.lines.append(seen.lines[0])


def count_a_row_twice(seen: Observation) -> None:
    seen.reported.append(seen.reported[0])


def add_a_strange_row(seen: Observation) -> None:
    seen.lines.append(seen.lines[0].replace(FIRST, "0" * 64))


def change_a_hash(seen: Observation) -> None:
    change_row(seen, 1, weights_sha256="d" * 64)


def swap_two_hashes(seen: Observation) -> None:
    change_row(seen, 0, weights_sha256=CLEAN.hashes[SECOND])


def change_an_accuracy(seen: Observation) -> None:
    change_row(seen, 0, validation_score=[0.5, 0.2500001])


def damage_a_file(seen: Observation) -> None:
    seen.weights[CLEAN.hashes[FIRST]] = "e" * 64


def lose_a_file(seen: Observation) -> None:
    del seen.weights[CLEAN.hashes[SECOND]]


def leave_a_file(seen: Observation) -> None:
    seen.weights[CLEAN.hashes[CANCELLED]] = CLEAN.hashes[CANCELLED]


def raise_an_alarm(seen: Observation) -> None:
    seen.keys[f"seedsweep:mismatch:{FIRST}"] = 600


def report_an_alarm(seen: Observation) -> None:
    seen.said += "jobs 3, accepted 2, mismatches 1\n"


def train_a_cancelled_job(seen: Observation) -> None:
    row = CLEAN._row(CANCELLED, False)
    seen.lines[2] = row.line().strip()


def store_a_cancelled_result(seen: Observation) -> None:
    seen.states[CANCELLED] = "SUCCESS"


def begin_a_cancelled_job(seen: Observation) -> None:
    seen.attempts[CANCELLED] = [attempt()]


def end_no_attempt(seen: Observation) -> None:
    seen.attempts[SECOND] = [attempt(worker="w2@test", end=None), attempt(2)]


def finish_without_an_attempt(seen: Observation) -> None:
    seen.attempts[SECOND] = []


def begin_with_a_later_attempt(seen: Observation) -> None:
    seen.attempts[SECOND] = [attempt(cause="worker lost")]


def strike_for_nothing(seen: Observation) -> None:
    seen.attempts[SECOND] = [attempt(worker="w2@test", end="worker lost"), attempt(2)]


def strike_twice_for_one_fault(seen: Observation) -> None:
    seen.attempts[FIRST] = [attempt(end="worker lost", started=t) for t in (0.5, 0.9)]


def strike_for_a_fault_before(seen: Observation) -> None:
    seen.attempts[FIRST][0] = attempt(end="worker lost", started=1.1)


def strike_for_another_workers_child(seen: Observation) -> None:
    seen.events.append(fault(1.5, "kill a child", worker="w2@test"))
    seen.attempts[SECOND] = [attempt(end="child lost"), attempt(2)]


def strike_two_jobs_for_one_child(seen: Observation) -> None:
    seen.events.append(fault(1.5, "kill a child", worker="w2@test"))
    seen.attempts[FIRST].append(attempt(worker="w2@test", end="child lost"))
    seen.attempts[SECOND] = [attempt(worker="w2@test", end="child lost")]


def keep_a_strike_of_a_worker_that_is_back(seen: Observation) -> None:
    seen.events += [fault(1.5, "freeze a worker", worker="w2@test"), fault(1.5, "stall the network", over=6.0)]
    seen.attempts[SECOND] = [attempt(worker="w2@test", end="worker lost"), attempt(2, worker="w3@test", started=6.0)]


def strike_for_a_worker_that_gave_back(seen: Observation) -> None:
    seen.events.append(fault(1.5, "stop a worker", worker="w2@test"))
    seen.attempts[SECOND] = [attempt(worker="w2@test", end="worker lost"), attempt(2, worker="w3@test", started=6.0)]


def try_again_for_nothing(seen: Observation, cause: str = "worker lost") -> None:
    seen.attempts[SECOND] = [attempt(worker="w2@test"), attempt(2, cause=cause, worker="w3@test")]


def try_again_after_a_finished_attempt(seen: Observation) -> None:
    try_again_for_nothing(seen, "submitted again")


def blame_a_worker_frozen_for_a_moment(seen: Observation) -> None:
    seen.events.append(fault(1.5, "freeze a worker", worker="w2@test"))
    try_again_for_nothing(seen)


def blame_refused_writes(seen: Observation) -> None:
    seen.events.append(fault(1.5, "refuse writes", over=1.9))
    try_again_for_nothing(seen)


def try_too_often(seen: Observation) -> None:
    seen.attempts[FIRST].append(attempt(3, cause="worker lost", worker="w2@test", started=5.0))


def change_a_digit_of_the_csv(seen: Observation) -> None:
    seen.leaderboard = (seen.leaderboard[0].replace(b"0.25", b"0.26"), seen.leaderboard[1])


def lose_the_json(seen: Observation) -> None:
    seen.leaderboard = (seen.leaderboard[0], b"")


def recover_late(seen: Observation) -> None:
    seen.events[1]["t"] = 1.0 + LEASE_BOUND + 0.1


def stop_late(seen: Observation) -> None:
    seen.stops["w2@test"] = 10.1


def leave_a_message(seen: Observation) -> None:
    seen.keys["seedsweep:unacked"] = -1


def leave_a_checkpoint(seen: Observation) -> None:
    seen.keys[f"seedsweep:checkpoint:{FIRST}"] = 600


def keep_attempts_for_ever(seen: Observation) -> None:
    seen.keys[f"seedsweep:attempts:{FIRST}"] = -1


def stay_on_record(seen: Observation) -> None:
    seen.members.add("w2@test")


def leave_a_temporary_file(seen: Observation) -> None:
    seen.files.add("chaos/.leaderboard.csv.1234.tmp")


def end_with_another_status(seen: Observation) -> None:
    seen.statuses = [0]


def print_a_traceback(seen: Observation) -> None:
    seen.said += "Traceback (most recent call last):\n"


def hang(seen: Observation) -> None:
    seen.troubles.append("the sweep did not end within 150 s")


def say_nothing_of_a_full_disk(seen: Observation) -> None:
    seen.events.append({"t": 9.0, "event": "fault", "fault": "fill the disk", "over": 9.5, "jobs": [], "struck": True})


def revoke_a_job(seen: Observation) -> None:
    seen.events.append(fault(2.0, "operate", way="revoke", resumed=True))
    change_row(seen, 1, status="cancelled", validation_score=[], weights_sha256=None, error="cancelled (revoked)")
    seen.states[SECOND] = "REVOKED"


def terminate_an_attempt(seen: Observation) -> None:
    seen.events.append(fault(0.5, "operate", way="terminate", resumed=False))
    seen.attempts[SECOND] = [attempt(worker="w2@test", end=None), attempt(2, cause="delivered again", started=3.0)]


def strike_for_an_operators_command(seen: Observation) -> None:
    seen.events.append(fault(1.5, "operate", way="terminate", resumed=True, worker="w2@test"))
    seen.attempts[SECOND] = [attempt(worker="w2@test", end="child lost"), attempt(2, cause="child lost", started=3.0)]


def lose_what_was_purged(seen: Observation) -> None:
    seen.events.append(fault(2.0, "operate", way="purge", resumed=True))
    lose_a_row(seen)


def stay_drained(seen: Observation) -> None:
    seen.events.append(fault(2.0, "operate", way="drain", resumed=False, over=4.0))
    seen.troubles.append("w2@test takes no jobs any more")


def say_nothing_of_drained_workers(seen: Observation) -> None:
    seen.events = [fault(2.0, "operate", way="drain", resumed=False, over=14.0, told=False), fault(3.0, "shout")]


def end_at_a_shout(seen: Observation) -> None:
    seen.events.append(fault(2.0, "shout"))
    seen.troubles.append("w2@test ended by itself, with status 1")


def unpack_a_shout(seen: Observation) -> None:
    seen.events.append(fault(2.0, "shout"))
    seen.peaks["w2@test"] = MEMORY_BOUND + 1


def leak_descriptors(seen: Observation) -> None:
    seen.events.append(fault(2.0, "refuse writes and cut", over=9.0))
    seen.descriptors["w2@test"] = DESCRIPTORS_BOUND + 1


def train_for_a_foreign_value(seen: Observation) -> None:
    seen.events.append(fault(0.5, "foreign values"))
    seen.attempts[SECOND] = [attempt(), attempt(2, cause="submitted again", started=3.0)]


def deliver_again_for_a_forged_message(seen: Observation) -> None:
    seen.events.append(fault(0.5, "forged headers"))
    seen.attempts[SECOND] = [attempt(started=0.2), attempt(2, cause="delivered again", started=0.8)]


def leave_a_foreign_value(seen: Observation) -> None:
    seen.events.append(fault(2.0, "foreign values"))
    seen.keys[f"celery-task-meta-{SECOND}"] = -1


def excuse_a_wait_by_a_shout(seen: Observation) -> None:
    recover_late(seen)
    seen.events.insert(1, fault(2.0, "shout"))


def hang_for_long(seen: Observation) -> None:
    seen.events.append(fault(2.0, "hang a process", worker="w2@test", over=2.0 + HANG_BOUND + 0.1))


def never_end_a_hang(seen: Observation) -> None:
    seen.events.append(fault(2.0, "hang a process", worker="w2@test") | {"over": None})


def hang_for_nothing(seen: Observation) -> None:
    seen.attempts[SECOND] = [attempt(worker="w2@test", end="hung"), attempt(2, cause="first run", started=9.0)]


def try_again_for_no_hang(seen: Observation) -> None:
    try_again_for_nothing(seen, "hung")


def blame_a_child_that_hung(seen: Observation) -> None:
    seen.events.append(fault(1.5, "hang a process", worker="w2@test", over=8.0))
    seen.attempts[SECOND] = [attempt(worker="w2@test", end="child lost"), attempt(2, cause="child lost", started=9.0)]


def say_nothing_of_a_clock(seen: Observation) -> None:
    seen.events.append(fault(2.0, "skew a clock", worker="w2@test", seconds=10.0))
    seen.events.append({"t": 12.1, "event": "clock set right", "worker": "w2@test", "noticed": False})


def lose_a_worker_to_its_clock(seen: Observation) -> None:
    seen.events.append(fault(1.5, "skew a clock", worker="w2@test", seconds=10.0))
    seen.attempts[SECOND] = [attempt(worker="w2@test", end="worker lost"), attempt(2, worker="w3@test", started=6.0)]


def deliver_again_by_a_clock(seen: Observation) -> None:
    seen.events.append(fault(0.5, "skew a clock", worker="w2@test", seconds=-10.0))
    seen.attempts[SECOND] = [attempt(started=0.2), attempt(2, cause="delivered again", started=0.8)]


PLANTED: dict[Callable[[Observation], None], str] = {
    lose_a_row: "lost",
    tear_a_row: "lost",
    fail_a_job: "lost",
    lose_a_file: "lost",
    double_a_row: "double",
    append_a_row_twice: "double",
    append_to_a_torn_row: "lost",
    count_a_row_twice: "double",
    add_a_strange_row: "double",
    change_a_hash: "mismatch",
    swap_two_hashes: "mismatch",
    change_an_accuracy: "mismatch",
    damage_a_file: "mismatch",
    raise_an_alarm: "mismatch",
    report_an_alarm: "mismatch",
    train_a_cancelled_job: "cancelled",
    store_a_cancelled_result: "cancelled",
    begin_a_cancelled_job: "attempt",
    end_no_attempt: "attempt",
    finish_without_an_attempt: "attempt",
    begin_with_a_later_attempt: "attempt",
    strike_for_nothing: "attempt",
    strike_twice_for_one_fault: "attempt",
    strike_for_a_fault_before: "attempt",
    strike_for_another_workers_child: "attempt",
    strike_two_jobs_for_one_child: "attempt",
    keep_a_strike_of_a_worker_that_is_back: "attempt",
    strike_for_a_worker_that_gave_back: "attempt",
    try_again_for_nothing: "attempt",
    try_again_after_a_finished_attempt: "attempt",
    blame_a_worker_frozen_for_a_moment: "attempt",
    blame_refused_writes: "attempt",
    try_too_often: "attempt",
    change_a_digit_of_the_csv: "leaderboard",
    lose_the_json: "leaderboard",
    recover_late: "recovery",
    stop_late: "recovery",
    leave_a_file: "leak",
    leave_a_message: "leak",
    leave_a_checkpoint: "leak",
    keep_attempts_for_ever: "leak",
    stay_on_record: "leak",
    leave_a_temporary_file: "leak",
    end_with_another_status: "end",
    print_a_traceback: "end",
    hang: "end",
    say_nothing_of_a_full_disk: "end",
    revoke_a_job: "lost",
    terminate_an_attempt: "attempt",
    strike_for_an_operators_command: "attempt",
    lose_what_was_purged: "lost",
    stay_drained: "end",
    say_nothing_of_drained_workers: "end",
    end_at_a_shout: "end",
    unpack_a_shout: "leak",
    leak_descriptors: "leak",
    train_for_a_foreign_value: "attempt",
    deliver_again_for_a_forged_message: "attempt",
    leave_a_foreign_value: "leak",
    excuse_a_wait_by_a_shout: "recovery",
    hang_for_long: "recovery",
    never_end_a_hang: "recovery",
    hang_for_nothing: "attempt",
    try_again_for_no_hang: "attempt",
    blame_a_child_that_hung: "attempt",
    say_nothing_of_a_clock: "end",
    lose_a_worker_to_its_clock: "attempt",
    deliver_again_by_a_clock: "attempt",
}
