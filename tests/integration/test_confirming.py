"""Confirming the leaders of a sweep, by real workers."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.main import run
from orchestrator.commands.growing.confirm import confirm, plan_confirmation
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine, small
from worker.settings import Settings

SWEPT = small(learning_rates="0.01,0.03,0.05")


def rounds_of(command_line: CommandLine, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((command_line.sweep(name) / "sweep.json").read_text())["rounds"]
    return found


def test_the_leaders_are_trained_under_the_next_seeds_and_compared(command_line: CommandLine) -> None:
    # Given a finished sweep
    command_line.finished("a", *SWEPT)
    board = json.loads((command_line.sweep("a") / "leaderboard.json").read_text())["rows"]
    leaders = [standing["options"]["learning_rate"] for standing in board[:2]]
    # When its two leaders are confirmed
    done = command_line.run("confirm", "a", "--top", "2", "--seeds", "3", "--json")
    # Then they, and no others, were trained under the next seeds
    rows = command_line.rows("a")[6:]
    assert {(row["seed"], row["options"]["learning_rate"]) for row in rows} == {
        (seed, rate) for seed in (2, 3, 4) for rate in leaders
    }
    # And what is said of each is right.
    answer = json.loads(done.stdout)
    assert answer["confirmed"]["seeds"] == [2, 3, 4]
    assert answer["accounting"]["jobs"] == 12
    for standing, found in zip(board[:2], answer["confirmed"]["configurations"], strict=True):
        assert found["options"] == standing["options"]
        scores = [row["validation_score"][-1] for row in rows if standing["options"].items() <= row["options"].items()]
        assert found["fresh"]["mean"] == pytest.approx(statistics.mean(scores))
        assert found["before"]["mean"] == pytest.approx(standing["mean"])
        shrinkage = found["shrinkage"]
        assert shrinkage["mean"] == pytest.approx(found["before"]["mean"] - found["fresh"]["mean"])
        assert shrinkage["interval"]["low"] < shrinkage["mean"] < shrinkage["interval"]["high"]
    # The same command again trains nothing and says the same, as a table, too.
    again = command_line.run("confirm", "a", "--top", "2", "--seeds", "3", "--json")
    assert json.loads(again.stdout) == answer
    table = command_line.run("confirm", "a", "--top", "2", "--seeds", "2-4").stdout
    assert "The leaders under 3 fresh seeds (2-4): validation accuracy, in %" in table
    assert f"Under fresh seeds, learning rate {leaders[0]} has " in table
    # Other seeds confirm anew, those that lead now.
    command_line.run("confirm", "a", "--top", "1", "--seeds", "100,200")
    rounds = rounds_of(command_line, "a")
    assert [(each["kind"], each["seeds"]) for each in rounds] == [("confirm", [2, 3, 4]), ("confirm", [100, 200])]
    looks = json.loads((command_line.sweep("a") / "sweep.json").read_text())["looks"]
    assert [(look["command"], look["rows"]) for look in looks] == [("confirm", 6), ("confirm", 12)]
    # Without --top, fewer configurations than are confirmed by default are another confirmation.
    command_line.run("confirm", "a", "--seeds", "2")
    assert [len(each["configurations"]) for each in rounds_of(command_line, "a")][1:] == [1, 3]


@pytest.mark.slow(reason="a sweep of long jobs")
def test_a_confirmation_that_was_killed_goes_on_with_its_leaders(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a confirmation that is killed in the middle, on a cluster
    cluster.start_worker()
    broker = ("--broker", cluster.server.url)
    command_line.run("sweep", *small(epochs="20", limit="2000"), "--name", "a", *broker)
    command = ("confirm", "a", "--top", "1", "--seeds", "6", "--json", *broker)
    process = command_line.start(*command)
    command_line.wait_for_rows("a", 5, process)
    process.kill()
    process.communicate()
    assert len(command_line.rows("a")) < 10
    before = rounds_of(command_line, "a")
    # When it goes on
    answer = json.loads(command_line.run(*command).stdout)
    # Then it has the same leaders and seeds, and one row of each.
    assert rounds_of(command_line, "a") == before
    assert answer["confirmed"]["configurations"][0]["fresh"]["seeds"] == 6
    assert len(command_line.rows("a")) == len({row["job"] for row in command_line.rows("a")}) == 10


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--top", "0"], "--top is 0; allowed: an integer from 1 to 3, the number of configurations with a result"),
        (["--top", "4"], "--top is 4; allowed: an integer from 1 to 3"),
        (["--top", "-1"], "--top is '-1'; allowed: a positive integer"),
        (["--seeds", "0"], "--seeds is 0; allowed: an integer from 1 to"),
        (["--seeds", "1-5"], "--seeds is '1'; allowed: fresh seeds; the sweep has 0-1"),
        (["--seeds", "5-1"], "--seeds is '5-1'; allowed: integers from 0 to 4294967295"),
        (["--seeds", "99999999"], "the sweep is one of more than 100,000 jobs; allowed: fewer jobs"),
        (["--seeds", ""], "--seeds is ''; allowed: a positive integer"),
    ],
)
def test_bad_input_begins_nothing(
    command_line: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    command_line.finished("a", *SWEPT)
    monkeypatch.chdir(command_line.folder)
    before = (command_line.sweep("a") / "sweep.json").read_bytes()
    assert run(["confirm", "a", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert (command_line.sweep("a") / "sweep.json").read_bytes() == before


def test_a_sweep_without_results_or_in_the_middle_is_refused(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command_line.finished("a", *SWEPT)
    monkeypatch.chdir(command_line.folder)
    log = command_line.sweep("a") / "results.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:4]))
    assert run(["confirm", "a"]) == 2
    assert "NAME is a sweep of which 2 jobs have not ended" in capsys.readouterr().err
    log.write_text("")
    assert run(["confirm", "a"]) == 2
    assert "The sweep a has no result to confirm" in capsys.readouterr().err


def test_python_code_confirms_a_sweep(command_line: CommandLine, cache_dir: Path) -> None:
    command_line.finished("a", *SWEPT)
    folder = SweepFolder(command_line.folder / "runs", "a")
    result = confirm(plan_confirmation(folder, Settings(cache_dir=cache_dir), top=1, seeds=(7, 9), workers=1))
    assert result.seeds == (7, 9)
    assert [each.fresh.seeds for each in result.confirmed] == [2]
    assert result.sweep.complete
