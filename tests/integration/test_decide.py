"""`orchestrator decide` with real workers: its answers, its exit statuses, and what it does when it is disturbed."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from nn.errors import InvalidInputError
from orchestrator.analysis.race.course import Terms
from orchestrator.cli.main import run
from orchestrator.commands.decide import decide, plan_decide
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.specification import MAX_JOBS
from tests.support import launcher
from tests.support.cluster import Cluster
from tests.support.command_line import QUICK, CommandLine
from tests.support.sweeps import manifest_of, sweep_of
from tests.support.waiting import wait_for
from worker.errors import TooManyAttemptsError
from worker.settings import Settings

#: A rate that does not get far in ten epochs, and two that are as good as each other.
SWEEP = ("--seeds", "0-2", "--learning-rates", "0.001,0.04,0.041", "--epochs", "10", "--limit", "500")


def looks(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.startswith("Look at ")]


def seeds_by_rate(command_line: CommandLine, name: str) -> dict[float, int]:
    counts: dict[float, int] = {}
    for row in command_line.rows(name):
        rate = row["options"]["learning_rate"]
        counts[rate] = counts.get(rate, 0) + 1
    return counts


def test_a_race_ends_with_one_configuration(command_line: CommandLine) -> None:
    # Given a sweep of three seeds
    command_line.finished("a", *SWEEP)
    # When one of the rates is beaten by far, and nobody minds a difference of a point between the others
    done = command_line.run("decide", "a", "--within", "0.01", "--budget", "50")
    # Then the race trained two more seeds of each, said what it takes, and what it did.
    assert "The next look, at 5 seeds, takes 6 jobs; at most 50 are left in the budget" in done.stdout
    (look,) = looks(done.stdout)
    assert "learning rate 0.001 leaves, beaten; 2 of 3 configurations may be the best" in look
    assert "All 3 configurations at 5 seeds are 15 jobs, of which the race did without 0\n" in done.stdout
    *_, answer = done.stdout.rstrip("\n").split("\n")
    assert answer.startswith("Use learning rate 0.0")
    assert "no configuration is better by more than 1 points, decided at 5 seeds" in answer
    assert command_line.nothing_is_left()

    # When the same is asked again, then the answer is the same, and nothing is trained.
    again = command_line.run("decide", "a", "--within", "0.01", "--budget", "50", "--json")
    assert again.stderr.count("[") == 0
    answered = json.loads(again.stdout)
    assert answered["verdict"]["sentence"] == answer
    assert answered["verdict"]["decided"]
    assert (answered["race"]["ended"], answered["race"]["spent"], answered["session"]["jobs"]) == ("within", 6, 0)
    assert answered["race"]["looks"][0]["beaten"] == [{"learning_rate": 0.001}]
    assert answered["accounting"]["accepted"] == 15
    # The contenders of its table are those of the race.
    contenders = [each["options"] for each in answered["rows"] if each["contender"]]
    assert contenders == answered["verdict"]["contenders"] or contenders[::-1] == answered["verdict"]["contenders"]
    # The sweep records that somebody had seen its results before.
    description = json.loads((command_line.sweep("a") / "sweep.json").read_text())
    assert description["looks"] == [{"command": "decide", "seeds": 3, "rows": 9}]
    assert [each["kind"] for each in description["rounds"]] == ["decide"]


@pytest.mark.slow(reason="five races, four of which are killed")
def test_a_race_that_is_killed_makes_the_same_decisions(command_line: CommandLine) -> None:
    # Given a race that nobody disturbed, and that ended with its budget
    terms = ("--within", "0.00001", "--budget", "40")
    command_line.finished("a", *SWEEP)
    shutil.copytree(command_line.sweep("a"), command_line.folder / "other" / "a")
    whole = command_line.run("decide", "a", *terms, status=1)
    assert len(looks(whole.stdout)) == 3
    assert seeds_by_rate(command_line, "a") == {0.001: 5, 0.04: 20, 0.041: 20}
    # When another one is killed again and again, in a folder of its own, so that it takes no results of the first one
    shutil.move(command_line.sweep("a"), command_line.folder / "whole")
    shutil.move(command_line.folder / "other" / "a", command_line.sweep("a"))
    for rows in (10, 16, 24, 38):
        process = command_line.start("decide", "a", *terms)
        command_line.wait_for_rows("a", rows, process)
        process.kill()
        process.wait(timeout=30)
    done = command_line.run("decide", "a", *terms, status=1)
    # Then it makes the same decisions for the same reasons, and no job has two rows.
    assert looks(done.stdout) == looks(whole.stdout)
    assert done.stdout.rstrip("\n").split("\n")[-1] == whole.stdout.rstrip("\n").split("\n")[-1]
    board = "leaderboard.json"
    assert (command_line.sweep("a") / board).read_bytes() == (command_line.folder / "whole" / board).read_bytes()
    wait_for(command_line.nothing_is_left, "the end of the killed clusters")
    # A larger budget goes on from there.
    more = command_line.run("decide", "a", "--within", "0.003", "--budget", "80")
    assert looks(more.stdout) == looks(whole.stdout)[: len(looks(more.stdout))]


def test_a_race_whose_cluster_fails_ends_with_status_3_and_goes_on_later(command_line: CommandLine) -> None:
    # Given a race whose worker is killed
    command_line.finished("a", *SWEEP)
    words = ("decide", "a", "--within", "0.0001", "--budget", "17")
    process = command_line.start(*words, "--workers", "1")
    command_line.wait_for_rows("a", 10, process)
    (worker, *_) = sorted(command_line.cluster_processes("celery"), key=psutil.Process.create_time)
    worker.kill()
    # Then it says so, keeps what it has, and says how to go on.
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    assert "The embedded worker was ended by SIGKILL" in output
    assert "go on with: orchestrator decide a --within 0.0001 --budget 17" in output
    assert "Traceback" not in output
    kept = len(command_line.rows("a"))
    done = command_line.run(*words, status=1)
    assert len(looks(done.stdout)) == 2
    assert kept >= 10
    # 6 jobs up to the first look, and 10 up to the second one.
    assert seeds_by_rate(command_line, "a") == {0.001: 5, 0.04: 10, 0.041: 10}
    assert "the next look takes 20 further jobs, and 1 of 17 are left in the budget" in done.stdout


def test_a_sweep_that_another_process_works_on_is_refused_and_a_cluster_that_does_not_answer_is_status_3(
    command_line: CommandLine,
) -> None:
    command_line.finished("a", *SWEEP)
    words = ("decide", "a", "--within", "0.01", "--budget", "9")
    with SweepFolder(command_line.folder / "runs", "a").exclusive():
        done = command_line.run(*words, status=2)
    assert "Another process is running the sweep a in runs/a: process " in done.stderr
    address = "redis+socket:///no/such.sock"
    done = command_line.run(*words, "--broker", address, status=3)
    assert done.stderr.startswith(f"orchestrator: No Redis server answers at {address}")


def test_failed_jobs_are_left_out_and_a_cancelled_race_ends(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a race on a cluster without workers, of which a job fails and of which the sweep is cancelled
    address = cluster.server.url
    command_line.finished("a", *SWEEP)
    words = ("decide", "a", "--within", "0.01", "--budget", "6", "--broker", address)
    process = command_line.start(*words)
    wait_for(lambda: cluster.server.client().llen("seedsweep") == 6, "six queued jobs")
    *_, failed = json.loads((command_line.sweep("a") / "sweep.json").read_text())["jobs"]
    cluster.app.backend.store_result(failed, TooManyAttemptsError("it took its worker down 3 times"), "FAILURE")
    command_line.wait_for_rows("a", 10, process)
    command_line.run("cancel", "a", "--broker", address)
    # Then it has no answer.
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert output.rstrip("\n").endswith("Undecided: the sweep was cancelled before the first look.")
    # When it goes on with a worker, then the cancelled jobs are trained, and the failed one is left out.
    cluster.start_worker()
    done = command_line.run(*words)
    assert "failed 1, cancelled 0" in done.stdout
    assert len(looks(done.stdout)) == 1


@pytest.mark.slow(reason="a race and an extension, which wait for one worker")
def test_what_another_session_adds_to_the_sweep_changes_no_decision(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a race on a cluster, and somebody who extends the same sweep from another folder meanwhile
    address = cluster.server.url
    command_line.finished("a", *SWEEP)
    shutil.copytree(command_line.sweep("a"), command_line.folder / "elsewhere" / "a")
    race = command_line.start("decide", "a", "--within", "0.01", "--budget", "6", "--broker", address)
    wait_for(lambda: cluster.server.client().llen("seedsweep") == 6, "the six jobs of the race")
    words = ("--seeds", "50", "--output", "elsewhere", "--broker", address)
    extension = command_line.start("extend", "a", *words)
    wait_for(lambda: cluster.server.client().llen("seedsweep") == 9, "the three jobs of the extension")
    # When a worker comes, then both end with all jobs, and the race looked at the seeds that it had asked for.
    cluster.start_worker()
    outputs = [process.communicate(timeout=120)[0] for process in (race, extension)]
    assert (race.returncode, extension.returncode) == (0, 0), outputs
    assert "decided at 5 seeds" in outputs[0].rstrip("\n").split("\n")[-1]
    for folder in ("runs", "elsewhere"):
        lines = (command_line.folder / folder / "a" / "results.jsonl").read_text().splitlines()
        assert sorted({json.loads(line)["seed"] for line in lines}) == [0, 1, 2, 3, 4, 50]


#: Words after `decide`, and the sentence.
BAD = {
    "a --within 0 --budget 9": "--within is '0'; allowed: a number above 0, in the unit of the metric",
    "a --within -0.1 --budget 9": "--within is '-0.1'; allowed: a number above 0",
    "a --within nan --budget 9": "--within is 'nan'; allowed: a number above 0",
    "a --within 1e999 --budget 9": "--within is '1e999'; allowed: a number above 0",
    "a --within 1 --budget 9": "--within is 1.0; allowed: a number above 0 and below 1, because validation",
    "a --within 0.1 --budget 0": "--budget is '0'; allowed: an integer from 1 to 100000",
    "a --within 0.1 --budget -5": "--budget is '-5'; allowed: an integer from 1 to 100000",
    "a --within 0.1 --budget 1.5": "--budget is '1.5'; allowed: an integer from 1 to 100000",
    "a --within 0.1 --budget 99999999999": "--budget is '99999999999'; allowed: an integer from 1 to",
    "a --within 0.1 --budget 100000": f"--budget is 100000; allowed: an integer from 1 to {MAX_JOBS - 9}",
    "a --within 0.1": "Missing option '--budget'",
    "none --within 0.1 --budget 9": "There is no sweep named none in runs",
    "../a --within 0.1 --budget 9": "NAME is '../a'; allowed: up to 100 letters",
}


def test_bad_terms_are_one_sentence_each_and_begin_nothing(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache_dir: Path
) -> None:
    command_line.finished("a", *SWEEP)
    monkeypatch.chdir(command_line.folder)
    monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(cache_dir))
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    before = (command_line.sweep("a") / "sweep.json").read_bytes()
    for words, sentence in BAD.items():
        assert run(["decide", *words.split()]) == 2
        output, error = capsys.readouterr()
        assert (output, error.count("\n")) == ("", 1)
        assert error.startswith(f"orchestrator: {sentence}")
    assert (command_line.sweep("a") / "sweep.json").read_bytes() == before


def test_a_sweep_with_nothing_to_decide_or_too_much_to_train_is_refused(
    command_line: CommandLine, cache_dir: Path
) -> None:
    settings = Settings(cache_dir=cache_dir)
    command_line.finished("one", *QUICK)
    with pytest.raises(InvalidInputError, match="a sweep of at least two configurations; this one has one"):
        plan_decide(SweepFolder(command_line.folder / "runs", "one"), 0.01, 9, settings)
    # Given a sweep that was killed before its first result
    command_line.finished("a", *SWEEP)
    folder = SweepFolder(command_line.folder / "runs", "a")
    (folder.path / "results.jsonl").unlink()
    with pytest.raises(InvalidInputError, match=r"at least 9, because so many jobs of the sweep a have no result yet"):
        plan_decide(folder, 0.01, 8, settings)
    assert plan_decide(folder, 0.01, 9, settings).resuming
    # Each look compares each configuration with each.
    rates = tuple(1e-5 * number for number in range(1, 2002))
    many = SweepFolder(command_line.folder / "runs", "many")
    many.create(manifest_of(sweep_of(seeds=0, learning_rates=rates, epochs=1, limit=50), "many"))
    with pytest.raises(
        InvalidInputError, match="name is a sweep of 2,001 configurations; allowed: at most 2,000 of them"
    ):
        plan_decide(many, 0.01, 9000, settings)


def test_a_race_from_python_prints_nothing_and_needs_no_main_thread(
    command_line: CommandLine,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(subprocess, "Popen", launcher.Popen)
    # Given a sweep of which two rows are missing
    command_line.finished("a", *SWEEP)
    folder = SweepFolder(command_line.folder / "runs", "a")
    lines = (folder.path / "results.jsonl").read_text().splitlines(keepends=True)
    (folder.path / "results.jsonl").write_text("".join(lines[:-2]))
    plan = plan_decide(folder, 0.01, 20, Settings(cache_dir=cache_dir), workers=1)
    results: list[Any] = []

    def race() -> None:
        with plan.begin() as session:
            results.append(decide(session, Terms(0.01, 20)))

    thread = threading.Thread(target=race)
    thread.start()
    thread.join()
    assert capfd.readouterr() == ("", "")
    (result,) = results
    assert (result.conclusion.decided, result.course.ended, result.jobs) == (True, "within", 8)
    assert result.course.field.spent == 6
    assert result.sweep.accounting.accepted == 15
