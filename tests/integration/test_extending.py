"""Extending and confirming a sweep: what is added is what a straight sweep trains, also after a kill."""

import shutil
import statistics
from typing import Any

import pytest

from orchestrator.cluster.registry import Registry
from orchestrator.errors import SweepExistsError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.rounds import Round
from tests.support.cluster import Cluster
from tests.support.command_line import SMALL, CommandLine, small
from tests.support.sweeps import manifest_of, sweep_of
from tests.support.waiting import wait_for

#: Jobs of a second, so that a sweep can be killed in the middle.
LONG = small(seeds="0-1", epochs="20", limit="2000")


def weights_of(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], str]:
    """Return the hash of each job's weights, by seed, learning rate and epochs."""
    assert len({row["job"] for row in rows}) == len(rows)
    return {
        (row["seed"], row["options"]["learning_rate"], row["options"]["epochs"]): row["weights_sha256"] for row in rows
    }


def test_further_seeds_and_values_end_as_one_sweep_of_all_of_them(command_line: CommandLine) -> None:
    # Given a finished sweep
    command_line.finished("a", *SMALL)
    # When it gets seeds, and then a value
    command_line.run("extend", "a", "--seeds", "2-3")
    done = command_line.run("extend", "a", "--learning-rates", "0.05")
    # Then it has the rows of a sweep that had all of them from the beginning
    assert "jobs 12, accepted 12, attempts 12, reused 0" in done.stdout
    command_line.finished("b", *small(seeds="0-3", learning_rates="0.01,0.03,0.05"))
    extended, straight = (command_line.board(name) for name in ("a", "b"))
    assert extended["common"] == straight["common"]
    assert [each["jobs"] for each in extended["rows"]] == [each["jobs"] for each in straight["rows"]]
    # (but for what follows from the looks: intervals that stay valid)
    assert {each["method"] for each in straight["rows"]} == {"t, chosen", "t"}
    assert {each["method"] for each in extended["rows"]} == {"confidence sequence, chosen", "confidence sequence"}
    # And it knows what had been seen before each of the rounds.
    manifest = command_line.description("a")
    assert [each["kind"] for each in manifest["rounds"]] == ["extend", "extend"]
    assert manifest["looks"] == [
        {"command": "extend", "seeds": 2, "rows": 4},
        {"command": "extend", "seeds": 4, "rows": 8},
    ]
    assert manifest["jobs"] == [row["job"] for row in command_line.rows("a")]
    # The same again, in the words that are for every trainer, goes on with its round, and adds none.
    again = command_line.asked("extend", "a", "--grid", "learning_rate=0.05")
    assert again["accounting"]["jobs"] == 12
    assert len(command_line.description("a")["rounds"]) == 2


def test_more_epochs_go_on_from_stored_weights_to_the_bits_of_a_straight_run(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a finished sweep, of which one job's weights were removed, and a cluster that does not know it
    command_line.finished("a", *SMALL)
    lost = command_line.rows("a")[0]["weights_sha256"]
    (command_line.sweep("a") / "weights" / f"{lost}.safetensors").unlink()
    worker = cluster.start_worker()
    # When it is trained longer
    done = command_line.run("extend", "a", "--epochs", "5", "--broker", cluster.server.url)
    # Then three jobs went on from what they had, and one began again
    assert (
        "4 jobs of more epochs: 3 from stored weights, 1 from the first epoch, because their weights were not kept\n"
        in done.stdout
    )
    assert worker.log.read_text().count("Resumes after epoch 2") == 3
    # And all have the weights and the metrics of a straight run, beside the earlier rows.
    command_line.finished("straight", *small(epochs="2,5"))
    found, expected = (
        {
            row["job"]: (row["weights_sha256"], row["validation_score"], row.get("correct"))
            for row in command_line.rows(name)
        }
        for name in ("a", "straight")
    )
    assert found == expected
    assert len(found) == 8
    # And a verification, which trains from the first epoch, agrees.
    command_line.run("verify", "a", "epochs=5", "--all")
    # Without reuse, nothing goes on.
    command_line.run("extend", "a", "--epochs", "6", "--no-reuse", "--broker", cluster.server.url)
    assert worker.log.read_text().count("Resumes after epoch") == 3


EXTENSION = ("extend", "a", "--seeds", "2-3", "--epochs", "30")
CONFIRMATION = ("confirm", "a", "--top", "1", "--fresh", "6")
RESUMPTION = ("sweep", "--resume", "--name", "a")


@pytest.mark.parametrize(
    ("command", "again", "jobs"),
    [(EXTENSION, RESUMPTION, 16), (EXTENSION, EXTENSION, 16), (CONFIRMATION, CONFIRMATION, 10)],
)
@pytest.mark.slow(reason="two sweeps of long jobs")
def test_a_round_that_was_killed_goes_on_to_the_same_rows(
    command_line: CommandLine, cluster: Cluster, command: tuple[str, ...], again: tuple[str, ...], jobs: int
) -> None:
    # Given a finished sweep, and a command that is killed in the middle of its round
    cluster.start_worker()
    broker = ("--broker", cluster.server.url)
    command_line.run("sweep", *LONG, "--name", "a", *broker)
    process = command_line.start(*command, *broker)
    command_line.wait_for_rows("a", 6, process)
    command_line.kill(process)
    assert len(command_line.rows("a")) < jobs
    rounds = command_line.description("a")["rounds"]
    # When it goes on
    command_line.run(*again, *broker)
    # Then it has the same round, and the rows of a sweep that nobody disturbed.
    assert command_line.description("a")["rounds"] == rounds
    command_line.finished("whole", *small(seeds="0-7", epochs="20,30", limit="2000"))
    found = weights_of(command_line.rows("a"))
    assert len(found) == jobs
    assert found.items() <= weights_of(command_line.rows("whole")).items()


def test_what_is_added_on_a_cluster_is_collected_elsewhere_and_what_is_undone_ends_everywhere(
    command_line: CommandLine, cluster: Cluster
) -> None:
    worker = cluster.start_worker()
    broker, registry = ("--broker", cluster.server.url), Registry(cluster.store())
    command_line.run("sweep", *SMALL, "--name", "a", *broker)
    # Given a watcher elsewhere, and a sweep that is extended after it has ended
    command_line.run("watch", "a", "--output", "elsewhere", *broker)
    assert len(command_line.rows("a", "elsewhere")) == 4
    command_line.run("extend", "a", "--seeds", "2", *broker)
    # Then watching it again collects what was added.
    command_line.run("watch", "a", "--output", "elsewhere", *broker)
    assert len(command_line.rows("a", "elsewhere")) == 6
    # When it is extended once more, and this is undone from elsewhere
    extending = command_line.start("extend", "a", "--epochs", "5000", *broker)
    wait_for(lambda: "Resumes after epoch" in worker.log.read_text(), "a job of the round")
    # (while it runs, nobody else extends it, and who tries learns by whom)
    refused = command_line.run("extend", "a", "--seeds", "20", status=2).stderr
    assert f"Another process is running the sweep a in runs/a: process {extending.pid} on " in refused
    for copy in ("copy", "late"):
        shutil.copytree(command_line.sweep("a"), command_line.sweep("a", copy), ignore=shutil.ignore_patterns("*.tmp"))
    told = command_line.run("undo", "a", "--output", "elsewhere", *broker).stdout
    assert told.startswith("Withdrawn from a: 6 jobs of extend, 0 rows kept for reuse.")
    # Then the session ends with the rows from before, and the cluster knows that the sweep has ended;
    told = command_line.end(extending)
    assert "Another session has withdrawn 6 jobs" in told
    assert "jobs 6, accepted 6" in told
    assert registry.finished("a")
    # who withdraws it from an old copy of the folder withdraws no other one;
    assert "6 jobs of extend, 0 rows" in command_line.run("undo", "a", "--output", "late", *broker).stdout
    # and the session of an old copy of the folder does not bring the round back.
    assert "jobs 6, accepted 6" in command_line.run("sweep", "--resume", "--output", "copy", *broker).stdout
    outputs = ("runs", "elsewhere", "copy", "late")
    manifests = [SweepFolder(command_line.folder / each, "a").manifest() for each in outputs]
    assert {(len(each.jobs), len(each.withdrawn)) for each in (registry.manifest("a"), *manifests) if each} == {(6, 1)}


def test_a_sweep_that_was_extended_in_two_ways_is_refused(shared_cluster: Cluster) -> None:
    registry = Registry(shared_cluster.store())
    first = manifest_of(sweep_of(seeds=(0,), learning_rates=(0.1,), epochs=1))
    one, other = (first.with_round(Round(kind="extend", seeds=(seed,))) for seed in (1, 2))
    assert registry.register(first) == first
    assert registry.register(one) == one
    # Who does not know of the round yet, learns of it.
    assert registry.register(first) == one
    with pytest.raises(SweepExistsError, match="extended the sweep a on the cluster in another way"):
        registry.register(other)
    assert registry.manifest("a") == one
    longer = one.with_round(Round(kind="extend", seeds=(2,)))
    assert registry.register(longer) == longer
    # Who withdraws a round that is no longer the last one is refused; who does not know of the withdrawal learns it.
    with pytest.raises(SweepExistsError, match="in another way"):
        registry.register(one.undone())
    assert registry.manifest("a") == longer
    for each in (longer.undone(), longer, first):
        assert registry.register(each) == registry.manifest("a") == longer.undone()
    with pytest.raises(SweepExistsError, match="in another way"):
        registry.register(longer.with_round(Round(kind="extend", seeds=(3,))))


SWEPT = small(learning_rates="0.01,0.03,0.05")


def test_the_leaders_are_trained_under_the_next_seeds_and_compared(command_line: CommandLine) -> None:
    # Given a finished sweep
    command_line.finished("a", *SWEPT)
    board = command_line.board("a")["rows"]
    leaders = [standing["options"]["learning_rate"] for standing in board[:2]]
    # When its two leaders are confirmed
    answer = command_line.asked("confirm", "a", "--top", "2", "--fresh", "3")
    # Then they, and no others, were trained under the next seeds
    rows = command_line.rows("a")[6:]
    assert {(row["seed"], row["options"]["learning_rate"]) for row in rows} == {
        (seed, rate) for seed in (2, 3, 4) for rate in leaders
    }
    # And what is said of each is right.
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
    # What is withdrawn is said, and its seeds are not fresh again: the same command takes it back.
    command_line.run("undo", "a")
    assert "1 round withdrawn (seeds 20-21)." in command_line.run("leaderboard", "a").stdout
    refused = command_line.run("confirm", "a", "--top", "1", "--seeds", "21,22", status=2).stderr
    assert "--seeds is '21-22'; allowed: fresh seeds; the sweep has, or has had, 0-1,7,9,20-21" in refused
    again = command_line.run("confirm", "a", "--top", "1", "--seeds", "20,21").stdout
    assert "2 rows taken back from what undo withdrew" in again
    assert "round withdrawn" not in again
    # So is one that added no seeds.
    command_line.run("extend", "a", "--learning-rates", "0.2")
    command_line.run("undo", "a")
    assert "1 round withdrawn." in command_line.run("leaderboard", "a").stdout
    # Without a number, three are confirmed, under 20 seeds.
    planned = command_line.run("confirm", "a", "--dry-run").stdout
    assert planned.startswith("a: 3 configurations, 70 jobs: 10 kept, 0 reused and 60 to train; ")
