"""The checker finds what it is there to find: violations planted in an intact run."""

import dataclasses
from collections.abc import Callable

import pytest

from tests.chaos.arena.workload import workload
from tests.chaos.checker.causes import false_ends
from tests.chaos.checker.checker import check
from tests.chaos.checker.observation import Observation
from tests.chaos.checker.recovery import FORGOTTEN_BOUND, LEASE_BOUND, SEVERAL_SECONDS, recoveries
from tests.chaos.checker.violations import CLEAN, FIRST, PLAN, PLANTED, SECOND, Plant, attempt, intact
from tests.chaos.history import Event
from tests.chaos.plan import Strike
from tests.chaos.test_evidence import fault

OTHER_JOBS = workload("short").other_jobs


@pytest.mark.parametrize(
    ("kind", "plant"),
    [
        pytest.param(kind, plant, id=f"{kind}: {name}")
        for kind, plants in PLANTED.items()
        for name, plant in plants.items()
    ],
)
def test_a_planted_violation_is_found(kind: str, plant: Plant) -> None:
    seen = intact()
    plant(seen)
    assert kind in [violation.kind for violation in check(seen, CLEAN)]


@pytest.mark.parametrize(("name", "found"), [("kill Redis", []), ("stall the network", []), ("kill a child", ["leak"])])
def test_a_worker_may_stay_on_record_only_if_it_could_not_sign_off(name: str, found: list[str]) -> None:
    seen = intact()
    seen.members.add("w2@test")
    seen.events.append(fault(9.0, name, worker="w2@test"))
    assert [violation.kind for violation in check(seen, CLEAN)] == found


@pytest.mark.parametrize(
    ("name", "result", "found"),
    [("crash Redis", False, []), ("crash Redis", True, ["leak"]), ("kill Redis", False, ["leak"])],
)
def test_a_checkpoint_may_stay_only_where_a_crash_took_the_result(name: str, result: bool, found: list[str]) -> None:
    seen = intact()
    seen.keys[f"seedsweep:checkpoint:{FIRST}"] = 600
    seen.events.append(fault(9.0, name))
    if not result:
        del seen.states[FIRST]
    assert [violation.kind for violation in check(seen, CLEAN)] == found


def test_lost_messages_are_counted() -> None:
    seen = intact()
    assert seen.submitted_again == 0
    seen.said += "Redis lost 1 job: submitted again\nRedis lost 12 jobs: submitted again\n"
    assert seen.submitted_again == 13


def test_a_fault_that_did_not_strike_counts_for_nothing() -> None:
    seen = intact()
    seen.events += [
        {"t": 9.0, "event": "not struck", "fault": "fill the disk"},
        fault(9.5, "fill the disk", struck=False),
    ]
    assert check(seen, CLEAN) == []


def test_work_that_does_not_go_on_is_a_violation() -> None:
    # Given a fault after which every event that could end the wait is missing, though the run went on to its end
    seen = intact()
    seen.events = [fault(1.0), {"t": 1.0 + FORGOTTEN_BOUND, "event": "attempt", "job": FIRST}]
    assert "recovery" in [violation.kind for violation in check(seen, CLEAN)]


@pytest.mark.parametrize(
    ("end", "faults"),
    [
        ("child lost", [fault(3.0, "kill a child", worker="w2@test")]),
        ("worker lost", [fault(3.0, "kill a worker", worker="w2@test")]),
        ("worker lost", [fault(3.0, "stop a worker", worker="w2@test"), fault(4.0, "stop Redis", over=6.0)]),
        ("worker lost", [fault(2.9, "cut connections"), fault(3.0, "kill a child", worker="w2@test")]),
        ("worker lost", [fault(2.0, "freeze a worker", worker="w2@test"), fault(8, "kill a child", worker="w2@test")]),
        ("worker lost", [fault(3.0, "crash Redis", over=4.0)]),
        ("hung", [fault(3.0, "hang a process", worker="w2@test", over=9.5)]),
    ],
)
def test_what_a_fault_did_is_no_violation(end: str, faults: list[Event]) -> None:
    seen = intact()
    seen.events += faults
    seen.attempts[SECOND] = [attempt(worker="w2@test", end=end), attempt(2, worker="w3@test", started=9.0)]
    assert list(false_ends(seen)) == []
    for event in faults:
        seen.events.remove(event)
        assert len(list(false_ends(seen))) == 1
        seen.events.append(event)


def test_a_fault_strikes_each_job_that_its_worker_trained() -> None:
    seen = intact()
    seen.attempts[SECOND] = [attempt(end="worker lost"), attempt(2, cause="worker lost", worker="w2@test")]
    assert check(seen, CLEAN) == []


@pytest.mark.parametrize("name", ["refuse writes", "cut connections"])
@pytest.mark.parametrize(("over", "found"), [(7.0, []), (5.9, ["attempt"])])
def test_an_outage_explains_what_begins_just_after_it(name: str, over: float, found: list[str]) -> None:
    seen = intact()
    seen.events.append(fault(5.0, name, over=over))
    seen.attempts[SECOND] = [attempt(started=8.0), attempt(2, cause="delivered again", started=8.1)]
    assert [violation.kind for violation in check(seen, CLEAN) if "attempts at" in violation.text] == found


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (fault(3.0, "kill a worker", worker="w2@test"), []),
        (fault(3.0, "stall the network", over=5.0), []),
        (fault(3.0, "kill a worker", worker="w3@test"), ["end"]),
        (fault(3.0, "shout"), ["end"]),
        (fault(1.0, "stall the network", over=1.9), ["end"]),
    ],
)
def test_only_who_could_notice_must(other: Event, found: list[str]) -> None:
    seen = intact()
    seen.events += [
        fault(2.0, "skew a clock", worker="w2@test"),
        other,
        {"t": 12.1, "event": "clock set right", "worker": "w2@test", "noticed": False},
    ]
    assert [violation.kind for violation in check(seen, CLEAN) if violation.kind == "end"] == found


def with_a_cancelled_sweep() -> Observation:
    seen = intact()
    running, *waiting = sorted(OTHER_JOBS)
    seen.plan = dataclasses.replace(PLAN, strikes=(Strike("cancel a sweep", 1.0, 0),))
    seen.events.append(fault(5.0, "cancel a sweep", over=6.0, running=[running]))
    seen.attempts |= {running: [attempt(end="cancelled")]} | {job: [] for job in waiting}
    seen.states |= dict.fromkeys(OTHER_JOBS, "REVOKED")
    seen.keys |= {f"seedsweep:cancelled:{job}": 600 for job in OTHER_JOBS}
    seen.other_rows = dict.fromkeys(OTHER_JOBS, "cancelled")
    seen.other_status = 1
    return seen


@pytest.mark.parametrize("made", [intact, with_a_cancelled_sweep])
def test_an_intact_run_passes_also_with_a_cancelled_sweep(made: Callable[[], Observation]) -> None:
    assert check(made(), CLEAN) == []


@pytest.mark.parametrize(
    "plant",
    [
        lambda seen, job: seen.other_rows.pop(job),
        lambda seen, job: seen.other_rows.update({job: "succeeded"}),
        lambda seen, job: seen.states.update({job: "SUCCESS"}),
        lambda seen, job: seen.attempts[job].append(attempt(started=6.5, end="cancelled")),
        lambda seen, job: seen.attempts[job].append(attempt()),
        lambda seen, _: seen.keys.update({f"seedsweep:cancelled:{FIRST}": 600}),
        lambda seen, _: setattr(seen, "other_status", 0),
    ],
)
def test_a_job_that_outlives_its_sweeps_cancellation_is_found(plant: Callable[[Observation, str], object]) -> None:
    seen = with_a_cancelled_sweep()
    plant(seen, max(OTHER_JOBS))
    assert "cancelled" in [violation.kind for violation in check(seen, CLEAN)]


@pytest.mark.parametrize(
    ("other", "excused"),
    [
        (fault(3.0, "cut connections"), True),
        (fault(3.0, "kill the orchestrator", over=4.0), False),
        (fault(1.0 + LEASE_BOUND + 0.1, "cut connections"), False),
    ],
)
def test_only_a_fault_that_can_delay_a_recovery_excuses_it(other: Event, excused: bool) -> None:
    at = 1.0 + LEASE_BOUND + SEVERAL_SECONDS
    killed = fault(1.0, "kill a worker", jobs=[FIRST], worker="w1@test")
    events = sorted([killed, other, {"t": at, "event": "attempt", "job": FIRST}], key=lambda event: event["t"])
    first = next(found for found in recoveries(events) if found.fault == "kill a worker")
    assert (first.late is not None and first.late <= 0) is excused


def test_a_fault_is_excused_until_the_worker_of_another_is_back() -> None:
    killed = [
        fault(1.0, "kill a worker", jobs=[FIRST], worker="w1@test"),
        fault(1.5, "kill a worker", worker="w2@test"),
    ]
    begun = {"t": 9.5 + LEASE_BOUND, "event": "attempt", "job": FIRST}
    back = {"t": 9.5, "event": "worker started", "worker": "w3@test", "replaces": "w2@test"}
    assert next(recoveries([*killed, back, begun])).late == -SEVERAL_SECONDS
    assert (next(recoveries([*killed, begun])).late or 0) > 0
