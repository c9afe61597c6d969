"""Rows of real sweeps match the published schema."""

import json

import pytest
from jsonschema import Draft202012Validator

from tests.support.command_line import SMALL, CommandLine, small
from tests.support.paths import ROOT

VALIDATOR = Draft202012Validator(json.loads((ROOT / "docs/reference/schemas/results-row.schema.json").read_text()))
SGD = ("--data", "digits", "--set", "estimator=SGDClassifier", "--set", "epochs=1", "--seeds", "0")


@pytest.mark.parametrize(
    ("words", "ended"),
    [
        (SMALL, "succeeded"),
        (small(seeds="0", learning_rates="1e38", limit="500"), "diverged"),
        (("--trainer", "sklearn", *SGD), "succeeded"),
    ],
    ids=["network", "diverged", "sklearn"],
)
def test_rows_of_real_sweeps(command_line: CommandLine, words: tuple[str, ...], ended: str) -> None:
    command_line.finished("a", *words, status=int(ended == "diverged"))
    rows = command_line.rows("a")
    assert {row["status"] for row in rows} == {ended}
    for row in rows:
        VALIDATOR.validate(row)
