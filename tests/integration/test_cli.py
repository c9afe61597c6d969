"""The command line on real clusters: what it makes, what it refuses, and that nothing is left behind."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load_file

from nn.datasets.mnist import MNIST_DIGEST, load_mnist
from nn.errors import InvalidInputError
from nn.weights import digest
from orchestrator.cli.main import run
from orchestrator.cli.options import SweepOptions
from orchestrator.cli.sweep import make_plan
from tests.support.cluster import Cluster
from tests.support.command_line import SMALL, CommandLine
from tests.support.idx_files import write_idx_folder
from tests.support.redis_server import RedisServer, free_port
from tests.support.waiting import wait_for
from worker.errors import TooManyAttemptsError

#: One job of a hundredth of a second.
QUICK = ("--seeds", "7", "--learning-rates", "0.03", "--epochs", "1", "--limit", "100")

FIELDS = {
    "job", "seed", "learning_rate", "epochs", "status", "validation_accuracy", "epoch_seconds", "weights_sha256",
    "attempts", "worker", "error",
}  # fmt: skip


def test_a_sweep_makes_every_file_and_a_second_one_reuses_them(command_line: CommandLine) -> None:
    # When a sweep runs on the embedded cluster
    done = command_line.run("sweep", *SMALL, "--name", "first")

    # Then it shows the leaderboard and its accounting,
    assert "jobs 4, accepted 4, attempts 4, reused 0, diverged 0, failed 0, cancelled 0, mismatches 0\n" in done.stdout
    assert "rank   learning rate" in done.stdout
    assert done.stderr == ""
    # there is one row a job, in the sweep's order,
    rows = command_line.rows("first")
    assert [(row["seed"], row["learning_rate"]) for row in rows] == [(0, 0.01), (0, 0.03), (1, 0.01), (1, 0.03)]
    for row in rows:
        assert row.keys() >= FIELDS
        assert row["status"] == "succeeded"
        assert len(row["validation_accuracy"]) == len(row["epoch_seconds"]) == row["epochs"] == 2
        assert 0.5 < row["validation_accuracy"][-1] < 1.0
        # with weights that are what they are called,
        weights = command_line.sweep("first") / "weights" / f"{row['weights_sha256']}.safetensors"
        assert digest(weights.read_bytes()) == row["weights_sha256"]
        assert {name: array.shape for name, array in load_file(weights).items()} == {
            "W1": (128, 784), "W2": (64, 128), "W3": (10, 64),
        }  # fmt: skip
    # a description,
    described = json.loads((command_line.sweep("first") / "sweep.json").read_text())
    assert described["dataset"] == MNIST_DIGEST
    assert described["jobs"] == [row["job"] for row in rows]
    assert described["specification"]["limit"] == 1000
    # two leaderboards that say the same,
    leaderboard = json.loads((command_line.sweep("first") / "leaderboard.json").read_text())
    assert [row["rank"] for row in leaderboard] == [1, 2]
    for standing in leaderboard:
        finals = [row["validation_accuracy"][-1] for row in rows if row["learning_rate"] == standing["learning_rate"]]
        assert standing["mean"] == pytest.approx(sum(finals) / 2, abs=1e-9)
        assert (standing["best"], standing["worst"], standing["seeds"]) == (max(finals), min(finals), 2)
    with (command_line.sweep("first") / "leaderboard.csv").open() as file:
        assert [float(row["mean"]) for row in csv.DictReader(file)] == [row["mean"] for row in leaderboard]
    # and nothing is left running or in the temporary folder.
    assert command_line.nothing_is_left()

    # When the same sweep, and one seed more, runs again, only the new jobs are trained.
    done = command_line.run("sweep", *SMALL, "--seeds", "0-2", "--name", "second")
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
    command_line.run("sweep", *SMALL, "--name", "embedded")
    address = cluster.server.url
    done = command_line.run("sweep", *SMALL, "--name", "cluster", "--no-reuse", "--broker", address, "--json")

    # Then the output is one JSON object, and progress went elsewhere
    printed = json.loads(done.stdout)
    assert printed["accounting"] == {
        "jobs": 4, "accepted": 4, "attempts": 4, "reused": 0, "diverged": 0, "failed": 0, "cancelled": 0,
        "mismatches": 0, "repeated": {},
    }  # fmt: skip
    assert "[4/4] seed 1" in done.stderr
    assert f"Training 4 on the cluster at {address}" in done.stderr
    # and the leaderboards are the same to the byte.
    embedded = (command_line.sweep("embedded") / "leaderboard.json").read_bytes()
    assert (command_line.sweep("cluster") / "leaderboard.json").read_bytes() == embedded
    assert printed["leaderboard"] == json.loads(embedded)
    assert {row["worker"] for row in command_line.rows("cluster")} <= {worker.name for worker in cluster.workers}

    # When another folder asks the cluster for the same jobs, it takes the results that are there,
    done = command_line.run("sweep", *SMALL, "--name", "again", "--output", "elsewhere", CELERY_BROKER_URL=address)
    assert "attempts 0, reused 4," in done.stdout
    assert (command_line.folder / "elsewhere" / "again" / "leaderboard.json").read_bytes() == embedded
    # or does not if told so.
    done = command_line.run(
        "sweep", *SMALL, "--name", "anew", "--output", "elsewhere", "--no-reuse", CELERY_BROKER_URL=address
    )
    assert "attempts 4, reused 0," in done.stdout
    assert not command_line.cluster_processes()


def test_diverging_jobs_are_rows_like_others(command_line: CommandLine) -> None:
    done = command_line.run("sweep", *SMALL, "--learning-rates", "0.03,1000", "--seeds", "0", "--name", "a")

    assert "accepted 2, attempts 2, reused 0, diverged 1, failed 0" in done.stdout
    good, diverged = command_line.rows("a")
    assert (good["status"], good["error"]) == ("succeeded", None)
    assert diverged["status"] == "diverged"
    assert diverged["error"]
    assert json.loads((command_line.sweep("a") / "leaderboard.json").read_text())[1]["diverged"] == 1


def test_a_specification_file_has_the_words_of_the_flags(command_line: CommandLine) -> None:
    (command_line.folder / "sweep.toml").write_text(
        'rule = "notebook"\nseeds = "0-1"\nlearning_rates = [0.001]\nepochs = 3\nlimit = 500\nhidden = [16, 8]\n'
        "shuffle = true\n"
    )

    command_line.run("sweep", "--spec", "sweep.toml", "--seeds", "7", "--no-shuffle", "--name", "a")

    (row,) = command_line.rows("a")
    assert (row["seed"], row["learning_rate"], row["epochs"]) == (7, 0.001, 3)
    # The notebook's rule reports what the notebook would have printed, too.
    assert len(row["notebook_accuracy"]) == len(row["validation_accuracy"]) == 3
    assert json.loads((command_line.sweep("a") / "sweep.json").read_text())["specification"]["shuffle"] is False

    # When it is resumed with other words, then each is named with what was typed and what can be.
    began = "as the sweep a began"
    for words, sentence in {
        ("--seeds", "0-9"): f"--seeds is '0-9'; allowed: 7, {began} (or leave it out)",
        ("--learning-rates", "0.50"): f"--learning-rates is '0.50'; allowed: 0.001, {began} (or leave it out)",
        ("--hidden", "16,9"): f"--hidden is '16,9'; allowed: 16,8, {began} (or leave it out)",
        ("--shuffle",): f"--shuffle is given; allowed: --no-shuffle, {began} (or leave it out)",
        ("--no-shuffle", "--spec", "sweep.toml"): f"seeds in sweep.toml is 0-1; allowed: 7, {began} (or leave it out)",
    }.items():
        done = command_line.run("sweep", "--resume", "--name", "a", *words, status=2)
        assert done.stderr == f"orchestrator: {sentence}\n"
    command_line.run("sweep", *QUICK, "--name", "b")
    done = command_line.run("sweep", "--resume", "--name", "b", "--data", "openml", status=2)
    assert done.stderr.startswith("orchestrator: --data is 'openml'; allowed: bundled, as the sweep b began")


def test_a_sweep_without_a_worker_says_so_and_waits(command_line: CommandLine, cluster: Cluster) -> None:
    process = command_line.start("sweep", *SMALL, "--name", "a", "--broker", cluster.server.url)
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any("No worker is online" in line for line in lines)

    cluster.start_worker()

    output = "".join(lines)
    assert "accepted 4, attempts 4" in output
    assert process.wait(timeout=30) == 0


def test_failed_and_cancelled_jobs_are_rows_that_a_resumed_sweep_tries_again(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a sweep of which one job fails and one is cancelled
    address = cluster.server.url
    process = command_line.start("sweep", *SMALL, "--name", "a", "--broker", address)
    wait_for(lambda: cluster.server.client().llen("seedsweep") == 4, "four queued jobs")
    failed, cancelled, *_ = json.loads((command_line.sweep("a") / "sweep.json").read_text())["jobs"]
    cluster.app.backend.store_result(failed, TooManyAttemptsError("it took its worker down 3 times"), "FAILURE")
    command_line.wait_for_rows("a", 1, process)
    cluster.store().cancel([cancelled], "nobody wants it")
    cluster.start_worker()

    # Then it ends with status 1 and a row for each, with its reason and without a result
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "jobs 4, accepted 2, attempts 2, reused 0, diverged 0, failed 1, cancelled 1" in output
    rows = {row["job"]: row for row in command_line.rows("a")}
    assert (rows[failed]["status"], rows[failed]["error"]) == ("failed", "it took its worker down 3 times")
    assert rows[cancelled]["status"] == "cancelled"
    assert "nobody wants it" in rows[cancelled]["error"]
    for row in (rows[failed], rows[cancelled]):
        assert (row["validation_accuracy"], row["weights_sha256"]) == ([], None)

    # When the sweep is resumed, it keeps what it has and trains the two.
    done = command_line.run("sweep", "--resume", "--name", "a", "--broker", address)
    assert "2 were finished by an earlier run of this sweep" in done.stdout
    assert "accepted 4" in done.stdout
    assert "failed 0, cancelled 0" in done.stdout
    assert [row["job"] for row in command_line.rows("a")] == list(rows)


def test_a_redis_that_goes_and_comes_back_is_waited_for(
    command_line: CommandLine, persistent_redis_server: RedisServer, tmp_path: Path, cache_dir: Path
) -> None:
    cluster = Cluster(persistent_redis_server, tmp_path, cache_dir)
    try:
        # Given a sweep that waits for its jobs
        process = command_line.start("sweep", *SMALL, "--name", "a", "--broker", cluster.server.url)
        wait_for(lambda: cluster.server.client().llen("seedsweep") == 4, "four queued jobs")
        # When the server goes for a while, and a worker comes
        cluster.server.stop()
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any("does not answer" in line for line in lines)
        cluster.server.start()
        cluster.start_worker()
        # Then the sweep says so and ends as if nothing had been.
        output = "".join(lines)
        assert f"{cluster.server.url} is back" in output
        assert "jobs 4, accepted 4, attempts 4," in output
        assert process.wait(timeout=30) == 0
    finally:
        cluster.close()


BAD_INPUT = [
    (["--learning-rates", "0"], "--learning-rates is '0'; allowed: finite numbers greater than 0"),
    (["--learning-rates", "-0.1"], "--learning-rates is '-0.1'"),
    (["--learning-rates", "nan"], "--learning-rates is 'nan'"),
    (["--learning-rates", "fast"], "--learning-rates is 'fast'"),
    (["--seeds", "5-2"], "--seeds is '5-2'; allowed: integers from 0 to 4294967295 and rising ranges"),
    (["--seeds", ""], "--seeds is ''"),
    (["--seeds", "4294967296"], "--seeds is '4294967296'"),
    (["--seeds", "0-99999999"], "--seeds is '0-99999999'; allowed: at most 100,000 seeds"),
    (["--epochs", "0"], "--epochs is '0'; allowed: an integer from 1 to 100000"),
    (["--hidden", "128"], "--hidden is '128'; allowed: two layer widths"),
    (["--loss", "mse"], "--loss is 'mse'; allowed: cross_entropy or sum_of_squares"),
    (["--dtype", "float16"], "--dtype is 'float16'"),
    (["--rule", "magic"], "--rule is 'magic'"),
    (["--engine", "gpu"], "--engine is 'gpu'"),
    (["--limit", "0"], "--limit is '0'"),
    (["--limit", "59501"], "--limit is '59501'; allowed: an integer from 1 to 59500, which is all that the data set"),
    (["--learning-rates", "1_0"], "--learning-rates is '1_0'; allowed: finite numbers greater than 0"),
    (["--workers", "1_0"], "--workers is '1_0'; allowed: an integer from 1 to 1024"),
    (["--workers", "0"], "--workers is '0'; allowed: an integer from 1 to 1024"),
    (["--workers", "two"], "--workers is 'two'"),
    (["--data", "no-such-folder"], "no-such-folder"),
    (["--data", "a" * 5000], "cannot be read: File name too long; allowed: 'bundled', 'openml', or a folder"),
    (["--data", "a\nb"], "a\\nb' is not a folder; allowed: "),
    (["--data", "loop/x"], "--data is 'loop/x'; allowed: bundled, openml, or a folder with the four IDX files"),
    (["--data", os.fsdecode(b"caf\xe9")], "--data is 'caf\\udce9'; allowed: bundled, openml, or a folder"),
    (["--data", "pipe"], "pipe' is not a folder; allowed: "),
    (["--name", "../up"], "--name is '../up'"),
    (["--name", "taken"], "A sweep named taken exists in runs: choose another --name, or go on with it by --resume"),
    (["--name", "empty"], "The folder runs/empty is not a sweep's (it has no sweep.json): choose another --name, or"),
    (["--name", "empty", "--resume"], "The folder runs/empty is not a sweep's (it has no sweep.json)"),
    (["--output", ".", "--name", "file"], "file is a file, and not a sweep's folder: choose another --name, or move"),
    (["--output", ".", "--name", "file", "--resume"], "file is a file, and not a sweep's folder"),
    (["--name", "none", "--resume"], "There is no sweep named none in runs"),
    (["--resume"], "--name is missing; allowed: the name of the sweep that --resume goes on with"),
    (["--output", "file"], "The output folder file/x cannot be written: "),
    (["--output", "file/deeper"], "The output folder file/deeper/x cannot be written: "),
    (["--output", ""], "--output is ''"),
    (["--output", "a" * 5000], "x cannot be written: File name too long"),
    (["--output", "new/" + "a" * 300], "x cannot be written: File name too long"),
    (["--output", "loop"], "The output folder loop/x cannot be written: "),
    (["--output", "pipe", "--name", "pipe"], "The output folder pipe/pipe cannot be written: Not a directory"),
    (["--output", "pipe", "--name", "pipe", "--resume"], "pipe/pipe/sweep.json cannot be read: Not a directory"),
    (["--spec", ""], "--spec is ''; allowed: the path of a TOML file"),
    (["--spec", "none.toml"], "--spec is 'none.toml'; allowed: a readable TOML file (No such file or directory)"),
    (["--spec", "pipe"], "--spec is 'pipe'; allowed: a readable TOML file (Not a regular file)"),
    (["--spec", "/dev/zero"], "--spec is '/dev/zero'; allowed: a readable TOML file (Not a regular file)"),
    (["--broker", "amqp://localhost"], "--broker is 'amqp://localhost'; allowed: redis://"),
    (["--broker", "redis://:secret@127.0.0.1:PORT/0"], "No Redis server answers at redis://:**@127.0.0.1:PORT/0: "),
    (["--broker", "redis+socket:///no/such.sock"], "No Redis server answers at redis+socket:///no/such.sock"),
    (["--broker", "redis://127.0.0.1:1/0", "--workers", "2"], "--workers is '2'; allowed: nothing beside --broker"),
    (["--sedes", "0-4"], "No such option: --sedes"),
    (["surplus"], "unexpected extra argument(s) (surplus)"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_INPUT, ids=[" ".join(case[0])[:50] for case in BAD_INPUT])
def test_bad_input_gets_one_sentence_and_nothing_is_begun(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache_dir: Path,
) -> None:
    # Given a folder with a sweep, a file, a pipe and a link to itself in it
    for name in ("taken", "empty"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / "taken" / "sweep.json").write_text("{}")
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(cache_dir))
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    before = {str(path) for path in tmp_path.rglob("*")}
    port = str(free_port())
    name = [] if "--name" in arguments or "--resume" in arguments else ["--name", "x"]

    # When the command is given something that cannot be used
    status = run(["sweep", *name, *(argument.replace("PORT", port) for argument in arguments)])

    # Then it says what in one line, and has started and made nothing.
    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("orchestrator: ")
    assert sentence.replace("PORT", port) in printed.err
    assert {str(path) for path in tmp_path.rglob("*")} == before
    assert not psutil.Process().children(recursive=True)


def test_a_limit_may_be_all_that_a_data_set_has_to_train_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_dir: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(cache_dir))
    write_idx_folder(tmp_path / "small")  # 20 images, of which 15 % are kept back
    for words, samples in (({}, len(load_mnist(cache_dir=cache_dir).train)), ({"data": str(tmp_path / "small")}, 17)):
        options = SweepOptions(None, "x", "runs", None, None, resume=False, reuse=True, json=False)
        assert make_plan(words | {"limit": str(samples)}, options).specification.limit == samples
        with pytest.raises(InvalidInputError, match=f"--limit is '{samples + 1}'; allowed: .* 1 to {samples}, which"):
            make_plan(words | {"limit": str(samples + 1)}, options)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("~nobody-here/x", "SEEDSWEEP_DATA is '~nobody-here/x'; allowed: bundled, openml, or a folder with the four "),
        ("/no/such", "SEEDSWEEP_DATA: the data set '/no/such' is not a folder; allowed: "),
    ],
)
def test_bad_data_of_the_environment_is_named_as_such(
    value: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEDSWEEP_DATA", value)
    assert run(["sweep", "--name", "x"]) == 2
    assert capsys.readouterr().err.startswith(f"orchestrator: {sentence}")
    # A word of the command line is not blamed on the variable.
    assert run(["sweep", "--name", "x", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"orchestrator: {tmp_path} has no file")


def test_an_output_that_knows_few_characters_costs_no_result(command_line: CommandLine) -> None:
    # Given a folder whose name is no text, and an output for ASCII alone
    name = os.fsdecode(b"caf\xe9")
    for encoding in ("ascii", "utf-8"):
        done = command_line.run("sweep", *SMALL, "--output", name, "--name", encoding, PYTHONIOENCODING=encoding)
        assert f"Results: caf\\udce9/{encoding} (leaderboard.csv" in done.stdout
        done = command_line.run("show", f"{name}/{encoding}", "0:0.01", PYTHONIOENCODING=encoding)
        assert "Learning curve" in done.stdout
        done = command_line.run("show", name, "0:0.01", PYTHONIOENCODING=encoding, status=2)
        assert "There is no sweep 'caf\\udce9'" in done.stderr


def test_what_an_output_does_not_take_is_told_in_one_sentence(command_line: CommandLine) -> None:
    command_line.run("sweep", *QUICK, "--name", "a")
    for arguments in (
        ("show", "a", "7:0.03"), ("show", "a", "7:0.03", "--json"), ("sweep", "--help"), ("--version",),
        ("verify", "a", "--json"), ("sweep", "--resume", "--name", "a", "--json"),
    ):  # fmt: skip
        for encoding in ("utf-8", "ascii"):
            with Path("/dev/full").open("w") as full:
                done = subprocess.run(
                    command_line.command(*arguments), cwd=command_line.folder, stdout=full, stderr=subprocess.PIPE,
                    env=command_line.environment | {"PYTHONIOENCODING": encoding}, text=True, check=False,
                )  # fmt: skip
            last = done.stderr.splitlines()[-1]
            assert (done.returncode, last) == (
                1, "orchestrator: Standard output cannot be written: No space left on device",
            )  # fmt: skip
            assert "Traceback" not in done.stderr
            assert "Exception" not in done.stderr
    # What standard error does not take costs nothing.
    with Path("/dev/full").open("w") as full:
        again = subprocess.run(
            command_line.command("sweep", "--resume", "--name", "a", "--json"), cwd=command_line.folder, stderr=full,
            stdout=subprocess.PIPE, env=command_line.environment, check=True,
        )  # fmt: skip
    assert json.loads(again.stdout)["name"] == "a"
    assert command_line.nothing_is_left()


def test_a_command_whose_reader_goes_ends_without_a_word_but_how_to_go_on(command_line: CommandLine) -> None:
    command_line.run("sweep", *QUICK, "--name", "a")
    long = ("sweep", *SMALL, "--epochs", "100", "--name", "b")
    for arguments, told in (
        (("show", "a", "7:0.03", "--json"), ""),
        (("sweep", "--help"), ""),
        (long, r"\d of 4 jobs are kept in runs/b; go on with: orchestrator sweep --resume --name b\n"),
    ):
        # Given a pipe, of which one byte is read
        process = subprocess.Popen(
            command_line.command(*arguments), cwd=command_line.folder, env=command_line.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, text=False,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        if arguments == long:
            process.stdout.read(1)
        process.stdout.close()
        assert re.fullmatch(told, process.stderr.read().decode())
        assert process.wait(timeout=30) == 141
        process.stderr.close()
    assert command_line.nothing_is_left()


def test_a_pipe_gets_tables_of_their_own_width(command_line: CommandLine) -> None:
    command_line.run("sweep", *QUICK, "--name", "a")
    for arguments in (("sweep", "--resume", "--name", "a"), ("show", "a", "7:0.03")):
        wide, narrow = (command_line.run(*arguments, COLUMNS=columns).stdout for columns in ("200", "20"))
        assert narrow == wide
        assert all(line == line.rstrip() for line in narrow.splitlines())


def test_bad_input_on_the_real_command_line(command_line: CommandLine) -> None:
    done = command_line.run("sweep", "--learning-rates", "nan", status=2)

    assert done.stdout == ""
    assert done.stderr == (
        "orchestrator: --learning-rates is 'nan'; allowed: finite numbers greater than 0, separated by commas\n"
    )
    assert not (command_line.folder / "runs").exists()


def test_a_broker_that_takes_no_password_of_ours_is_named_without_it(
    command_line: CommandLine, cluster: Cluster
) -> None:
    cluster.server.client().config_set("requirepass", "right")
    address = cluster.server.url.replace("//", "//:wrong@")

    done = command_line.run("sweep", *SMALL, "--broker", address, status=2)

    assert done.stderr.startswith(f"orchestrator: {cluster.server.url.replace('//', '//:**@')} does not let us in: ")
    assert "wrong" not in done.stderr


def test_help_names_every_option_of_the_specification(command_line: CommandLine) -> None:
    text = command_line.run("sweep", "--help").stdout

    for option in ("seeds", "learning-rates", "epochs", "hidden", "loss", "rule", "engine", "dtype", "shuffle", "limit",
                   "name", "broker", "workers", "data", "output", "resume", "json", "spec", "no-reuse"):  # fmt: skip
        assert f"--{option} " in text
    assert "sweep" in command_line.run("--help").stdout
    assert command_line.run("--version").stdout.startswith("seedsweep ")


@pytest.mark.parametrize("command", ["sweep", "watch", "cancel", "verify", "show", "predict"])
def test_every_command_says_what_it_does_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    overview = capsys.readouterr().out
    assert re.search(rf"^  {command} +[A-Z]", overview, re.MULTILINE), overview
    assert "Example: orchestrator sweep " in overview
    assert "..." not in overview.partition("Commands:")[2]

    assert run([command, "--help"]) == 0

    text = capsys.readouterr().out
    assert f"  Example: orchestrator {command} " in text
    # The options in the example are ones that the command has.
    before, _, rest = text.partition("Example: ")
    example, _, after = rest.partition("\n\n")
    assert all(f"  {option} " in before + after for option in re.findall(r"--[a-z-]+", example))


def test_help_imports_nothing_that_takes_time() -> None:
    code = "import orchestrator.cli.main, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"celery", "kombu", "numpy", "pydantic", "redis", "rich", "sklearn", "numba"} & set(loaded)


def test_two_runs_of_one_sweep_do_not_meet(command_line: CommandLine) -> None:
    # Given a sweep that runs
    slow = ("sweep", *SMALL, "--epochs", "100", "--workers", "1")
    process = command_line.start(*slow, "--name", "a")
    wait_for(command_line.cluster_processes, "the cluster of the first run")

    # When somebody resumes it meanwhile, then that is refused.
    done = command_line.run("sweep", "--resume", "--name", "a", status=2)

    assert "Another process is running the sweep a" in done.stderr
    os.kill(process.pid, 15)
    assert process.wait(timeout=30) == 143
