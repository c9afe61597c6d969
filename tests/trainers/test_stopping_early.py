"""Jobs whose trainer ends them before their last epoch, because all is well."""

from __future__ import annotations

import csv

import pytest

from tests.support.command_line import CommandLine
from tests.support.own_trainer import install_source

SWEEP = ("--trainer", "stops", "--seeds", "0-3", "--grid", "rate=0.00001,0.1", "--set", "epochs=20")


@pytest.fixture
def stops(command_line: CommandLine) -> dict[str, str]:
    source = "from tests.trainers.broken import Stops"
    return {"PYTHONPATH": str(install_source(command_line.folder / "site", "stops", source, "Stops").parent)}


def test_jobs_that_stop_succeed_with_fewer_epochs(command_line: CommandLine, stops: dict[str, str]) -> None:
    done = command_line.run("sweep", *SWEEP, "--name", "a", **stops).stdout
    found = command_line.rows("a")
    short = [row for row in found if row["options"]["rate"] == 0.1]
    assert {row["status"] for row in found} == {"succeeded"}
    assert {row["stopped"] for row in short} == {"nine of ten are right"}
    assert all(len(row["validation_score"]) < 20 and row["validation_score"][-1] >= 0.9 for row in short)
    assert ", stopped (nine of ten are right)\n" in done
    assert "stopped" in next(line for line in done.splitlines() if line.lstrip().startswith("rank"))
    epochs = sorted(len(row["validation_score"]) for row in short)
    assert f" {len(short)} (epochs {epochs[0]} to {epochs[-1]})" in done
    # They can be trained again, drawn, exported and reused.
    assert "Verified: 8 jobs" in command_line.run("verify", "a", "--all", **stops).stdout
    for words in (("report",), ("plot", "curves"), ("leaderboard", "--metric", "mean-5"), ("export", "--to", "csv")):
        command_line.run(words[0], "a", *words[1:], **stops)
    with (command_line.folder / "a.csv").open(newline="") as file:
        exported = list(csv.DictReader(file))
    assert {row["stopped"] for row in exported if row["rate"] == "0.1"} == {"nine of ten are right"}
    assert {row["code"].partition(", files ")[0] for row in exported} == {"stops 1.0"}
    assert "reused 8" in command_line.run("sweep", *SWEEP, "--name", "b", **stops).stdout
    # A longer job does not go on from them.
    command_line.run("extend", "a", "--epochs", "30", **stops)
    longer = [row for row in command_line.rows("a") if row["options"] == short[0]["options"] | {"epochs": 30}]
    assert sorted(row["weights_sha256"] for row in longer) == sorted(row["weights_sha256"] for row in short)
    assert {len(row["validation_score"]) for row in longer} == {len(row["validation_score"]) for row in short}
