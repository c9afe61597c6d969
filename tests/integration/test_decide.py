"""`orchestrator decide` with real workers: its answers, its exit statuses, and what it does when it is disturbed."""

import json
import re
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
#: Its own verdict is within 0.3 points, and not within 0.2.
FEW = ("--seeds", "0-1", *SWEEP[2:])


def last_lines(text: str) -> list[str]:
    """Return why the race ended, and the verdict."""
    return text.rstrip("\n").split("\n")[-2:]


def seeds_by_rate(command_line: CommandLine, name: str) -> dict[float, int]:
    return Counter(row["options"]["learning_rate"] for row in command_line.rows(name))


def test_a_race_ends_with_a_configuration_that_suffices(command_line: CommandLine) -> None:
    # Given a sweep of two seeds
    command_line.finished("a", *FEW)
    # A race whose budget does not suffice for its first look leaves the sweep's answer as it is.
    small = command_line.asked("decide", "a", "--within", "0.002", "--budget", "2", status=1)
    board = command_line.asked("leaderboard", "a")
    assert {name: small[name] for name in board} == board | {"verdict": board["verdict"] | {"within": 0.002}}
    assert (small["race"]["ended"], small["verdict"]["state"]) == ("budget", "final")
    # One with a tolerance that the sweep's own answer has keeps both.
    within = 1.01 * board["verdict"]["regret"]
    done = command_line.run("decide", "a", "--within", str(within), "--budget", "50")
    assert last_lines(done.stdout)[0] == "No job was needed: the scores decide already"
    board = command_line.asked("leaderboard", "a")
    assert last_lines(done.stdout)[1] == board["verdict"]["sentence"]
    told = [board["verdict"][name] for name in ("decided", "state", "method", "within")]
    assert told == [True, "final", "t", within]
    own, *looks = command_line.description("a")["looks"]
    assert (own["within"], looks) == (within, [])
    # One with a smaller tolerance that has no budget keeps it, too, and does not call itself decided.
    told = command_line.run("decide", "a", "--within", "0.002", "--budget", "2", status=1).stdout
    assert "within the" not in last_lines(told)[1]
    assert command_line.asked("leaderboard", "a") == board
    # When one of the rates is worse by far, and nobody minds a difference of 0.2 points between the others
    done = command_line.run("decide", "a", "--within", "0.002", "--budget", "50")
    # Then the race trained three more seeds of each, said what it takes, and what it did.
    assert "The next look, at 5 seeds, takes 9 further jobs; 50 of 50 are left.\n" in done.stdout
    costs, answer = last_lines(done.stdout)
    assert costs == "All 3 configurations at 5 seeds are 15 jobs; the race skipped 0"
    assert answer.startswith("Use learning rate 0.04")
    assert ", within the 0.2 points asked for. " in answer
    assert answer.endswith(" 0.001 is ruled out.")
    assert command_line.nothing_is_left()

    # When the same is asked again, then the answer is the same, and nothing is trained.
    again = command_line.run("decide", "a", "--within", "0.002", "--budget", "50", "--json")
    assert again.stderr.count("[") == 0
    answered = json.loads(again.stdout)
    assert answered["verdict"]["sentence"] == answer
    assert answered["verdict"]["decided"]
    assert (answered["race"]["ended"], answered["race"]["spent"], answered["session"]["jobs"]) == ("within", 9, 0)
    assert answered["accounting"]["accepted"] == 15
    contenders = [each["options"] for each in answered["rows"] if each["contender"]]
    assert contenders == answered["verdict"]["contenders"]
    # The sweep records that somebody had seen its results before, and what suffices: the leaderboard says the same.
    description = command_line.description("a")
    assert description["looks"][1:] == [{"command": "decide", "seeds": 2, "rows": 6, "within": 0.002}]
    assert [each["kind"] for each in description["rounds"]] == ["decide"]
    board = command_line.asked("leaderboard", "a")
    assert {name: answered[name] for name in board} == board
    # Asked for less, it says what decides.
    other = command_line.run("leaderboard", "a", "--within", "0.00001").stdout
    assert "asked for" not in other
    assert re.search(r"\nTo decide further, in about \d+ jobs? .+:\n  orchestrator decide a --within 0\.0", other)
    # A race that adds no job is recorded, too.
    command_line.run("decide", "a", "--within", "0.02", "--budget", "50", "--metric", "validation accuracy:last")
    assert command_line.description("a")["looks"][2:] == [{"command": "decide", "seeds": 5, "rows": 15, "within": 0.02}]
    # More epochs are for what all configurations have.
    longer = command_line.run("extend", "a", "--epochs", "11")
    assert longer.stderr.endswith(" all configurations have get more epochs: 9 jobs of confirm or decide get none\n")
    assert len(command_line.rows("a")) == 15 + 6


@pytest.mark.slow(reason="five races, four of which are killed")
def test_a_race_that_is_killed_makes_the_same_decisions(command_line: CommandLine) -> None:
    # Given a race that nobody disturbed, and that ended with its budget
    terms = ("--within", "0.00001", "--budget", "40")
    command_line.finished("a", *SWEEP)
    shutil.copytree(command_line.sweep("a"), command_line.folder / "other" / "a")
    whole = command_line.run("decide", "a", *terms, status=1)
    assert seeds_by_rate(command_line, "a") == {0.001: 5, 0.04: 18, 0.041: 18}
    # When another one is killed again and again, in a folder of its own, so that it takes no results of the first one
    shutil.move(command_line.sweep("a"), command_line.folder / "whole")
    shutil.move(command_line.folder / "other" / "a", command_line.sweep("a"))
    for rows in (10, 16, 24, 38):
        process = command_line.start("decide", "a", *terms)
        command_line.wait_for_rows("a", rows, process)
        command_line.kill(process)
    done = command_line.run("decide", "a", *terms, status=1)
    # Then it makes the same decisions for the same reasons, and no job has two rows.
    assert last_lines(done.stdout) == last_lines(whole.stdout)
    rounds = command_line.description("a")["rounds"]
    assert rounds == command_line.description("whole", ".")["rounds"]
    assert [each["seeds"][-1] for each in rounds] == [4, 7, 11, 17]
    assert command_line.board("a") == command_line.board("whole", ".")
    wait_for(command_line.nothing_is_left, "the end of the killed clusters")
    # A larger tolerance needs no more.
    command_line.run("decide", "a", "--within", "0.003", "--budget", "80")
    assert command_line.description("a")["rounds"] == rounds


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
    assert kept >= 10
    # 6 jobs up to the first look, and 6 up to the second one.
    assert seeds_by_rate(command_line, "a") == {0.001: 5, 0.04: 8, 0.041: 8}
    why, _ = last_lines(done.stdout)
    assert why == "The next look, at 12 seeds, takes 8 further jobs; 5 of 17 are left: --budget 20 goes on."
    # Another race that may add no job leaves the sweep's tolerance as it is.
    looks = command_line.description("a")["looks"]
    done = command_line.run("decide", "a", "--within", "0.0001", "--budget", "3", status=1)
    why, _ = last_lines(done.stdout)
    assert why == "The next look, at 12 seeds, takes 8 further jobs; 12 were added before: --budget 20 goes on."
    assert command_line.description("a")["looks"] == looks


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
    command_line.finished("a", *FEW)
    words = ("decide", "a", "--within", "0.002", "--budget", "20", "--broker", address)
    process = command_line.start(*words)
    cluster.wait_until_queued(9)
    *_, failed = command_line.description("a")["jobs"]
    cluster.app.backend.store_result(failed, TooManyAttemptsError("it took its worker down 3 times"), "FAILURE")
    command_line.wait_for_rows("a", 7, process)
    command_line.run("cancel", "a", "--broker", address)
    # Then it has no answer.
    why, verdict = last_lines(command_line.end(process, 1))
    assert (why, verdict.partition(",")[0]) == ("The sweep was cancelled.", "So far")
    # When it goes on with a worker, then the cancelled jobs are trained, and what the failed one lacks comes later.
    cluster.start_worker()
    done = command_line.run(*words)
    assert "failed 1, cancelled 0" in done.stdout
    assert "other code" not in done.stdout + done.stderr
    assert sorted(seeds_by_rate(command_line, "a").values()) == [5, 8, 8]


@pytest.mark.slow(reason="a race and an extension, which wait for one worker")
def test_what_another_session_adds_to_the_sweep_changes_no_decision(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a race on a cluster, and somebody who extends the same sweep from another folder meanwhile
    address = cluster.server.url
    command_line.finished("a", *FEW)
    shutil.copytree(command_line.sweep("a"), command_line.folder / "elsewhere" / "a")
    race = command_line.start("decide", "a", "--within", "0.002", "--budget", "9", "--broker", address)
    cluster.wait_until_queued(9)
    words = ("--seeds", "50", "--output", "elsewhere", "--broker", address)
    extension = command_line.start("extend", "a", *words)
    cluster.wait_until_queued(12)
    # When a worker comes, then both end with all jobs, and the race had asked for the seeds of the first look only.
    cluster.start_worker()
    assert ", within the 0.2 points asked for. " in command_line.end(race)
    assert [each["seeds"] for each in command_line.description("a")["rounds"]] == [[2, 3, 4], [50]]
    command_line.end(extension)
    for output in ("runs", "elsewhere"):
        assert sorted({row["seed"] for row in command_line.rows("a", output)}) == [0, 1, 2, 3, 4, 50]
