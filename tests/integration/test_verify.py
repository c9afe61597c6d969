"""`orchestrator verify`: rows are trained again and compared to the bit; and what two runs that disagree lead to."""

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nn.files import digest
from tests.support.cluster import Cluster
from tests.support.command_line import SMALL, CommandLine, small
from tests.support.idx_files import write_idx_folder
from tests.support.waiting import wait_for
from worker.records.answers import unpack


def change_row(folder: Path, place: int, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a row of a finished sweep, as damage or a cheat would."""
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    change(rows[place])
    (folder / "results.jsonl").write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))


DIVERGES = ("--seeds", "0", "--learning-rates", "1e38", "--epochs", "5", "--limit", "500")


def test_a_cheat_does_not_pass_for_a_diverged_job(command_line: CommandLine) -> None:
    # Given a row that became good after it diverged
    command_line.finished("a", *DIVERGES, status=1)

    def go_on(row: dict[str, Any]) -> None:
        row["validation_score"] += 4 * [0.99]
        row["epoch_seconds"] *= 5

    change_row(command_line.sweep("a"), 0, go_on)
    # Then it is different.
    done = command_line.run("verify", "a", status=1)
    assert "DIFFERENT: validation accuracy, epoch 2 was 0.99" in done.stdout


def durable_keys(cluster: Cluster) -> set[bytes]:
    """Return what is in Redis, but for the workers' beats and kombu's tables."""
    beats = (b"_kombu", b"seedsweep:unacked", b"seedsweep:workers")
    return {name for name in cluster.server.client().scan_iter() if not name.startswith(beats)}


def test_verifying_trains_anew_on_a_cluster_that_has_the_results_and_leaves_nothing_there(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a finished sweep whose results are in Redis, with the weights of two jobs gone from there
    address = cluster.server.url
    worker = cluster.start_worker()
    command_line.run("sweep", *SMALL, "--name", "a", "--broker", address)
    rows = command_line.rows("a")
    cluster.lose_weights(row["weights_sha256"] for row in rows[:2])
    before = durable_keys(cluster)
    # When it is verified
    printed = command_line.asked("verify", "a", "--all", "--broker", address)
    # Then each job was trained a second time, with the same result,
    assert (printed["verified"], printed["different"]) == (4, 0)
    assert [check["job"] for check in printed["jobs"]] == [row["job"] for row in rows]
    assert {check["worker"] for check in printed["jobs"]} == {"w1@test"}
    for row in rows:
        assert worker.text().count(f"[{row['job']}.verify-") >= 1
    assert worker.text().count("succeeded in") == 8
    # and Redis holds what it held.
    assert durable_keys(cluster) == before


def test_a_difference_names_the_job_what_differs_and_both_values(command_line: CommandLine) -> None:
    # Given a sweep of whose weights files one is gone, one is junk, and one is another row's; whose next rows have
    # another seed, accuracy, hash, answers of another job, and another end; and a line that is no row
    command_line.finished("a", *small(seeds="0-3"))
    folder, rows = command_line.sweep("a"), command_line.rows("a")
    again = [row["weights_sha256"] for row in rows]
    gone, junk, swapped, whole, *_ = (folder / "weights" / f"{sha256}.safetensors" for sha256 in again)
    gone.unlink()
    junk.write_bytes(b"junk")
    swapped.write_bytes(whole.read_bytes())
    change_row(folder, 3, lambda row: row.update(seed=77))
    change_row(folder, 4, lambda row: row["validation_score"].__setitem__(1, 0.5))
    change_row(folder, 5, lambda row: row.update(weights_sha256="ab" * 32))
    change_row(folder, 6, lambda row: row.update(correct=rows[7]["correct"]))
    change_row(folder, 7, lambda row: row.update(status="diverged", error="why"))
    with (folder / "results.jsonl").open("a") as file:
        file.write("junk\n")
    # When it is verified, then all are found, and nothing else.
    done = command_line.run("verify", "a", "--all", "--json", status=1)
    printed = json.loads(done.stdout)
    accuracy = rows[4]["validation_score"][1]
    own, others = (digest(unpack(row["correct"]).tobytes()) for row in rows[6:])
    assert (printed["verified"], printed["different"]) == (0, 8)
    assert [check["job"] for check in printed["jobs"]] == [row["job"] for row in rows]
    assert [check["differences"] for check in printed["jobs"]] == [
        [{"what": "weights file", "kept": "missing", "again": again[0]}],
        [{"what": "weights file", "kept": "damaged", "again": again[1]}],
        [{"what": "weights file", "kept": "damaged", "again": again[2]}],
        [{"what": "seed", "kept": 77, "again": rows[3]["seed"]}],
        [{"what": "validation accuracy, epoch 2", "kept": 0.5, "again": accuracy}],
        [
            {"what": "weights_sha256", "kept": "ab" * 32, "again": again[5]},
            {"what": "weights file", "kept": "missing", "again": "ab" * 32},
        ],
        [{"what": "hash of the correct answers", "kept": others, "again": own}],
        [
            {"what": "status", "kept": "diverged", "again": "succeeded"},
            {"what": "error", "kept": "why", "again": None},
        ],
    ]
    assert "results.jsonl is damaged or of another sweep, and is not read" in done.stderr
    assert "DIFFERENT: its weights file is missing" in done.stderr
    assert "DIFFERENT: seed was 77, and is 1" in done.stderr
    # The table says the same.
    done = command_line.run("verify", "a", "--all", status=1)
    assert "NOT VERIFIED: 8 of 8 jobs of a gave something different" in done.stdout
    for shown in (rows[4]["job"][:12], "validation accuracy, epoch 2", "0.5", str(accuracy), again[5][:12]):
        assert shown in done.stdout


def test_a_job_that_cannot_be_trained_again_is_not_verified(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a finished sweep, and a cluster whose only worker has another data set
    command_line.finished("a", *SMALL)
    other = command_line.folder / "other"
    write_idx_folder(other, train=60, test=40, side=28)
    cluster.start_worker(SEEDSWEEP_DATA=str(other), SEEDSWEEP_DATASET_SECONDS="3")
    # Then that is the reason that is shown.
    arguments = ("verify", "a", "--jobs", "1", "--json", "--broker", cluster.server.url)
    (check,) = json.loads(command_line.run(*arguments, status=1).stdout)["jobs"]
    assert "failed: no worker had the trainer network, version 1, with the data set" in check["differences"][0]["again"]


def test_the_same_seed_chooses_the_same_jobs(command_line: CommandLine) -> None:
    command_line.finished("a", *SMALL)

    def chosen(*more: str) -> tuple[int, list[str]]:
        printed = command_line.asked("verify", "a", "--jobs", "2", *more)
        return printed["seed"], [check["job"] for check in printed["jobs"]]

    seed, jobs = chosen()
    assert len(jobs) == 2
    assert chosen("--seed", str(seed)) == (seed, jobs)


def interrupted(command_line: CommandLine, process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C, and return what the command has said when it has ended."""
    process.send_signal(signal.SIGINT)
    return command_line.end(process, 130)


#: Two jobs that take a few seconds each.
LONG = ("--seeds", "0-1", "--learning-rates", "0.03", "--epochs", "100", "--limit", "1000")


@pytest.mark.slow(reason="runs and interrupts several verifications on a cluster")
def test_what_only_a_verification_ran_leaves_nothing_on_the_cluster(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a sweep that the cluster does not know, and a worker
    command_line.finished("a", *LONG)
    cluster.start_worker()
    before = durable_keys(cluster)
    # When it is verified there, then all is as it was;
    verify = ("verify", "a", "--broker", cluster.server.url)
    command_line.run(*verify)
    assert durable_keys(cluster) == before
    # and also when that is interrupted while a job runs and another one waits.
    process = command_line.start(*verify)
    wait_for(lambda: cluster.server.client().keys("celery-task-meta-*.verify-*"), "a job in training")
    assert "What is known of" not in interrupted(command_line, process)
    assert durable_keys(cluster) == before


@pytest.mark.slow(reason="waits for a worker that hangs")
def test_a_verification_does_not_wait_for_ever_for_a_worker_that_hangs(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a verification, one of whose jobs a worker has that is frozen
    command_line.finished("a", *LONG)
    worker = cluster.start_worker()
    process = command_line.start("verify", "a", "--broker", cluster.server.url)
    client = cluster.server.client()
    wait_for(lambda: client.keys("celery-task-meta-*.verify-*"), "a job in training")
    worker.signal_all(signal.SIGSTOP)
    # When Ctrl-C is pressed, then it says what stays, and that is to end the run when the worker wakes up.
    output = interrupted(command_line, process)
    assert "1 task has not ended in time; the records stay at" in output
    (flag,) = client.keys("seedsweep:cancelled:*")
    assert 0 < client.ttl(flag) <= 3600
    worker.signal_all(signal.SIGCONT)
    run = flag.decode().removeprefix("seedsweep:cancelled:")
    cluster.wait_for_state(run, "REVOKED")


def test_two_runs_that_disagree_are_a_loud_alarm(command_line: CommandLine, cluster: Cluster) -> None:
    # Given a job of which somebody's run had other weights
    address = cluster.server.url
    command_line.finished("clean", *SMALL)
    row = command_line.rows("clean")[1]
    shutil.rmtree(command_line.sweep("clean"))
    cluster.store().put_weights(b"", row["job"], "ab" * 32, row["job"], "w0@elsewhere")
    worker = cluster.start_worker()
    # When a sweep trains it
    done = command_line.run("sweep", *SMALL, "--name", "a", "--no-reuse", "--broker", address, status=1)
    # Then the worker says so, the accounting counts it, a warning names it,
    worker.wait_until_logged("MISMATCH")
    assert "jobs 4, accepted 4, attempts 4, reused 0, diverged 0, failed 0, cancelled 0, mismatches 1\n" in done.stdout
    warning = "WARNING: 1 of 4 jobs ended with different weights in two attempts"
    assert warning in done.stdout
    assert f"seed {row['seed']}, learning rate {row['options']['learning_rate']:g}, {'ab' * 6} and " in done.stdout
    # and its row holds the evidence,
    evidence = {"first": "ab" * 32, "second": row["weights_sha256"], "run": row["job"], "worker": "w1@test"}
    assert [found.get("mismatches") for found in command_line.rows("a")] == [None, [evidence], None, None]
    # which who reuses the row inherits.
    done = command_line.run("sweep", *SMALL, "--name", "b", "--json", status=1)
    assert json.loads(done.stdout)["accounting"]["mismatches"] == 1
    assert warning in done.stderr
