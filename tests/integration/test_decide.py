"""`orchestrator decide` with real workers: its answers, its exit statuses, and what it does when it is disturbed."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import psutil
import pytest

from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.waiting import wait_for
from worker.errors import TooManyAttemptsError

#: A rate that does not get far in ten epochs, and two that are as good as each other.
SWEEP = ("--seeds", "0-2", "--learning-rates", "0.001,0.04,0.041", "--epochs", "10", "--limit", "500")


def looks(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.startswith("Look at ")]


def last_line(text: str) -> str:
    return text.rstrip("\n").split("\n")[-1]


def seeds_by_rate(command_line: CommandLine, name: str) -> dict[float, int]:
    return Counter(row["options"]["learning_rate"] for row in command_line.rows(name))


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
    answer = last_line(done.stdout)
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
    description = command_line.description("a")
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
        command_line.kill(process)
    done = command_line.run("decide", "a", *terms, status=1)
    # Then it makes the same decisions for the same reasons, and no job has two rows.
    assert looks(done.stdout) == looks(whole.stdout)
    assert last_line(done.stdout) == last_line(whole.stdout)
    assert command_line.board("a") == command_line.board("whole", ".")
    wait_for(command_line.nothing_is_left, "the end of the killed clusters")
    # A larger budget goes on from there.
    more = command_line.run("decide", "a", "--within", "0.003", "--budget", "80")
    assert looks(more.stdout) == looks(whole.stdout)[: len(looks(more.stdout))]


def test_a_race_whose_cluster_fails_ends_with_status_3_and_goes_on_later(command_line: CommandLine) -> None:
    # Given a race whose worker is killed
    command_line.finished("a", *SWEEP)
    words = ("decide", "a", "--within", "0.0001000001", "--budget", "17")
    process = command_line.start(*words, "--workers", "1")
    command_line.wait_for_rows("a", 10, process)
    (worker, *_) = sorted(command_line.cluster_processes("celery"), key=psutil.Process.create_time)
    worker.kill()
    # Then it says so, keeps what it has, and says how to go on.
    output = command_line.end(process, 3)
    assert "The embedded worker was ended by SIGKILL" in output
    assert "go on with: orchestrator decide a --within 0.0001000001 --budget 17" in output
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
    cluster.wait_until_queued(6)
    *_, failed = command_line.description("a")["jobs"]
    cluster.app.backend.store_result(failed, TooManyAttemptsError("it took its worker down 3 times"), "FAILURE")
    command_line.wait_for_rows("a", 10, process)
    command_line.run("cancel", "a", "--broker", address)
    # Then it has no answer.
    output = command_line.end(process, 1)
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
    cluster.wait_until_queued(6)
    words = ("--seeds", "50", "--output", "elsewhere", "--broker", address)
    extension = command_line.start("extend", "a", *words)
    cluster.wait_until_queued(9)
    # When a worker comes, then both end with all jobs, and the race looked at the seeds that it had asked for.
    cluster.start_worker()
    assert "decided at 5 seeds" in last_line(command_line.end(race))
    command_line.end(extension)
    for output in ("runs", "elsewhere"):
        assert sorted({row["seed"] for row in command_line.rows("a", output)}) == [0, 1, 2, 3, 4, 50]
