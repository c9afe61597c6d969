"""Sweeps whose configurations a sampler chooses: begun, killed, resumed, watched, cancelled."""

import json
import signal
import sys
from typing import Any

import pytest

from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.in_process import InProcess
from tests.support.waiting import wait_for

SPACE = (
    "--learning-rates", "log:0.001..0.3", "--hidden", "16,8", "--hidden", "32,16", "--limit", "200", "--seeds", "0-1",
)  # fmt: skip
RANDOM = (*SPACE, "--epochs", "1", "--sampler", "random", "--samples", "4")
#: Ten batches of one configuration, whose two jobs take some tenths of a second.
OPTUNA = (*SPACE, "--epochs", "30", "--sampler", "optuna", "--samples", "10", "--sampler-batch", "1")


def drawn(command_line: CommandLine, name: str, output: str = "runs") -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = command_line.description(name, output)["specification"]["drawn"]
    return points


@pytest.mark.slow(reason="runs five sweeps")
def test_a_random_sweep_trains_what_its_seed_draws(command_line: CommandLine) -> None:
    # Given a sweep of configurations drawn at random
    done = command_line.run("sweep", *RANDOM, "--name", "a")
    assert "Sweep a: 8 jobs" in done.stdout
    first = drawn(command_line, "a")
    assert len(first) == 4
    # Its tables name what the sampler may vary, and so do those of a sweep of one configuration.
    one = command_line.run("sweep", *RANDOM[:-1], "1", "--name", "one")
    assert "rank   learning rate   hidden layers " in one.stdout
    # When its description is the specification of another one, with one more seed
    done = command_line.run("sweep", "--spec", "runs/a/sweep.json", "--seeds", "0-2", "--name", "b")
    # Then that has the same configurations, and takes what is trained already.
    assert "jobs 12, accepted 12, attempts 4, reused 8" in done.stdout
    assert drawn(command_line, "b") == first
    # Another seed draws others.
    command_line.run("sweep", "--spec", "runs/a/sweep.json", "--sampler-seed", "1", "--name", "c")
    assert drawn(command_line, "c") != first
    # A resumed sweep keeps what it drew, and can be given the same words again.
    command_line.run("sweep", *RANDOM, "--name", "a", "--resume")
    assert drawn(command_line, "a") == first
    changed = command_line.run("sweep", "--name", "a", "--resume", "--samples", "5", status=2)
    assert changed.stderr == "orchestrator: --samples is '5'; allowed: 4, as the sweep a began (or leave it out)\n"


@pytest.mark.slow(reason="three searches of ten batches")
def test_a_search_that_was_killed_asks_for_the_same_configurations(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a search by Optuna that nobody disturbed
    address = cluster.server.url
    cluster.start_worker()
    command_line.run("sweep", *OPTUNA, "--name", "whole", "--broker", address)
    whole = drawn(command_line, "whole")
    assert len(whole) == 10
    # When another one is killed in the middle, and resumed
    process = command_line.start("sweep", *OPTUNA, "--name", "a", "--broker", address, "--no-reuse")
    command_line.wait_for_rows("a", 7, process)
    command_line.kill(process)
    assert 4 <= len(drawn(command_line, "a")) < 10
    done = command_line.run("sweep", "--resume", "--name", "a", "--broker", address, "--no-reuse")
    # Then it has asked for the same, and ends with the same leaderboard.
    assert drawn(command_line, "a") == whole
    assert f"jobs {2 * len({json.dumps(point) for point in whole})}, accepted" in done.stdout
    assert command_line.board("a") == command_line.board("whole")


@pytest.mark.slow(reason="two searches of ten batches, one after another")
def test_a_search_whose_orchestrator_was_killed_goes_on_by_watch(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a search that is watched from two places, from one of them in its own folder
    address = cluster.server.url
    cluster.start_worker()
    process = command_line.begin(*OPTUNA, "--broker", address)
    watch = ("watch", "a", "--broker", address)
    watchers = [command_line.start(*watch, *more) for more in ((), ("--output", "elsewhere"))]
    command_line.wait_for_rows("a", 5, process)
    # When its orchestrator is killed
    command_line.kill(process)
    # Then the watchers draw the other configurations, both the same, and train no job twice.
    for watcher in watchers:
        command_line.end(watcher)
    assert len(drawn(command_line, "a")) == 10
    assert drawn(command_line, "a", "elsewhere") == drawn(command_line, "a")
    assert command_line.board("a", "elsewhere") == command_line.board("a")
    # The first orchestrator's description may be behind the cluster's: it catches up.
    resumed = command_line.run("sweep", "--resume", "--name", "a", "--broker", address)
    assert "attempts" in resumed.stdout


@pytest.mark.slow(reason="a search of ten batches")
def test_a_cancelled_search_draws_no_more(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a search of which two configurations are drawn
    address = cluster.server.url
    worker = cluster.start_worker()
    process = command_line.start("sweep", *OPTUNA, "--name", "a", "--broker", address)
    command_line.wait_for_rows("a", 2, process)
    wait_for(lambda: len(drawn(command_line, "a")) >= 2, "a second configuration")
    # When it is cancelled, before its worker ends another job
    worker.signal_all(signal.SIGSTOP)
    command_line.run("cancel", "a", "--broker", address)
    worker.signal_all(signal.SIGCONT)
    # Then it ends, says so, and has drawn no more.
    output = command_line.end(process, 1)
    count = len(drawn(command_line, "a"))
    assert count < 10
    assert f"{2 * count} jobs" in output or f"jobs {2 * count}" in output
    # It can be resumed.
    command_line.run("sweep", "--resume", "--name", "a", "--broker", address)
    assert len(drawn(command_line, "a")) == 10


def test_a_search_that_chooses_a_configuration_again_ends_with_fewer(command_line: CommandLine) -> None:
    words = ("sweep", "--learning-rates", "0.1,0.2", "--limit", "200", "--epochs", "1", "--seeds", "0-1")
    search = (*words, "--sampler", "optuna", "--samples", "4", "--sampler-batch", "1", "--name", "a")
    planned = command_line.run(*search, "--dry-run").stdout
    assert "a: 4 configurations, at most 8 jobs: 0 kept, 0 reused and at most 8 to train" in planned
    verdict = command_line.asked(*search)["verdict"]
    assert (len(drawn(command_line, "a")), len(command_line.rows("a"))) == (4, 4)
    # All that was drawn is recorded: the sweep is over, and stays so.
    assert verdict["state"] == "final"
    assert command_line.asked("leaderboard", "a")["verdict"] == verdict
    # One that has more to draw is not over, though all of its jobs have ended.
    for file, before, after in (
        ("sweep.json", '"samples": 4', '"samples": 5'),
        ("leaderboard.json", '"state": "final"', '"state": "so far"'),
    ):
        path = command_line.sweep("a") / file
        path.write_text(path.read_text().replace(before, after))
        assert [each["state"] for each in command_line.asked("list")["sweeps"]] == ["interrupted"]
    advised = "orchestrator sweep --resume --name a"
    assert f"To go on with the search: {advised}\n" in command_line.run("leaderboard", "a").stdout
    with SweepFolder(command_line.folder / "runs", "a").exclusive(prepare=False):
        assert advised not in command_line.run("leaderboard", "a").stdout
    assert command_line.run("watch", "a", status=1).stderr.endswith(f"go on with: {advised}\n")
    command_line.run("sweep", "--resume", "--name", "a")
    assert len(drawn(command_line, "a")) == 5


def test_without_optuna_its_sampler_is_refused_before_anything_begins(
    here: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    said = here.refused("sweep", *OPTUNA, "--name", "x")
    assert said.startswith("--sampler optuna needs the package optuna: pip install 'seedsweep[optuna]'")
    assert not here.runs.exists()
