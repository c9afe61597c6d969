"""What stands around the checker: plans repeat themselves, recoveries and summaries are counted right."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from tests.chaos.arena.monitor import ResultsLog
from tests.chaos.arena.workload import KINDS
from tests.chaos.checker.recovery import LEASE_BOUND, recoveries
from tests.chaos.plan import FAULTS, make_plan
from tests.chaos.summary import DOCUMENT, LONG_RUNS, RECORDED, never_struck, render, summarize, write_into

FIRST, SECOND, THIRD = "a" * 64, "b" * 64, "c" * 64


def fault(t: float, name: str = "kill Redis", over: float | None = None, **fields: Any) -> dict[str, Any]:
    usual = {"t": t, "event": "fault", "fault": name, "over": t if over is None else over, "jobs": [], "struck": True}
    return usual | fields


def test_recovery_is_counted_from_the_end_of_the_cause() -> None:
    events = [fault(1.0, over=3.0), {"t": 2.0, "event": "ended"}, {"t": 3.5, "event": "attempt", "job": FIRST}]
    assert [dataclasses.astuple(found) for found in recoveries(events)] == [
        ("kill Redis", 0.5, True, 0.5, 0.5 - LEASE_BOUND)
    ]


def test_recovery_of_a_worker_waits_for_all_its_jobs() -> None:
    events = [
        fault(1.0, "freeze a worker", jobs=[FIRST, SECOND]),
        {"t": 2.0, "event": "attempt", "job": FIRST},
        {"t": 3.0, "event": "attempt", "job": THIRD},
        {"t": 6.0, "event": "ended", "job": SECOND},
    ]
    assert [found.seconds for found in recoveries(events)] == [5.0]


def test_a_second_fault_begins_the_count_again() -> None:
    events = [fault(1.0), fault(4.0, "reset the network"), {"t": 5.0, "event": "ended", "job": FIRST}]
    first, second = recoveries(events)
    assert (first.seconds, first.alone, first.waited) == (4.0, False, 1.0)
    assert (second.seconds, second.alone, second.waited) == (1.0, True, 1.0)


def test_a_plan_is_a_function_of_its_seed() -> None:
    assert make_plan(7) == make_plan(7)
    assert len({make_plan(seed) for seed in range(100)}) == 100


def test_twenty_plans_hold_every_fault_and_every_persistence() -> None:
    plans = [make_plan(seed) for seed in range(20)]
    assert {strike.fault for plan in plans for strike in plan.strikes} == set(FAULTS)
    assert {plan.persistence for plan in plans} == {"always", "everysec", "none"}
    assert {plan.kind for plan in plans} == set(KINDS)
    assert {plan.shuffled for plan in plans} == {plan.proxied for plan in plans} == {False, True}


def test_a_summary_counts_what_the_histories_hold() -> None:
    struck = {"event": "over", "fault": "kill Redis", "struck": True}
    recovered = {"event": "recovery", "fault": "kill Redis", "alone": True}
    checked = {"event": "checked", "jobs": 12, "attempts": 14, "submitted_again": 2}
    first = checked | {"violations": [["lost", "x"], ["end", "y"]]}
    second = checked | {"violations": [["double", "z"]]}
    histories = [
        [struck, recovered | {"seconds": 1.0, "waited": 1.0}, first],
        [struck, recovered | {"seconds": 3.0, "waited": 3.0}, second],
        [struck | {"struck": False}],
    ]
    summary = summarize(histories)
    assert (summary["runs"], summary["completed"], summary["jobs"], summary["attempts"]) == (3, 2, 24, 28)
    assert summary["submitted_again"] == 4
    assert (summary["lost"], summary["double"], summary["mismatches"], summary["other_violations"]) == (1, 1, 0, 1)
    assert summary["faults"]["kill Redis"] == {
        "struck": 2, "alone": 2, "median_seconds": 2.0, "worst_seconds": 3.0, "worst_seconds_of_all": 3.0,
    }  # fmt: skip


def test_a_long_session_that_missed_a_kind_of_fault_says_so() -> None:
    struck = [{"event": "over", "fault": fault, "struck": True} for fault in FAULTS]
    missed = [*struck[1:], struck[0] | {"struck": False}]
    assert never_struck(summarize([missed] * (LONG_RUNS - 1))) == []
    assert never_struck(summarize([missed] * LONG_RUNS)) == [FAULTS[0]]
    assert never_struck(summarize([missed] * LONG_RUNS + [struck])) == []


def test_the_document_shows_the_recorded_figures() -> None:
    document = DOCUMENT.read_text()
    assert write_into(document, render(json.loads(RECORDED.read_text()))) == document


def test_what_was_appended_is_seen_after_another_file_took_its_place(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    log = ResultsLog(path)
    log.look()
    with path.open("w") as file:
        for text in ("one\ntw", "o\n", "two\n"):
            file.write(text)
            file.flush()
            if text != "two\n":
                log.look()
    (tmp_path / "new").write_text("one\ntwo\n")
    (tmp_path / "new").rename(path)
    log.look()
    log.close()
    assert log.logs == [["one", "two", "two"], ["one", "two"]]


def test_a_torn_row_that_was_removed_is_not_seen(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("one\ntor")
    log = ResultsLog(path)
    log.look()
    with path.open("r+") as file:
        file.truncate(4)
        file.seek(4)
        file.write("two\n")
    log.look()
    log.close()
    assert log.logs == [["one", "two"]]
