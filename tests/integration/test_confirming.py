"""Confirming the leaders of a sweep, by real workers."""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.main import run
from orchestrator.commands.confirm import confirmed, plan_confirmation
from orchestrator.commands.sweep import train
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support import launcher
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
    # The same seeds again train nothing and say the same, as a table.
    table = command_line.run("confirm", "a", "--top", "2", "--seeds", "2-4").stdout
    assert "The leaders under 3 fresh seeds (2-4): validation accuracy, in %" in table
    assert f"Under fresh seeds, learning rate {leaders[0]} has " in table
    assert len(command_line.rows("a")) == 12


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


#: Words after `confirm a`, and the sentence.
BAD = {
    "--top 0": "--top is '0'; allowed: an integer from 1 to 100000",
    "--top 4": "--top is 4; allowed: an integer from 1 to 3, the number of configurations with a result",
    "--top -1": "--top is '-1'; allowed: an integer from 1 to",
    "--seeds 0": "--seeds is 0; allowed: an integer from 1 to",
    "--seeds 1-5": "--seeds is '1'; allowed: fresh seeds; the sweep has 0-1",
    "--seeds 5-1": "--seeds is '5-1'; allowed: integers from 0 to 4294967295",
    "--seeds 99999999": "--seeds is 99999999; allowed: an integer from 1 to 100000, or seeds such as 100-119",
    "--seeds 99999": "the sweep is one of more than 100,000 jobs; allowed: fewer jobs",
    "--seeds=": "--seeds is ''; allowed: integers from 0 to 4294967295",
}


def test_bad_input_begins_nothing(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(words: str) -> str:
        assert run(["confirm", "a", *words.split()]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    command_line.finished("a", *SWEPT)
    monkeypatch.chdir(command_line.folder)
    before = (command_line.sweep("a") / "sweep.json").read_bytes()
    for words, sentence in BAD.items():
        assert sentence in refused(words), words
    # A sweep in the middle, or without results
    log = command_line.sweep("a") / "results.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:4]))
    assert "NAME is a sweep of which 2 jobs have not ended" in refused("")
    log.write_text("")
    assert "The sweep a has no result to confirm" in refused("")
    assert (command_line.sweep("a") / "sweep.json").read_bytes() == before


def test_python_code_confirms_a_sweep_again_and_again(
    command_line: CommandLine, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", launcher.Popen)
    command_line.finished("a", *SWEPT)
    folder, settings = SweepFolder(command_line.folder / "runs", "a"), Settings(cache_dir=cache_dir)
    with plan_confirmation(folder, settings, top=1, seeds=(7, 9), workers=1).begin() as session:
        result = confirmed(session, train(session))
    assert result.seeds == (7, 9)
    assert [each.fresh.seeds for each in result.confirmed] == [2]
    assert result.sweep.accounting.complete

    def planned(**wanted: Any) -> tuple[tuple[int, ...], int] | None:
        plan = plan_confirmation(folder, settings, **wanted)
        further = plan.make_round(folder.manifest(), folder.rows())
        return None if further is None else (further.seeds, len(further.configurations))

    # As many configurations under as many seeds, or under these, are the same confirmation; others are another one.
    assert planned(top=1, seeds=2) is planned(top=1, seeds=(7, 9)) is None
    assert planned(top=1, seeds=(100, 200)) == ((100, 200), 1)
    assert planned(top=2, seeds=2) == ((10, 11), 2)
    # Without a number, three are confirmed, under 20 seeds.
    assert planned(seeds=2) == ((10, 11), 3)
    assert planned() == (tuple(range(10, 30)), 3)
    # Who confirms has seen the results before.
    with plan_confirmation(folder, settings, top=1, seeds=(20,), workers=1).begin() as session:
        train(session)
    manifest = folder.manifest()
    assert [(each.kind, each.seeds) for each in manifest.rounds] == [("confirm", (7, 9)), ("confirm", (20,))]
    assert [(look.command, look.rows) for look in manifest.looks] == [("confirm", 6), ("confirm", 8)]
