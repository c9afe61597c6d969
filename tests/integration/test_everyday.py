"""What one does with sweeps every day: list, name, note, rename and remove them, and see what runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import seedsweep
from orchestrator.analysis.summary import summary
from orchestrator.analysis.sweep import Sweep
from tests.support.command_line import small
from tests.support.in_process import InProcess
from tests.support.sweep_folders import JOBS, made, row

SWEEP = small(seeds="0-2")


@pytest.fixture
def swept(here: InProcess, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """A finished sweep `first` of six jobs, which changed last, and `second`, of which one of two jobs has ended."""
    made(here.runs, "second").append(row(JOBS[0]))
    here.command_line.finished("first", *SWEEP)
    (here.runs / "first" / "leaderboard.json").touch()
    monkeypatch.setenv("COLUMNS", "120")
    return here


def test_the_list_says_how_each_sweep_stands(swept: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = swept.run("list").out.splitlines()
    first, second = (line.split() for line in lines[3:5])
    assert (first[0], first[3:6], second[0], second[3:5]) == (
        "first", ["finished", "6/6", first[5]], "second", ["interrupted", "1/2"]
    )  # fmt: skip
    listed = json.loads(swept.run("list", "--json").out)["sweeps"]
    assert [each["name"] for each in listed] == ["first", "second"]
    assert (
        listed[0]["sentence"]
        == json.loads((swept.runs / "first" / "leaderboard.json").read_text())["verdict"]["sentence"]
    )
    assert listed[0]["size"] == sum(file.stat().st_size for file in (swept.runs / "first").rglob("*") if file.is_file())
    assert [each.name for each in seedsweep.summaries(swept.runs)] == ["first", "second"]
    assert swept.run("list", "--output", "none").out == "There is no sweep in none yet\n"
    # No row of a sweep that has ended is read.
    told = summary(swept.runs / "first")
    monkeypatch.setattr(Sweep, "read", None)
    assert summary(swept.runs / "first") == told


def test_a_list_reads_the_rows_of_a_sweep_that_goes_on(swept: InProcess) -> None:
    results = Path(swept.runs / "first" / "results.jsonl")
    results.write_text("".join(results.read_text().splitlines(keepends=True)[:4]))
    assert (summary(swept.runs / "first").done, summary(swept.runs / "first").state) == (4, "interrupted")
