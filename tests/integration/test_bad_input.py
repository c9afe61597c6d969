"""Bad input gets one sentence, and nothing is begun. The table of each word is in tests/unit/test_sweep_spec.py."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from nn.datasets.mnist import load_mnist
from orchestrator.cli.main import run
from tests.support.cluster import Cluster
from tests.support.command_line import SMALL, CommandLine
from tests.support.idx_files import write_idx_folder
from tests.support.in_process import InProcess
from tests.support.planned import planned
from tests.support.redis_server import free_port

READABLE = "allowed: a readable TOML file, or a sweep's sweep.json"
ANY_DATA = "allowed: bundled, openml, or a folder with the four IDX files"
BAD_INPUT = [
    # Words of the specification
    (["--seeds", "5-2"], "--seeds is '5-2'; allowed: integers from 0 to 4294967295 and rising ranges"),
    (["--epochs", "5", "--epochs", ""], "--epochs is ''; allowed: integers from 1 to 100000, separated by commas"),
    (["--hidden", "128,64", "--hidden", "64"], "--hidden is '64'; allowed: two integers from 1 to 4096, such as"),
    (["--learning-rate", "log:0..1:5"], "--learning-rates is 'log:0..1:5'; allowed: a logarithmic range whose lower"),
    (["--learning-rates", "log:0.1..1"], "--learning-rates is 'log:0.1..1'; allowed: in a grid, a range with a number"),
    (["--data", "bundled", "--data", "openml"], '--data is ["bundled", "openml"]; allowed: one data set'),
    (["--epochs", "linear:1..30000:30000"], "the sweep is one of 600,000 jobs; allowed: at most 100,000 jobs (it has"),
    # Words that do not fit together, or do not fit the data set
    (["--limit", "59500"], "--limit is 59500; allowed: less than 59500, the number of training samples in the data"),
    (["--limit", "10", "--limit", "60000,none"], "--limit is 60000; allowed: less than 59500, the number of"),
    (["--test-size", "59499"], "--test-size is 59499; allowed: at most 59498, 2 less than the 59500 training samples"),
    (["--test-size", "99", "--limit", "500,100"], "test-size is 99; allowed: at most 98, 2 less than limit 100"),
    (["--test-size", "0,9"], "test-size is 0 and 9; allowed: one value, because all configurations of a sweep have"),
    (
        ["--trainer", "sklearn", "--set", "estimator=Ridge", "--test-size", "9"],
        "a word of the command line is 'test_size'",
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
    # Specification files
    (["--spec", "idle.toml"], "loss in idle.toml is sum_of_squares; allowed: cross_entropy together with rule"),
    (["--spec", "idle.toml", "--loss", "mse"], "--loss is 'mse'"),
    (["--spec", "near.toml"], "a word of near.toml is 'learning_rats'; allowed: trainer, seeds, learning_rates,"),
    (["--spec", ""], "--spec is ''; allowed: the path of a TOML file, or of a sweep's sweep.json"),
    (["--spec", "none.toml"], f"--spec is 'none.toml'; {READABLE} (No such file or directory)"),
    (["--spec", "pipe"], f"--spec is 'pipe'; {READABLE} (Not a regular file)"),
    (["--spec", "/dev/zero"], f"--spec is '/dev/zero'; {READABLE} (Not a regular file)"),
    # Data sets
    (["--data", "no-such-folder"], "no-such-folder"),
    (["--data", "a" * 5000], "cannot be read: File name too long; allowed: 'bundled', 'openml', or a folder"),
    (["--data", "a\nb"], "a\\nb' is not a folder; allowed: "),
    (["--data", "loop/x"], "loop/x' is not a folder; allowed: "),
    (["--data", os.fsdecode(b"caf\xe9")], f"--data is 'caf\\udce9'; {ANY_DATA}"),
    (["--data", "pipe"], "pipe' is not a folder; allowed: "),
    # Names and folders
    (["--name", "../up"], "--name is '../up'"),
    (["--name", "taken"], "A sweep named taken exists in runs: choose another --name, or go on with it by --resume"),
    (["--name", "empty"], "There is no sweep in runs/empty: the folder has no sweep.json; choose another --name, or"),
    (["--name", "empty", "--resume"], "There is no sweep in runs/empty: the folder has no sweep.json"),
    (["--output", ".", "--name", "file"], "There is no sweep in file: it is a file; choose another --name, or move"),
    (["--output", ".", "--name", "file", "--resume"], "There is no sweep in file: it is a file"),
    (["--name", "none", "--resume"], "There is no sweep named none in runs"),
    (["--resume"], "--name is missing; allowed: the name of the sweep that --resume goes on with"),
    (["--output", ""], "--output is ''"),
    (["--output", "file/deeper"], "The output folder file/deeper/x cannot be written: "),
    (["--output", "new/" + "a" * 300], "x cannot be written: File name too long"),
    (["--output", "loop"], "The output folder loop/x cannot be written: "),
    (["--output", "pipe", "--name", "pipe"], "The output folder pipe/pipe cannot be written: Not a directory"),
    (["--output", "pipe", "--name", "pipe", "--resume"], "pipe/pipe/sweep.json cannot be read: Not a directory"),
    # Clusters
    (["--workers", "1_0"], "--workers is '1_0'; allowed: an integer from 1 to 1024"),
    (["--workers", "0"], "--workers is '0'; allowed: an integer from 1 to 1024"),
    (["--broker", "amqp://localhost"], "--broker is 'amqp://localhost'; allowed: redis://"),
    (["--broker", "redis://:secret@127.0.0.1:PORT/0"], "No Redis server answers at redis://:**@127.0.0.1:PORT/0: "),
    (["--broker", "redis+socket:///no/such.sock"], "No Redis server answers at redis+socket:///no/such.sock"),
    (
        ["--broker", "redis://127.0.0.1:1/0", "--workers", "2"],
        "--workers is 2; allowed: nothing together with the cluster at redis://127.0.0.1:1/0, which has its own",
    ),
]


@pytest.fixture
def here(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    """Commands in a folder that has sweeps, a file, a pipe and a link to itself."""
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    for name in ("taken", "empty"):
        (command_line.folder / "runs" / name).mkdir(parents=True)
    (command_line.folder / "runs" / "taken" / "sweep.json").write_text("{}")
    (command_line.folder / "file").touch()
    (command_line.folder / "idle.toml").write_text(
        '[grid]\nloss = ["cross_entropy", "sum_of_squares"]\n[options]\nrule = "notebook"\n'
    )
    (command_line.folder / "near.toml").write_text("learning_rats = 0.1\n")
    (command_line.folder / "loop").symlink_to("loop")
    os.mkfifo(command_line.folder / "pipe")
    return InProcess(command_line, monkeypatch, capsys)


@pytest.mark.parametrize(("arguments", "sentence"), BAD_INPUT, ids=[" ".join(case[0])[:50] for case in BAD_INPUT])
def test_bad_input_gets_one_sentence_and_nothing_is_begun(here: InProcess, arguments: list[str], sentence: str) -> None:
    before = {str(path) for path in here.folder.rglob("*")}
    processes = psutil.Process().children(recursive=True)
    port = str(free_port())
    name = [] if "--name" in arguments or "--resume" in arguments else ["--name", "x"]

    # When the command is given something that cannot be used
    said = here.refused("sweep", *name, *(argument.replace("PORT", port) for argument in arguments))

    # Then it says what in one line, and has started and made nothing.
    assert sentence.replace("PORT", port) in said
    assert {str(path) for path in here.folder.rglob("*")} == before
    assert psutil.Process().children(recursive=True) == processes


@pytest.mark.usefixtures("here")
def test_a_repeated_value_is_dropped_and_said_once_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.toml").write_text("[grid]\nlimit = [5, 5, 6]\n")

    plan = planned("--name", "x", "--epochs", "5,7", "--epochs", "5", "--spec", "a.toml")
    specification = plan.manifest.specification

    assert specification.grid["epochs"] == (5, 7)
    assert specification.grid["limit"] == (5, 6)
    assert capsys.readouterr().err == (
        "--epochs has 1 value more than once, which counts once: 5\n"
        "limit in a.toml has 1 value more than once, which counts once: 5\n"
    )


@pytest.mark.usefixtures("here")
def test_a_limit_leaves_samples_out(tmp_path: Path, cache_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A limit of all that there is to train on would be a second name for a job without a limit.
    write_idx_folder(tmp_path / "small")  # 20 images, of which 15 % are kept back
    for words, samples in (((), len(load_mnist(cache_dir=cache_dir).train)), (("--data", str(tmp_path / "small")), 17)):
        plan = planned("--name", "x", *words, "--limit", str(samples - 1))
        assert plan.manifest.specification.options["limit"] == samples - 1
        assert run(["sweep", "--name", "x", *words, "--limit", str(samples)]) == 2
        assert f"--limit is {samples}; allowed: less than {samples}, the" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_sweep_without_a_sampler_is_not_resumed_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned("--name", "x")
    plan.folder.create(plan.manifest)
    assert run(["sweep", "--name", "x", "--resume", "--sampler", "random"]) == 2
    assert "--sampler is 'random'; allowed: nothing, as the sweep x began withou" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("~nobody-here/x", "SEEDSWEEP_DATA is '~nobody-here/x'; allowed: bundled, openml, or a folder with the four "),
        ("/no/such", "SEEDSWEEP_DATA: the data set '/no/such' is not a folder; allowed: "),
    ],
)
def test_bad_data_of_the_environment_is_named_as_such(
    here: InProcess, monkeypatch: pytest.MonkeyPatch, value: str, sentence: str
) -> None:
    monkeypatch.setenv("SEEDSWEEP_DATA", value)
    assert here.refused("sweep", "--name", "x").startswith(sentence)
    # A word of the command line is not blamed on the variable.
    assert here.refused("sweep", "--name", "x", "--data", ".").startswith(f"{here.folder} has no file")


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
