"""Sweeps whose configurations a sampler chooses: begun, killed, resumed, watched, cancelled."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.main import run
from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.waiting import wait_for

SPACE = (
    "--learning-rates", "log:0.001..0.3", "--hidden", "16,8", "--hidden", "32,16", "--limit", "200", "--seeds", "0-1",
)  # fmt: skip
RANDOM = (*SPACE, "--epochs", "1", "--sampler", "random", "--samples", "4")
#: Ten batches of one configuration, whose two jobs take some tenths of a second.
OPTUNA = (*SPACE, "--epochs", "30", "--sampler", "optuna", "--samples", "10", "--sampler-batch", "1")


def specification(command_line: CommandLine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((command_line.sweep(name) / "sweep.json").read_text())["specification"]
    return found


def drawn(command_line: CommandLine, name: str) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = specification(command_line, name)["drawn"]
    return points


def kill(process: Any) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)


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
    kill(process)
    assert 4 <= len(drawn(command_line, "a")) < 10
    done = command_line.run("sweep", "--resume", "--name", "a", "--broker", address)
    # Then it has asked for the same, and ends with the same leaderboard.
    assert drawn(command_line, "a") == whole
    assert f"jobs {2 * len({json.dumps(point) for point in whole})}, accepted" in done.stdout
    leaderboards = [(command_line.sweep(name) / "leaderboard.json").read_bytes() for name in ("whole", "a")]
    assert leaderboards[0] == leaderboards[1]


@pytest.mark.slow(reason="two searches of ten batches, one after another")
def test_a_search_whose_orchestrator_was_killed_goes_on_by_watch(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a search that is watched from two places, from one of them in its own folder
    address = cluster.server.url
    cluster.start_worker()
    process = command_line.start("sweep", *OPTUNA, "--name", "a", "--broker", address)
    command_line.wait_for_rows("a", 1, process)
    watch = ("watch", "a", "--broker", address)
    watchers = [command_line.start(*watch, *more) for more in ((), ("--output", "elsewhere"))]
    command_line.wait_for_rows("a", 5, process)
    # When its orchestrator is killed
    kill(process)
    outputs = [watcher.communicate(timeout=120)[0] for watcher in watchers]
    # Then the watchers draw the other configurations, both the same, and train no job twice.
    assert [watcher.returncode for watcher in watchers] == [0, 0], outputs
    assert len(drawn(command_line, "a")) == 10
    elsewhere = command_line.folder / "elsewhere" / "a"
    assert json.loads((elsewhere / "sweep.json").read_text())["specification"]["drawn"] == drawn(command_line, "a")
    assert (elsewhere / "leaderboard.json").read_bytes() == (command_line.sweep("a") / "leaderboard.json").read_bytes()
    # The first orchestrator's description may be behind the cluster's: it catches up.
    resumed = command_line.run("sweep", "--resume", "--name", "a", "--broker", address)
    assert "attempts" in resumed.stdout


@pytest.mark.slow(reason="a search of six batches, which is watched")
def test_who_looks_on_sees_the_jobs_of_later_batches(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a search, and a watcher of the same folder
    address = cluster.server.url
    cluster.start_worker()
    process = command_line.start("sweep", *OPTUNA[:-3], "6", *OPTUNA[-2:], "--name", "a", "--broker", address)
    command_line.wait_for_rows("a", 1, process)
    watcher = command_line.start("watch", "a", "--broker", address)
    # When both have ended
    output, _ = process.communicate(timeout=120)
    seen = watcher.communicate(timeout=60)[0].split("Watching")[0]
    # Then the watcher has shown, while it looked on, what the search drew meanwhile.
    assert (process.returncode, watcher.returncode) == (0, 0), output + seen
    assert "looking on" in seen
    assert f"/{len(command_line.rows('a'))}] seed 1, " in seen


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
    output = process.communicate(timeout=60)[0]
    # Then it ends, says so, and has drawn no more.
    assert process.returncode == 1, output
    count = len(drawn(command_line, "a"))
    assert count < 10
    assert f"{2 * count} jobs" in output or f"jobs {2 * count}" in output
    # It can be resumed.
    command_line.run("sweep", "--resume", "--name", "a", "--broker", address)
    assert len(drawn(command_line, "a")) == 10


#: Words after `sweep`, and the sentence.
REFUSED = {
    "--samples 3": "--sampler is missing; allowed: random or optuna, because samples is given",
    "--sampler random": "--samples is missing; allowed: an integer from 1 to 10000, because sampler is given",
    "--sampler grid --samples 3": "--sampler is 'grid'; allowed: random or optuna",
    "--sampler random --samples 0": "--samples is '0'; allowed: an integer from 1 to 10000",
    "--sampler random --samples 5": "--samples is 5; allowed: at most 4, the number of configurations that",
    "--sampler random --samples 9999 --seeds 0-99": "the sweep is one of 999,900 jobs; allowed: at most 100,000 jobs",
    "--sampler random --samples 2 --learning-rates 0.1": "--sampler is 'random'; allowed: an option that",
    "--sampler random --samples 2 --sampler-batch 2": "--sampler-batch is 2; allowed: only with the",
    "--learning-rates log:0.1..1": "--learning-rates is 'log:0.1..1'; allowed: in a grid, a range with a number of",
    "--sampler random --samples 2 --learning-rates log:0.1..1 --learning-rates 2":
        "--learning-rates is log:0.1..1,2.0; allowed: either values, or one range",
    "--sampler random --samples 2 --epochs linear:0.5..2": "--epochs is 'linear:0.5..2'; allowed: ",
    "--sampler optuna --samples 9 --rule backprop,notebook --loss cross_entropy,sum_of_squares":
        "--loss is sum_of_squares; allowed: cross_entropy together with rule notebook, whose update has no loss",
}  # fmt: skip


def test_what_a_sampler_cannot_do_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, sentence in REFUSED.items():
        assert run(["sweep", *words.split(), "--name", "x"]) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_without_optuna_its_sampler_is_refused_before_anything_begins(command_line: CommandLine) -> None:
    # Given an environment in which Optuna cannot be imported
    (command_line.folder / "hide").mkdir()
    (command_line.folder / "hide" / "optuna.py").write_text("raise ImportError\n")
    done = command_line.run("sweep", *OPTUNA, "--name", "x", status=2, PYTHONPATH=str(command_line.folder / "hide"))
    assert done.stderr.startswith(
        "orchestrator: --sampler optuna needs the package Optuna: pip install 'seedsweep[optuna]'"
    )
    assert len(done.stderr.splitlines()) == 1
    assert not (command_line.folder / "runs").exists()
