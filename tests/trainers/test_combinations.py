"""Combinations of values that a trainer's model refuses."""

from __future__ import annotations

import json

import pytest

from tests.support.command_line import CommandLine
from tests.support.own_trainer import install_source

SOURCE = """
from pydantic import model_validator
from tests.trainers import broken

class Options(broken.Options):
    @model_validator(mode="after")
    def _together(self):
        if self.penalty is not None and self.rate > 1:
            raise ValueError("with a penalty, rate must be at most 1")
        return self

class Own(broken.Honest):
    name = "own"
    Options = Options
"""
GRID = ("sweep", "--trainer", "own", "--seeds", "0-1", "--name", "a", "--grid", "rate=0.1,2", "--grid")
REFUSED = "orchestrator: the combination is rate=2.0, penalty=0.5; allowed: with a penalty, rate must be at most 1\n"


@pytest.fixture
def own(command_line: CommandLine) -> dict[str, str]:
    return {"PYTHONPATH": str(install_source(command_line.folder / "site", "own", SOURCE, "Own").parent)}


def test_an_impossible_combination_is_refused_in_its_authors_words_or_left_out(
    command_line: CommandLine, own: dict[str, str]
) -> None:
    assert command_line.run(*GRID, "penalty=none,0.5", status=2, **own).stderr == REFUSED
    assert not (command_line.folder / "runs").exists()
    done = command_line.run(*GRID, "penalty=none,0.5", "--skip-invalid", **own)
    assert "1 combination of 4 left out as invalid\n" in done.stderr
    assert "jobs 6, accepted 6" in done.stdout
    # The sweep remembers it.
    assert json.loads((command_line.folder / "runs/a/sweep.json").read_text())["specification"]["skip_invalid"] is True
    again = command_line.run("sweep", "--spec", "runs/a/sweep.json", "--skip-invalid", "--name", "again", **own)
    assert "jobs 6, accepted 6, attempts 0, reused 6" in again.stdout
    assert "jobs 6, accepted 6" in command_line.run("sweep", "--resume", "--name", "a", **own).stdout
    assert "jobs 9, accepted 9" in command_line.run("extend", "a", "--seeds", "2", **own).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("penalty=0.5", "--set", "rate=2"), "--skip-invalid is given; allowed: a sweep with a combination that"),
        (
            ("penalty=0.5,1", "--sampler", "random", "--samples", "2"),
            "--skip-invalid is given; allowed: nothing together with a sampler",
        ),
    ],
)
def test_when_nothing_can_be_left_out(
    command_line: CommandLine, own: dict[str, str], words: tuple[str, ...], said: str
) -> None:
    grid = [word for word in GRID if word != "rate=0.1,2"]
    grid = grid[: grid.index("--grid") + 1]
    assert said in command_line.run(*grid, *words, "--skip-invalid", status=2, **own).stderr
