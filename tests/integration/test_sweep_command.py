"""Sweeps on real clusters: what they make, what they say, and that nothing is left behind."""

import csv
import json
import re

import pytest
from safetensors.numpy import load_file

from nn.datasets.mnist import MNIST_DIGEST
from nn.files import digest
from tests.support.cluster import Cluster
from tests.support.command_line import QUICK, SMALL, CommandLine, small
from tests.support.output import Output
from tests.support.sweeps import sweep_of
from worker.errors import TooManyAttemptsError

FIELDS = {
    "job", "seed", "options", "status", "validation_score", "epoch_seconds", "weights_sha256",
    "attempts", "worker", "error",
}  # fmt: skip
#: The address of a server that is not there.
NOWHERE = "redis://127.0.0.1:1/0"


def test_a_sweep_makes_every_file_and_a_second_one_reuses_them(command_line: CommandLine) -> None:
    # When a sweep runs on the embedded cluster
    done = command_line.run("sweep", *SMALL, "--name", "first")

    # Then it shows the leaderboard and its accounting,
    assert "jobs 4, accepted 4, attempts 4, reused 0, diverged 0, failed 0, cancelled 0, mismatches 0\n" in done.stdout
    assert "rank   learning rate" in done.stdout
    assert done.stderr == ""
    # there is one row a job, in the sweep's order,
    rows = command_line.rows("first")
    assert [(row["seed"], row["options"]["learning_rate"]) for row in rows] == [
        (0, 0.01), (0, 0.03), (1, 0.01), (1, 0.03),
    ]  # fmt: skip
    for row in rows:
        assert row.keys() >= FIELDS
        assert row["status"] == "succeeded"
        assert len(row["validation_score"]) == len(row["epoch_seconds"]) == row["options"]["epochs"] == 2
        assert 0.5 < row["validation_score"][-1] < 1.0
        # with weights that are what they are called,
        weights = command_line.sweep("first") / "weights" / f"{row['weights_sha256']}.safetensors"
        assert digest(weights.read_bytes()) == row["weights_sha256"]
        assert {name: array.shape for name, array in load_file(weights).items()} == {
            "W1": (128, 784), "W2": (64, 128), "W3": (10, 64),
        }  # fmt: skip
    # a description,
    described = command_line.description("first")
    assert described["dataset"] == MNIST_DIGEST
    assert described["jobs"] == [row["job"] for row in rows]
    assert described["specification"]["options"]["limit"] == 1000
    # two leaderboards that say the same,
    leaderboard = command_line.board("first")
    assert leaderboard["common"]["model"] == "network 784-128-64-10"
    standings = leaderboard["rows"]
    assert [standing["rank"] for standing in standings] == [1, 2]
    for standing in standings:
        # What varies and what does not are, together, the options of the rows.
        options = leaderboard["common"]["options"] | standing["options"]
        finals = [row["validation_score"][-1] for row in rows if row["options"] == options]
        assert standing["mean"] == pytest.approx(sum(finals) / 2, abs=1e-9)
        assert (standing["best"], standing["worst"], standing["n"]) == (max(finals), min(finals), 2)
    with (command_line.sweep("first") / "leaderboard.csv").open() as file:
        assert [float(row["mean"]) for row in csv.DictReader(file)] == [standing["mean"] for standing in standings]
    # and nothing is left running or in the temporary folder.
    assert command_line.nothing_is_left()

    # When the same sweep, and one seed more, runs again, only the new jobs are trained.
    done = command_line.run("sweep", *small(seeds="0-2"), "--name", "second")
    assert "accepted 6, attempts 2, reused 4," in done.stdout
    reused = [row for row in command_line.rows("second") if row["reused_from"]]
    assert {row["reused_from"] for row in reused} == {"first"}
    assert [row["weights_sha256"] for row in reused] == [row["weights_sha256"] for row in rows]

    # When it is asked to, it trains everything again, to the same leaderboard.
    done = command_line.run("sweep", *SMALL, "--name", "third", "--no-reuse")
    assert "attempts 4, reused 0," in done.stdout
    for file in ("leaderboard.json", "leaderboard.csv"):
        assert (command_line.sweep("third") / file).read_bytes() == (command_line.sweep("first") / file).read_bytes()


def test_a_real_cluster_gives_the_same_leaderboard(command_line: CommandLine, cluster: Cluster) -> None:
    # Given one sweep on the embedded cluster, and one on a Redis server with two workers
    cluster.start_worker(ready=False)
    cluster.start_worker(ready=False)
    command_line.finished("embedded", *SMALL)
    address = cluster.server.url
    done = command_line.run("sweep", *SMALL, "--name", "cluster", "--no-reuse", "--broker", address, "--json")

    # Then the output is one JSON object, and progress went elsewhere
    printed = json.loads(done.stdout)
    assert printed["accounting"] == {
        "jobs": 4, "accepted": 4, "attempts": 4, "reused": 0, "diverged": 0, "failed": 0, "cancelled": 0,
        "mismatches": 0, "repeated": {},
    }  # fmt: skip
    assert "[4/4] seed " in done.stderr
    assert f"Training 4 jobs on the cluster at {address}" in done.stderr
    # and the leaderboards are the same to the byte.
    embedded = (command_line.sweep("embedded") / "leaderboard.json").read_bytes()
    assert (command_line.sweep("cluster") / "leaderboard.json").read_bytes() == embedded
    assert {name: printed[name] for name in ("common", "verdict", "rows")} == json.loads(embedded)
    assert {row["worker"] for row in command_line.rows("cluster")} <= {worker.name for worker in cluster.workers}

    # When another folder asks the cluster for the same jobs, it takes the results that are there,
    done = command_line.run("sweep", *SMALL, "--name", "again", "--output", "elsewhere", CELERY_BROKER_URL=address)
    assert "attempts 0, reused 4," in done.stdout
    assert {row["reused_from"] for row in command_line.rows("again", "elsewhere")} == {"the result backend"}
    assert (command_line.folder / "elsewhere" / "again" / "leaderboard.json").read_bytes() == embedded
    # or does not if told so.
    done = command_line.run(
        "sweep", *SMALL, "--name", "anew", "--output", "elsewhere", "--no-reuse", CELERY_BROKER_URL=address
    )
    assert "attempts 4, reused 0," in done.stdout
    assert not command_line.cluster_processes()


def test_any_option_varies_and_a_sweeps_description_is_the_next_ones_specification(command_line: CommandLine) -> None:
    rest = ("--learning-rate", "0.03", "--epochs", "1", "--limit", "50")
    axes = ("--hidden", "8,4", "--hidden", "16,8", "--shuffle", "--no-shuffle")
    # So few samples train nothing, which the exit status tells.
    done = command_line.run("sweep", "--seeds", "0", "--seeds", "1", *axes, *rest, "--name", "a", status=1)

    # Every line names a job by what varies, and the table has a column for that.
    names = re.findall(r"^\[\d/8\] (seed \d, hidden layers \d+,\d, shuffle \w+): \d", done.stdout, re.MULTILINE)
    assert len(set(names)) == 8
    assert "rank   hidden layers   shuffle     n   mean" in done.stdout
    common = "learning rate 0.03, epochs 1, rule backprop, limit 50, data set MNIST (06ad231b5cb2)"
    assert f"In common: {common}; other " in done.stdout
    shown = command_line.run("show", "a", "hidden=8,4", "shuffle=true", "seed=1").stdout
    assert " of a: seed=1 hidden=8,4 shuffle=true learning_rate=0.03 epochs=1 limit=50; " in shown.splitlines()[0]
    done = command_line.run("show", "a", "hidden=8,4", "seed=1", status=2)
    assert "2 jobs fit, so add shuffle (true or false)" in done.stderr
    done = command_line.run("verify", "a", "hidden=16,8", "shuffle=false", "--all")
    found = re.findall(r"^\[\d/2\] (.*): the same weights", done.stdout, re.MULTILINE)
    assert sorted(found) == [f"seed {seed}, hidden layers 16,8, shuffle false" for seed in (0, 1)]

    wanted = sweep_of(
        seeds=(0, 1), learning_rates=0.03, epochs=1, limit=50, hidden=("8,4", "16,8"), shuffle=(True, False)
    )
    manifest = command_line.description("a")
    assert manifest["jobs"] == [job.key for job in wanted.jobs(manifest["dataset"])]
    assert {row["job"] for row in command_line.rows("a")} == set(manifest["jobs"])

    # The same, but with one size of hidden layers: every job has been trained.
    done = command_line.run("sweep", "--spec", "runs/a/sweep.json", "--hidden", "8,4", "--name", "b", status=1)
    assert "jobs 4, accepted 4, attempts 0, reused 4," in done.stdout


def test_a_job_that_cannot_come_back_ends_early(command_line: CommandLine) -> None:
    # Given a job of which a weight is NaN after one of its five epochs
    words = ("--learning-rates", "1e38", "--seeds", "0", "--epochs", "5", "--limit", "1000", "--name", "a")
    done = command_line.run("sweep", *words, status=1)

    # Then nothing can be recommended, and it has a row with that epoch, which is shown, verifies and is reused
    assert "All jobs that have a result diverged: no configuration can be recommended." in done.stdout
    assert "accepted 1, attempts 1, reused 0, diverged 1, failed 0" in done.stdout
    (row,) = command_line.rows("a")
    assert (row["error"], row["options"]["epochs"]) == ("diverged: a weight is infinite or not a number", 5)
    assert len(row["validation_score"]) == len(row["epoch_seconds"]) == 1
    (standing,) = command_line.board("a")["rows"]
    assert (standing["mean"], standing["diverged"]) == (None, 1)
    assert standing["jobs"][0]["score"] == row["validation_score"][0]
    assert "; diverged (" in command_line.run("show", "a", "0").stdout
    verified = command_line.run("verify", "a").stdout
    assert "the same weights, and the same validation accuracy after its epoch" in verified
    assert "reused 1, diverged 1" in command_line.run("sweep", *words[:-1], "b", status=1).stdout


def test_failed_and_cancelled_jobs_are_rows_that_a_resumed_sweep_tries_again(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a sweep without a worker, which says so and waits
    address = cluster.server.url
    process = command_line.start("sweep", *SMALL, "--name", "a", "--broker", address)
    output = Output(process)
    output.wait_for("No worker is online")
    # When one job fails and one is cancelled, and a worker comes for the others
    failed, cancelled, *_ = command_line.description("a")["jobs"]
    cluster.app.backend.store_result(failed, TooManyAttemptsError("it took its worker down 3 times"), "FAILURE")
    command_line.wait_for_rows("a", 1, process)
    cluster.store().cancel([cancelled], "nobody wants it")
    cluster.start_worker()

    # Then it ends with status 1 and a row for each, with its reason and without a result
    status, text = output.end()
    assert status == 1
    assert "jobs 4, accepted 2, attempts 2, reused 0, diverged 0, failed 1, cancelled 1" in text
    rows = {row["job"]: row for row in command_line.rows("a")}
    assert (rows[failed]["status"], rows[failed]["error"]) == ("failed", "it took its worker down 3 times")
    assert rows[cancelled]["status"] == "cancelled"
    assert "nobody wants it" in rows[cancelled]["error"]
    for row in (rows[failed], rows[cancelled]):
        assert (row["validation_score"], row["weights_sha256"]) == ([], None)

    # When the sweep is resumed, it keeps what it has and trains the two.
    done = command_line.run("sweep", "--resume", "--name", "a", "--broker", address)
    assert "2 were finished in an earlier session of this sweep" in done.stdout
    assert "A further look: intervals get wider, " in done.stdout
    assert "accepted 4" in done.stdout
    assert "failed 0, cancelled 0" in done.stdout
    assert [row["job"] for row in command_line.rows("a")] == list(rows)
    # Whoever resumed it had seen results.
    assert [(look["command"], look["rows"]) for look in command_line.description("a")["looks"]] == [("resume", 2)]


def test_the_option_wins_over_the_environment(cluster: Cluster, command_line: CommandLine) -> None:
    # Given an environment that names a cluster which is not there
    elsewhere = dict.fromkeys(("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "CELERY_BROKER_READ_URL"), NOWHERE)
    cluster.start_worker()
    # When a sweep names another one
    command_line.run("sweep", *QUICK, "--name", "s", "--broker", cluster.server.url, **elsewhere)
    # Then it runs there, messages and results alike
    assert [(row["status"], row["worker"]) for row in command_line.rows("s")] == [("succeeded", "w1@test")]


def test_an_embedded_cluster_is_its_own_whatever_the_environment_says(command_line: CommandLine) -> None:
    names = ("CELERY_RESULT_BACKEND", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")
    elsewhere = dict.fromkeys(names, NOWHERE)
    # A variable that is empty is not set.
    command_line.run("sweep", *QUICK, "--name", "s", CELERY_BROKER_URL="", SEEDSWEEP_DATA="", **elsewhere)
    assert [row["status"] for row in command_line.rows("s")] == ["succeeded"]
