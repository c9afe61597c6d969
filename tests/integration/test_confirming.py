"""Confirming the leaders of a sweep, by real workers."""

from __future__ import annotations

import json
import statistics

import pytest

from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine, small

SWEPT = small(learning_rates="0.01,0.03,0.05")


def test_the_leaders_are_trained_under_the_next_seeds_and_compared(command_line: CommandLine) -> None:
    # Given a finished sweep
    command_line.finished("a", *SWEPT)
    board = command_line.board("a")["rows"]
    leaders = [standing["options"]["learning_rate"] for standing in board[:2]]
    # When its two leaders are confirmed
    done = command_line.run("confirm", "a", "--top", "2", "--fresh", "3", "--json")
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
    command = ("confirm", "a", "--top", "1", "--fresh", "6", "--json", *broker)
    process = command_line.start(*command)
    command_line.wait_for_rows("a", 5, process)
    command_line.kill(process)
    assert len(command_line.rows("a")) < 10
    before = command_line.description("a")["rounds"]
    # When it goes on
    answer = json.loads(command_line.run(*command).stdout)
    # Then it has the same leaders and seeds, and one row of each.
    assert command_line.description("a")["rounds"] == before
    assert answer["confirmed"]["configurations"][0]["fresh"]["seeds"] == 6
    assert len(command_line.rows("a")) == len({row["job"] for row in command_line.rows("a")}) == 10


def test_a_sweep_is_confirmed_again_and_again(command_line: CommandLine) -> None:
    command_line.finished("a", *SWEPT)
    # As many configurations under as many seeds, or under these, are the same confirmation; others are another one.
    for words in (("--seeds", "7,9"), ("--fresh", "2"), ("--seeds", "7,9"), ("--seeds", "20,21")):
        command_line.run("confirm", "a", "--top", "1", *words)
    manifest = command_line.description("a")
    rounds = [(each["kind"], each["seeds"]) for each in manifest["rounds"]]
    assert rounds == [("confirm", [7, 9]), ("confirm", [20, 21])]
    # Who confirms has seen the results before.
    assert [(look["command"], look["rows"]) for look in manifest["looks"]] == [("confirm", 6), ("confirm", 8)]
    # Without a number, three are confirmed, under 20 seeds.
    answer = json.loads(command_line.run("confirm", "a", "--json").stdout)["confirmed"]
    assert (answer["seeds"], len(answer["configurations"])) == (list(range(22, 42)), 3)
