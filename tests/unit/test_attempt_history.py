"""What a row keeps of the attempts at its job."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.folder.rows import MAX_HISTORY, Accounting, Row, accepted_row, lost_row
from tests.support.boards import jobs_of, trained
from tests.support.sweep_folders import result
from worker.job import Attempt

(JOB,) = jobs_of(1, 0.1).values()


def attempt(number: int = 1, **fields: Any) -> Attempt:
    known = {"cause": "first run", "worker": "w@host", "started": 10.0 * number, "end": "worker lost", "ended": 15.0}
    return Attempt(number=number, **known | fields)


def test_a_row_is_read_as_it_was_written() -> None:
    row = lost_row(JOB, "failed", "it broke", [attempt(), attempt(2, cause="worker lost", end="failed", ended=25.0)])
    assert Row.model_validate_json(row.line()).of(JOB) == row
    assert json.loads(row.line())["history"] == [
        {"worker": "w@host", "cause": "first run", "started": 10.0, "ended": 15.0, "end": "worker lost",
         "epochs_before": 0},
        {"worker": "w@host", "cause": "worker lost", "started": 20.0, "ended": 25.0, "end": "failed",
         "epochs_before": 0},
    ]  # fmt: skip
    # What is rare is there only when it has something to say.
    rare = {"history", "mismatches", "others", "correct", "environment", "trainer"}
    assert not rare & json.loads(lost_row(JOB, "failed", "it broke").line()).keys()


def test_the_attempt_that_made_the_result_has_finished_whatever_else_is_on_record() -> None:
    # Given the result of a second attempt, which is on record as lost or open as well, and a third one elsewhere
    made = result(JOB, 0.1, 0.9, attempts=2, worker="w@host", started=20.0, ended=25.0, cause="worker lost")
    third = attempt(3, worker="v@host", started=21.0, end=None, ended=None)
    for known in ({"end": "worker lost", "ended": 24.0}, {"end": None, "ended": None}):
        row = accepted_row(JOB, made, attempts=[attempt(), attempt(2, **known), third])
        # Then the second one has finished
        assert [(each.end, each.ended) for each in row.history] == [
            ("worker lost", 15.0), ("finished", 25.0), (None, None),
        ]  # fmt: skip
        # And what is learned later is added
        later = row.with_history([third.model_copy(update={"end": "finished", "ended": 30.0})])
        assert [(each.end, each.ended) for each in later.history[1:]] == [("finished", 25.0), ("finished", 30.0)]
    # A result that another sweep trained has no attempts of this one
    assert accepted_row(JOB, made, "another").history == []


def test_a_reused_row_has_no_attempts_of_its_own() -> None:
    row = trained(JOB, 0.9).with_history([attempt(end="finished")])
    reused = row.reused("another")
    assert (reused.reused_from, reused.history, reused.attempts) == ("another", [], 1)
    # And whoever writes some into a folder has them ignored
    assert Accounting.of(1, [reused.model_copy(update={"history": row.history})]).attempts == 0
    assert reused.reused("third").reused_from == "another"


def test_an_attempt_after_the_one_that_made_the_result_is_no_repetition() -> None:
    late = trained(JOB, 0.9).with_history([attempt(end="finished"), attempt(2, cause="delivered again")])
    assert Accounting.of(1, [late]).repeated == {}


def test_a_row_keeps_a_bounded_number_of_attempts_and_of_their_workers_names() -> None:
    # Given what another client of Redis may have stored
    made = [attempt(number, worker="é\n" * 400) for number in range(1, MAX_HISTORY + 10)]
    row = lost_row(JOB, "failed", "it broke", made)
    # Then the row has the last ones, and is read as it was written
    assert (row.attempts, len(row.history), row.history[-1].started) == (len(made), MAX_HISTORY, 10.0 * len(made))
    assert Row.model_validate_json(row.line()).of(JOB) == row
    assert len(row.line()) < 2**20
    told = json.loads(row.line())
    with pytest.raises(ValidationError):
        Row.model_validate(told | {"history": told["history"][:1] * (MAX_HISTORY + 1)})
    # The name of a worker in a foreign folder is one line, too.
    told["history"][0]["worker"] = "x\n[2/2] seed 1: 99 %\x1b[2J"
    assert str(Row.model_validate(told).history[0].worker).isprintable()


@pytest.mark.parametrize(
    "hostile",
    [{"started": -1.0}, {"ended": 1e300}, {"ended": "now"}, {"end": "vanished"}, {"worker": 3}, {"epochs_before": -1},
     {"worker": "w" * 301}, {"worker": None}, {"started": None}, {"more": 1}],
)  # fmt: skip
def test_a_foreign_row_with_an_impossible_attempt_is_invalid(hostile: dict[str, Any]) -> None:
    row = json.loads(lost_row(JOB, "failed", "it broke", [attempt()]).line())
    Row.model_validate(row)
    row["history"][0] |= hostile
    with pytest.raises(ValidationError):
        Row.model_validate(row)
