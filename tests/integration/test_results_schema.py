"""Rows of real sweeps match the published schema, however their jobs ended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.command_line import SMALL, CommandLine, small
from tests.support.own_trainer import install_source
from tests.support.paths import ROOT

VALIDATOR = Draft202012Validator(json.loads((ROOT / "docs/reference/schemas/results-row.schema.json").read_text()))

_TRAINER = """
from pydantic import BaseModel, ConfigDict, Field
from seedsweep import Metric, Trained, Trainer

class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    words: tuple[str, ...] = Field(default=("a", "b"), description="Any words.")

class Data:
    digest = "d" * 64

class Falling(Trainer):
    name, version, Options, data, datasets = "falling", 1, Options, "any", ("any",)
    metric = Metric(name="loss", higher_is_better=False)

    def load(self, source, cache_dir):
        return Data()

    def epochs(self, options):
        return 1

    def train(self, options, seed, data, *, on_epoch, resume_from=None):
        if seed == 2:
            raise ValueError("it fell")
        on_epoch(1.0, None)
        return Trained(artifact=b"artifact", problem="diverged: it leans" if seed == 1 else None)
"""


def checked(command_line: CommandLine, name: str) -> list[dict[str, Any]]:
    """Return the rows of a sweep, each of which matches."""
    rows = command_line.rows(name)
    for row in rows:
        VALIDATOR.validate(row)
    return rows


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
    assert {row["status"] for row in checked(command_line, "a")} == {ended}


def test_rows_that_are_reused(command_line: CommandLine) -> None:
    command_line.finished("a", *SMALL)
    command_line.run("sweep", *small(seeds="1"), "--name", "b")
    rows = checked(command_line, "b")
    assert {row["reused_from"] for row in rows} == {"a"}
    assert all("correct" in row for row in rows)


def test_rows_of_another_trainer_some_of_which_failed(command_line: CommandLine) -> None:
    # Given a sweep of a trainer that fails for some seeds
    install_source(command_line.folder / "trainers", "falling", _TRAINER, "Falling")
    environment = {"PYTHONPATH": str(command_line.folder / "trainers")}
    words = ("--trainer", "falling", "--seeds", "0-2", "--name", "a")
    command_line.run("sweep", *words, status=1, **environment)
    # Then its rows match, too
    rows = checked(command_line, "a")
    assert [row["status"] for row in rows] == ["succeeded", "diverged", "failed"]
    assert [row["history"][0]["end"] for row in rows] == ["finished", "finished", "failed"]
