"""Bad input gets one sentence, and nothing is begun."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import psutil
import pytest

from nn.datasets.mnist import load_mnist
from nn.errors import InvalidInputError
from orchestrator.cli.main import run
from orchestrator.cli.sweep import make_plan
from orchestrator.cli.words.options import SweepOptions
from tests.support.cluster import Cluster
from tests.support.command_line import SMALL, CommandLine
from tests.support.idx_files import write_idx_folder
from tests.support.redis_server import free_port

BAD_INPUT = [
    (["--learning-rates", "0"], "--learning-rates is '0'; allowed: finite numbers greater than 0"),
    (["--learning-rates", "-0.1"], "--learning-rates is '-0.1'"),
    (["--learning-rates", "nan"], "--learning-rates is 'nan'"),
    (["--learning-rates", "fast"], "--learning-rates is 'fast'"),
    (["--seeds", "5-2"], "--seeds is '5-2'; allowed: integers from 0 to 4294967295 and rising ranges"),
    (["--seeds", ""], "--seeds is ''"),
    (["--seeds", "4294967296"], "--seeds is '4294967296'"),
    (["--seeds", "0-99999999"], "--seeds is '0-99999999'; allowed: at most 100,000 seeds"),
    (["--epochs", "0"], "--epochs is '0'; allowed: integers from 1 to 100000, separated by commas"),
    (["--hidden", "128"], "--hidden is '128'; allowed: two integers from 1 to 4096, such as 128,64"),
    (["--loss", "mse"], "--loss is 'mse'; allowed: cross_entropy or sum_of_squares"),
    (["--dtype", "float16"], "--dtype is 'float16'"),
    (["--rule", "magic"], "--rule is 'magic'"),
    (
        ["--rule", "notebook", "--biases"],
        "biases is true; allowed: false together with rule notebook, whose update has no biases",
    ),
    (["--engine", "gpu"], "--engine is 'gpu'"),
    (["--limit", "0"], "--limit is '0'"),
    (["--limit", "59500"], "--limit is 59500; allowed: less than 59500, the number of training samples in the data"),
    (["--limit", "10", "--limit", "60000,none"], "--limit is 60000; allowed: less than 59500, the number of"),
    (["--test-size", "-1"], "--test-size is '-1'; allowed: integers from 0 to 2147483647, separated by commas"),
    (
        ["--test-size", "59499"],
        "--test-size is 59499; allowed: at most 59498, 2 less than the 59500 training samples in the data set",
    ),
    (["--test-size", "99", "--limit", "500,100"], "test-size is 99; allowed: at most 98, 2 less than limit 100"),
    (["--test-size", "0,9"], "test-size is 0 and 9; allowed: one value, because all configurations of a sweep have"),
    (
        ["--trainer", "sklearn", "--set", "estimator=Ridge", "--test-size", "9"],
        "a word of the command line is 'test_size'",
    ),
    (["--learning-rates", "1_0"], "--learning-rates is '1_0'; allowed: finite numbers greater than 0"),
    # Each axis with a value that is not allowed, an empty one, a range that is none, or a pair without effect
    (["--epochs", "5,0"], "--epochs is '5,0'; allowed: integers from 1 to 100000, separated by commas"),
    (["--epochs", "5", "--epochs", ""], "--epochs is ''; allowed: integers from 1 to 100000"),
    (["--hidden", "128,64", "--hidden", "64"], "--hidden is '64'; allowed: two integers from 1 to 4096, such as"),
    (["--loss", "cross_entropy,mse"], "--loss is 'cross_entropy,mse'; allowed: cross_entropy or sum_of_squares"),
    (["--loss", "cross_entropy,"], "--loss is 'cross_entropy,'; allowed: cross_entropy or sum_of_squares"),
    (["--dtype", "float32", "--dtype", "float16"], "--dtype is 'float16'"),
    (["--rule", ","], "--rule is ','"),
    (["--engine", "numpy", "--engine", "gpu"], "--engine is 'gpu'"),
    (["--limit", "none,0"], "--limit is 'none,0'"),
    (["--initialization", "he,xavier"], "--initialization is 'he,xavier'; allowed: notebook, lecun, "),
    (["--initial-scale", "0"], "--initial-scale is '0'; allowed: finite numbers greater than 0"),
    (["--seeds", "0-4", "--seeds", "x"], "--seeds is 'x'; allowed: integers from 0 to"),
    (["--seeds", "0-60000", "--seeds", "70000-110001"], "allowed: at most 100,000 seeds"),
    (["--data", "bundled", "--data", "openml"], '--data is ["bundled", "openml"]; allowed: one data set'),
    (
        ["--learning-rate", "log:0.3..0.001:7"],
        "--learning-rates is 'log:0.3..0.001:7'; allowed: a range from its lower",
    ),
    (
        ["--learning-rates", "log:0..1:5"],
        "--learning-rates is 'log:0..1:5'; allowed: a logarithmic range whose lower end",
    ),
    (["--learning-rates", "linear:1..2:1"], "--learning-rates is 'linear:1..2:1'; allowed: a range of 2 to 100,000 "),
    (["--learning-rates", "linear:1..1:5"], "--learning-rates is 'linear:1..1:5'; allowed: a range from its lower end"),
    (["--learning-rates", "0.1..0.3"], "--learning-rates is '0.1..0.3'; allowed: a range such as log:0.001..0.3:7"),
    (["--learning-rates", "log:0.1..1"], "--learning-rates is 'log:0.1..1'; allowed: in a grid, a range with a number"),
    (["--epochs", "linear:1..2.5:3"], "--epochs is 'linear:1..2.5:3'; allowed: integers from 1 to 100000"),
    (["--learning-rates", "linear:1..2:1000000000"], "allowed: a range of 2 to 100,000 points"),
    (
        ["--epochs", "linear:1..1000:1000", "--limit", "linear:1..1000:1000", "--learning-rate", "linear:1..2:1000"],
        "the sweep is one of 5,000,000,000 jobs; allowed: at most 100,000 jobs (it has 5 seeds x 1000 values of lear",
    ),
    (
        ["--rule", "notebook", "--loss", "sum_of_squares"],
        "--loss is sum_of_squares; allowed: cross_entropy together with rule notebook, whose update has no loss",
    ),
    (
        ["--rule", "backprop,notebook", "--loss", "cross_entropy,sum_of_squares"],
        "--loss is sum_of_squares; allowed: cross_entropy together with rule notebook, whose update has no loss",
    ),
    (
        ["--learning-rates", "0.1,0.10000000001"],
        "--learning-rates is 0.1 and 0.10000000001; allowed: numbers that differ in float32",
    ),
    (["--biases", "--no-biases", "--rule", "notebook"], "--biases is true; allowed: false together with rule notebook"),
    (["--shuffle", "--no-shuffle", "--limit", "1,9"], "--shuffle is true; allowed: false together with limit 1, which"),
    (
        ["--spec", "idle.toml"],
        "loss in idle.toml is sum_of_squares; allowed: cross_entropy together with rule notebook",
    ),
    (["--spec", "idle.toml", "--loss", "mse"], "--loss is 'mse'"),
    (
        ["--spec", "near.toml"],
        "a word of near.toml is 'learning_rats'; allowed: trainer, seeds, learning_rates,",
    ),
    (["--spec", "near.toml"], "(did you mean learning_rates"),
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
    (["--name", "empty"], "There is no sweep in runs/empty: the folder has no sweep.json; choose another --name, or"),
    (["--name", "empty", "--resume"], "There is no sweep in runs/empty: the folder has no sweep.json"),
    (["--output", ".", "--name", "file"], "There is no sweep in file: it is a file; choose another --name, or move"),
    (["--output", ".", "--name", "file", "--resume"], "There is no sweep in file: it is a file"),
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
    (["--spec", ""], "--spec is ''; allowed: the path of a TOML file, or of a sweep's sweep.json"),
    (
        ["--spec", "none.toml"],
        "--spec is 'none.toml'; allowed: a readable TOML file, or a sweep's sweep.json (No such file or directory)",
    ),
    (
        ["--spec", "pipe"],
        "--spec is 'pipe'; allowed: a readable TOML file, or a sweep's sweep.json (Not a regular file)",
    ),
    (
        ["--spec", "/dev/zero"],
        "--spec is '/dev/zero'; allowed: a readable TOML file, or a sweep's sweep.json (Not a regular file)",
    ),
    (["--broker", "amqp://localhost"], "--broker is 'amqp://localhost'; allowed: redis://"),
    (["--broker", "redis://:secret@127.0.0.1:PORT/0"], "No Redis server answers at redis://:**@127.0.0.1:PORT/0: "),
    (["--broker", "redis+socket:///no/such.sock"], "No Redis server answers at redis+socket:///no/such.sock"),
    (
        ["--broker", "redis://127.0.0.1:1/0", "--workers", "2"],
        "--workers is '2'; allowed: nothing together with --broker",
    ),
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
    (tmp_path / "idle.toml").write_text(
        '[grid]\nloss = ["cross_entropy", "sum_of_squares"]\n[options]\nrule = "notebook"\n'
    )
    (tmp_path / "near.toml").write_text("learning_rats = 0.1\n")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(cache_dir))
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    before = {str(path) for path in tmp_path.rglob("*")}
    processes = psutil.Process().children(recursive=True)
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
    assert psutil.Process().children(recursive=True) == processes


def test_a_repeated_value_is_dropped_and_said_once_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(cache_dir))
    (tmp_path / "a.toml").write_text("[grid]\nlimit = [5, 5, 6]\n")
    options = SweepOptions("a.toml", "x", "runs", None, None, resume=False, reuse=True, json=False)

    specification = make_plan({"epochs": ("5,7", "5")}, options).manifest.specification

    assert specification.grid["epochs"] == (5, 7)
    assert specification.grid["limit"] == (5, 6)
    assert capsys.readouterr().err == (
        "--epochs has 1 value more than once, which counts once: 5\n"
        "limit in a.toml has 1 value more than once, which counts once: 5\n"
    )


def test_a_limit_leaves_samples_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_dir: Path) -> None:
    # A limit of all that there is to train on would be a second name for a job without a limit.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(cache_dir))
    write_idx_folder(tmp_path / "small")  # 20 images, of which 15 % are kept back
    for words, samples in (({}, len(load_mnist(cache_dir=cache_dir).train)), ({"data": str(tmp_path / "small")}, 17)):
        options = SweepOptions(None, "x", "runs", None, None, resume=False, reuse=True, json=False)
        plan = make_plan(words | {"limit": str(samples - 1)}, options)
        assert plan.manifest.specification.options["limit"] == samples - 1
        with pytest.raises(InvalidInputError, match=f"--limit is {samples}; allowed: less than {samples}, the"):
            make_plan(words | {"limit": str(samples)}, options)


def test_a_sweep_without_a_sampler_is_not_resumed_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_dir: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(cache_dir))
    options = SweepOptions(None, "x", "runs", None, None, resume=False, reuse=True, json=False)
    plan = make_plan({}, options)
    plan.folder.create(plan.manifest)
    with pytest.raises(InvalidInputError, match="--sampler is 'random'; allowed: nothing, as the sweep x began withou"):
        make_plan({"sampler": "random"}, dataclasses.replace(options, resume=True))


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

    assert done.stderr.startswith(f"orchestrator: {cluster.server.url.replace('//', '//:**@')} denies access: ")
    assert "wrong" not in done.stderr
