"""A row: what it keeps of the attempts at its job; its published schema: it is current, and rejects what is no row."""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from orchestrator.folder.rows import MAX_HISTORY, Accounting, Row, accepted_row, lost_row
from tests.support.boards import jobs_of, trained
from tests.support.exported import odd_sweep, odd_trainer
from tests.support.paths import ROOT
from tests.support.sweep_folders import result
from worker.job import Attempt, Mismatch

MADE = runpy.run_path(str(ROOT / "docs/make_schema.py"))
SCHEMA = MADE["row_schema"]()
VALIDATOR = Draft202012Validator(SCHEMA)
(JOB,) = jobs_of(1, 0.1).values()
ATTEMPT = Attempt(number=1, cause="first run", worker="w@host", started=1e9, end="finished", ended=1e9 + 1)
FOUND = Mismatch(first="a" * 64, second="b" * 64, run=JOB.key, worker="w@host")
WHOLE = trained(JOB, 0.9, correct=[True, False]).with_history([ATTEMPT]).model_copy(update={"mismatches": [FOUND]})
LOST = lost_row(JOB, "failed", "it broke", [ATTEMPT])
REUSED = WHOLE.reused("another")

#: How a row is broken -> (the row, the harm).
BROKEN: dict[str, tuple[Row, Callable[[dict[str, Any]], object]]] = {
    "no key": (WHOLE, lambda row: row.pop("job")),
    "a key in capitals": (WHOLE, lambda row: row.update(job="A" * 64)),
    "a negative seed": (WHOLE, lambda row: row.update(seed=-1)),
    "a seed as text": (WHOLE, lambda row: row.update(seed="3")),
    "an unknown field": (WHOLE, lambda row: row.update(more=1)),
    "an unknown status": (WHOLE, lambda row: row.update(status="lost")),
    "no status": (WHOLE, lambda row: row.pop("status")),
    "a missing option": (WHOLE, lambda row: row["options"].pop("learning_rate")),
    "an unknown option": (WHOLE, lambda row: row["options"].update(momentum=0.9)),
    "a negative option": (WHOLE, lambda row: row["options"].update(learning_rate=-1)),
    "a result without weights": (WHOLE, lambda row: row.update(weights_sha256=None)),
    "a result without a metric": (WHOLE, lambda row: row.update(validation_score=[])),
    "a result without a worker": (WHOLE, lambda row: row.update(worker=None)),
    "a metric as text": (WHOLE, lambda row: row.update(validation_score=["0.9", 0.9])),
    "a metric with a bad name": (WHOLE, lambda row: row.update(others={"Top\n5": [0.9, 0.9]})),
    "weights without a result": (LOST, lambda row: row.update(weights_sha256="a" * 64)),
    "metrics without a result": (LOST, lambda row: row.update(validation_score=[0.5])),
    "no reason": (LOST, lambda row: row.update(error=None)),
    "answers that are no base64": (WHOLE, lambda row: row.update(correct="?")),
    "an attempt without a cause": (WHOLE, lambda row: row["history"][0].pop("cause")),
    "an unknown end": (WHOLE, lambda row: row["history"][0].update(end="vanished")),
    "a time before the epoch": (WHOLE, lambda row: row["history"][0].update(started=-1)),
    "more of an attempt": (WHOLE, lambda row: row["history"][0].update(more=1)),
    "too many attempts": (WHOLE, lambda row: row.update(history=1001 * row["history"])),
    "own attempts at a reused result": (REUSED, lambda row: row.update(history=[])),
    "no origin": (WHOLE, lambda row: row.pop("reused_from")),
    "a mismatch without a hash": (WHOLE, lambda row: row["mismatches"][0].pop("second")),
}


def line(row: Row) -> dict[str, Any]:
    return dict(json.loads(row.line()))


def test_it_is_a_schema_that_names_its_version_and_the_published_file_is_current() -> None:
    for name, make in MADE["FILES"].items():
        assert json.loads((MADE["FOLDER"] / name).read_text()) == make(), "run: python docs/make_schema.py"
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == f"urn:seedsweep:results-row:{MADE['VERSION']}"
    # Nothing of Python's own is in it.
    assert not re.search(r'"title": "(Row|NetworkOptions)|Attributes:|BaseModel', json.dumps(SCHEMA))


@pytest.mark.parametrize(
    "row", [WHOLE, LOST, lost_row(JOB, "cancelled", "cancelled"), REUSED], ids=["whole", "lost", "cancelled", "reused"]
)
def test_rows_match(row: Row) -> None:
    VALIDATOR.validate(line(row))


def test_rows_of_another_trainer_match(tmp_path: Path) -> None:
    with odd_trainer(tmp_path / "site"):
        lines = (odd_sweep(tmp_path).path / "results.jsonl").read_text().splitlines()
    rows = [json.loads(each) for each in lines]
    assert {row["status"] for row in rows} == {"succeeded", "diverged", "failed", "cancelled"}
    for row in rows:
        VALIDATOR.validate(row)


def test_a_row_from_before_an_option_existed_matches_and_the_schema_says_what_it_means() -> None:
    older = line(WHOLE)
    del older["options"]["test_size"]
    VALIDATOR.validate(older)
    read = Row.model_validate(older).options.model_dump()
    assert SCHEMA["$defs"]["NetworkOptions"]["properties"]["test_size"]["default"] == read["test_size"] == 0


@pytest.mark.parametrize("harm", BROKEN)
def test_a_broken_row_does_not_match(harm: str) -> None:
    row, change = BROKEN[harm]
    broken = line(row)
    change(broken)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(broken)


def test_the_document_names_every_field() -> None:
    text = (ROOT / "docs/reference/results-format.md").read_text()
    tables = text.split("| field of ")[1:]
    documented = [re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) for table in tables]
    assert documented == [list(SCHEMA["properties"]), list(SCHEMA["$defs"]["AttemptRecord"]["properties"])]
    values = SCHEMA["$defs"]["AttemptRecord"]["properties"]
    assert all(f"`{cause}`" in text for cause in values["cause"]["enum"])
    assert all(f"`{end}`" in text for end in values["end"]["anyOf"][0]["enum"])


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
