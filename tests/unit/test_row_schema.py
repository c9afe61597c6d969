"""The published schema of a row: it is current, documented, and rejects what is no row."""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from orchestrator.folder.rows import Row, lost_row
from tests.support.boards import jobs_of, trained
from tests.support.exported import odd_sweep, odd_trainer
from tests.support.paths import ROOT
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
    with pytest.raises(ValidationError):
        VALIDATOR.validate(broken)


def test_the_document_names_every_field() -> None:
    text = (ROOT / "docs/reference/results-format.md").read_text()
    tables = text.split("| field of ")[1:]
    documented = [re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) for table in tables]
    assert documented == [list(SCHEMA["properties"]), list(SCHEMA["$defs"]["AttemptRecord"]["properties"])]
    values = SCHEMA["$defs"]["AttemptRecord"]["properties"]
    assert all(f"`{cause}`" in text for cause in values["cause"]["enum"])
    assert all(f"`{end}`" in text for end in values["end"]["anyOf"][0]["enum"])
