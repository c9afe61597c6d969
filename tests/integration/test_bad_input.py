"""Bad input of every command gets one sentence, and nothing is begun.

The tables of values are in tests/unit/test_sweep_spec.py, test_ranges.py and test_effects.py, those of specification
files in test_specification_files.py, of paths in test_dataset.py and test_sweep_folder.py, and of words that name jobs
in test_inspection.py.
"""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.specification import MAX_JOBS
from tests.support.boards import folder_of
from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine, command_line_in
from tests.support.idx_files import write_idx_folder
from tests.support.in_process import InProcess
from tests.support.redis_server import free_port
from tests.support.sweeps import manifest_of, sweep_of

READABLE = "allowed: a readable TOML file, or a sweep's sweep.json"
BEGAN = "as the sweep a began (or leave it out)"
IDLE_LOSS = "loss is sum_of_squares; allowed: cross_entropy together with rule notebook, whose update has no loss"
USAGE = (
    "allowed: another sweep; two configurations; or another sweep and one configuration for both or one of each. A "
    "configuration is NAME=VALUE, or several of them in quotes"
)
PICTURES = "allowed: intervals, metric-by-learning_rate, curves, differences"
NO_CHART = "the sweep has no such chart, because"
#: The sentence, or a part of it, by the words of a command; `sweep` has the name x if no name is given.
BAD_INPUT: dict[str, dict[str, str]] = {
    "sweep": {
        "--seeds 0 --keep-weights best": "--keep-weights is 'best'; allowed: all, none, or best:K",
        "--seeds 0 --fail-fast 0": "--fail-fast is '0'; allowed: an integer from 1 to 100000",
        "--seeds 0 --time-limit 0": "--time-limit is '0'; allowed: an integer from 1 to 315360000",
        "--time-limit 5 --broker redis://localhost:PORT": "--time-limit cannot be combined with the "
        "cluster at redis://localhost:PORT, which has its own workers",
        "--seeds 0 --reuse-from missing": "There is no sweep 'missing': neither a sweep folder nor a name in runs",
        "--seeds 0 --no-reuse --reuse-from a": "--reuse-from cannot be combined with --no-reuse",
        "--seeds 0 --no-reuse --reuse-anyway": "--reuse-anyway cannot be combined with --no-reuse",
        # Words of the specification
        "--zip epochs=1,2 learning-rate=0.1": "--zip is 'epochs,learning_rate'; allowed: different options with "
        "equally many values (these have 2 and 1)",
        "--epochs 1 --zip epochs=1,2 biases=true,false": "--zip epochs cannot be combined with --epochs",
        "--zip epochs=1,2 speed": "--zip is 'speed'; allowed: NAME=VALUE,VALUE,... or NAME=RANGE",
        "--zip epochs=1,2 biases=true,false --sampler random --samples 2": "--sampler cannot be combined with "
        "zipped or conditional values",
        "--grid shuffle=true,false@biases=true": "--grid shuffle is 'shuffle@biases=true'; allowed: one condition "
        "for an option with a default, beside another one, which vary: learning_rate, shuffle",
        "--grid shuffle=true,false@bias=true": "--grid shuffle is 'shuffle@bias=true'; allowed: names of options; "
        "'bias' is none",
        "--grid epochs=1,2 --grid shuffle=true,false@epochs=3": "--grid shuffle is @epochs=3; allowed: @epochs=1,2",
        "--grid biases=true@epochs=1 --grid biases=false@epochs=2 --epochs 1,2": "--grid biases is 'biases@epochs=1'; "
        "allowed: one condition for an option with a default, beside another one, which vary: learning_rate, ",
        "--grid 'epochs=\"1'": "--grid epochs is '\"1'; allowed: integers from 1 to 100000, separated by commas",
        # Words that do not fit together, or do not fit the data set
        "--limit 59500": "--limit is 59500; allowed: less than 59500, the number of training samples in the data",
        "--limit 10 --limit 60000,none": "--limit is 60000; allowed: less than 59500, the number of",
        "--data small --limit 17": "--limit is 17; allowed: less than 17, the number of training samples",
        "--test-size 59499": "--test-size is 59499; allowed: at most 59498, 2 less than the 59500 training samples",
        "--test-size 0,9": "test-size is 0 and 9; allowed: one value, because all configurations of a sweep have",
        "--split fixed --split seed": "--split is fixed and seed; allowed: one value, because a seed validates all",
        "--trainer sklearn --set estimator=GaussianNB --grid split=fixed,seed": "split is fixed and seed; allowed: one",
        "--trainer sklearn": "--set estimator is missing; allowed: the class name of a classifier",
        "--trainer sklern": "--trainer is 'sklern'; allowed: the name of an installed trainer",
        "--trainer sklearn --set estimator=SVX": "estimator is 'SVX'",
        "--trainer sklearn --set estimator=SVC --set C=-1": "--set C is '-1'",
        "--trainer sklearn --set estimator=SVC --set C=1,2": "--set C is 1.0,2.0; allowed: one",
        "--set epohcs=9": "--set epohcs is unknown; allowed: an option of the trainer network: learning_rates, epochs, "
        "hidden, rule, loss, dtype, shuffle, engine, limit, initialization, initial_scale, biases, test_size, split "
        "(did you mean epochs?)",
        "--trainer sklearn --set estimator=Ridge --test-size 9": "--test-size is unknown; allowed: an option of the "
        "trainer sklearn: estimator, epochs, standardize, split, alpha, ",
        "--rule backprop,notebook --loss cross_entropy,sum_of_squares": f"--{IDLE_LOSS}",
        # Specification files
        "--spec idle.toml": "loss in idle.toml is sum_of_squares; allowed: cross_entropy together with rule",
        "--spec idle.toml --loss mse": "--loss is 'mse'",
        "--spec ''": "--spec is ''; allowed: the path of a TOML file, or of a sweep's sweep.json",
        "--spec pipe": f"--spec is 'pipe'; {READABLE} (Not a regular file)",
        # Data sets
        "--data no-such-folder": "--data: the data set '/",
        "--data 'a\nb'": "a\\nb' is not a folder; allowed: ",
        "--data 'caf\udce9'": "--data is 'caf\\udce9'; allowed: bundled, openml, or a folder with the four IDX files",
        # Samplers
        "--samples 3": "--sampler is missing; allowed: random or optuna, because --samples is given",
        "--sampler random": "--samples is missing; allowed: an integer from 1 to 10000, because --sampler is given",
        "--sampler grid --samples 3": "--sampler is 'grid'; allowed: random or optuna",
        "--sampler random --samples 0": "--samples is '0'; allowed: an integer from 1 to 10000",
        "--sampler random --samples 5": "--samples is 5; allowed: at most 4, the number of configurations that",
        "--sampler random --samples 9999 --seeds 0-99": "the sweep is one of 999,900 jobs; allowed: at most 100,000",
        "--sampler random --samples 2 --learning-rates 0.1": (
            "--sampler is 'random'; allowed: only where an option varies"
        ),
        "--sampler optuna --samples 9 --sampler-batch 1001": "--sampler-batch is '1001'; allowed: an integer from",
        "--sampler optuna --samples 9 --learning-rates log:0.1..1:1001": (
            "--learning-rates is a list of 1,001 values; allowed: with --sampler optuna, at most 1,000 values, or"
        ),
        "--sampler random --samples 2 --sampler-batch 2": "--sampler-batch is 2; allowed: only with the",
        "--sampler random --samples 2 --learning-rates log:0.1..1 --learning-rates 2": (
            "--learning-rates is log:0.1..1,2.0; allowed: either values, or one range"
        ),
        "--sampler random --samples 2 --epochs linear:0.5..2": "--epochs is 'linear:0.5..2'; allowed: ",
        "--sampler optuna --samples 9 --rule backprop,notebook --loss cross_entropy,sum_of_squares": f"--{IDLE_LOSS}",
        # Names and folders
        "--name ../up": "--name is '../up'",
        "--name a": "A sweep named a exists in runs: choose another --name, or go on with it by --resume",
        "--name empty": "There is no sweep in runs/empty: the folder has no sweep.json; choose another --name, or",
        "--name empty --resume": "There is no sweep in runs/empty: the folder has no sweep.json",
        "--output . --name file": "There is no sweep in file: it is a file; choose another --name, or move",
        "--name none --resume": "There is no sweep 'none': neither a sweep folder nor a name in runs (did you",
        "--resume --output new": "There is no sweep in new yet: orchestrator sweep begins one",
        "--output ''": "--output is ''",
        "--output file/deeper": "The output folder file/deeper/x cannot be written: ",
        "--resume --name lent": "runs/lent/results.jsonl cannot be read: A link out of its folder",
        "--resume --name closed": "runs/closed/results.jsonl is not a regular file: move it away to",
        # Words that a resumed sweep did not begin with
        "--resume --name a --seeds 0-9": f"--seeds is '0-9'; allowed: 0-1, {BEGAN}",
        "--resume --name a --learning-rates 0.50": f"--learning-rates is '0.5'; allowed: 0.01,0.03, {BEGAN}",
        "--resume --name a --hidden 8,4 --hidden 9,8": f"--hidden is '8,4 and 9,8'; allowed: 128,64, {BEGAN}",
        "--resume --name a --shuffle": f"--shuffle is 'true'; allowed: false, {BEGAN}",
        "--resume --name a --spec later.toml": f"epochs in later.toml is '3'; allowed: 2, {BEGAN}",
        "--resume --name a --data openml": "--data is 'openml'; allowed: bundled, as the sweep a began",
        "--resume --name a --sampler random": f"--sampler is 'random'; allowed: nothing, {BEGAN}",
        "--resume --name axes --shuffle": "--shuffle is 'true'; allowed: true,false, as the sweep axes",
        "--resume --name axes --hidden 8,4": "--hidden is '8,4'; allowed: 8,4 and 16,8, as the sweep axes began",
        # Clusters
        "--workers 1_0": "--workers is '1_0'; allowed: an integer from 1 to 1024",
        "--broker amqp://localhost": "--broker is 'amqp://localhost'; allowed: redis://",
        "--broker redis://:secret@127.0.0.1:PORT/0": "No Redis server answers at redis://:**@127.0.0.1:PORT/0: ",
        "--broker redis+socket:///no/such.sock": "No Redis server answers at redis+socket:///no/such.sock",
        "--broker redis://127.0.0.1:1/0 --workers 2": "--workers cannot be combined with the cluster at",
    },
    "extend": {
        "a": "--seeds is missing; allowed: further seeds, further values of an option that varies, or more epochs\n",
        "a --seeds 1-2": "--seeds is '1-2'; allowed: seeds that the sweep does not have; it has 0-1",
        "a --seeds x": "--seeds is 'x'; allowed: integers from 0 to 4294967295",
        "a --epochs 1": "--epochs is '1'; allowed: more than 2, the epochs that the sweep has",
        "a --epochs 2": "--epochs is '2'; allowed: more than 2, the epochs that the sweep has",
        "a --hidden 8,4": "--hidden is '8,4'; allowed: only an option that varies in the sweep (learning_rates)",
        "a --learning-rates 0.03": "--learning-rates is '0.03'; allowed: values that the sweep does not have",
        "a --learning-rates log:0.1..1": "allowed: a range with a number of points, such as log:0.1..1:5",
        "a --grid data=openml": "--grid data is 'openml'; allowed: nothing, because a sweep keeps its data",
        "a --seeds 10-99999 --learning-rates 0.1": "the sweep is one of more than 100,000 jobs; allowed: fewer jobs",
        "drawn --epochs 90": "allowed: nothing, because the sampler random chose the sweep's configurations",
        "asked --seeds 5": "SWEEP is one whose sampler has 1 more configurations to choose",
        "missing --seeds 5": "There is no sweep 'missing': neither",
    },
    "confirm": {
        "a --top 0": "--top is '0'; allowed: an integer from 1 to 100000",
        "a --top 3": "--top is 3; allowed: an integer from 1 to 2, the number of configurations with a result",
        "a --fresh 0": "--fresh is '0'; allowed: an integer from 1 to",
        "a --seeds 1-5": "--seeds is '1-5'; allowed: fresh seeds; the sweep has, or has had, 0-1",
        "a --seeds 5-1": "--seeds is '5-1'; allowed: integers from 0 to 4294967295",
        "a --fresh 3 --seeds 9": "--seeds cannot be combined with --fresh",
        "a --fresh 99999": "the sweep is one of more than 100,000 jobs; allowed: fewer jobs",
        "part": "SWEEP is a sweep of which 2 jobs have not ended; allowed: a sweep that has ended (go on with it by "
        "orchestrator sweep --resume --name part)",
        "bare": "This sweep has no result to confirm",
    },
    "decide": {
        "a --within 0 --budget 9": "--within is '0'; allowed: a number above 0, in the unit of the metric",
        "a --within nan --budget 9": "--within is 'nan'; allowed: a number above 0",
        "a --within 1e999 --budget 9": "--within is '1e999'; allowed: a number above 0",
        "a --within 1 --budget 9": "--within is 1.0; allowed: a number above 0 and below 1, because validation",
        "a --within 0.1 --budget 0": "--budget is '0'; allowed: an integer from 1 to 100000",
        "a --within 0.1 --budget 100000": f"--budget is 100000; allowed: an integer from 1 to {MAX_JOBS - 4}",
        "a --within 0.1": "--budget is missing; allowed: ",
        "../a --within 0.1 --budget 9": "There is no sweep '../a': neither a sweep folder nor a name in runs",
        "one --within 0.1 --budget 9": "a sweep of at least two configurations; this one has one",
        # Which was killed before its first result
        "bare --within 0.1 --budget 3": "at least 4: the number of jobs of the sweep bare without a result",
        "many --within 0.1 --budget 9000": "SWEEP is a sweep of 2,001 configurations; allowed: at most 2,000 of them",
    },
    "verify": {
        "bare": "The sweep bare in runs has no result to verify",
        "closed": "runs/closed/results.jsonl cannot be read: Is a directory",
        "a --jobs 0": "--jobs is '0'; allowed: an integer from 1 to",
        "a --jobs all": "--jobs is 'all'",
        "a --jobs 2 --all": "--jobs cannot be combined with --all",
        "a --seed -1": "--seed is '-1'",
        "a --broker redis://127.0.0.1:1/0": "No Redis server answers",
        "a lerning_rate=0.03": "the job is 'lerning_rate=0.03'; allowed: learning_rate=VALUE, the",
    },
    "show": {"a seed=0": "the job is 'seed=0'; allowed: words that fit one job of the sweep a; 2 jobs fit, so add"},
    "logs": {"a seed=9": "the job is 'seed=9'; allowed: "},
    "predict": {
        "a": "--image is missing; allowed: a picture of one digit",
        "a --image ''": "--image is ''; allowed: the path of a picture",
        "a --image none.png": "--image: 'none.png' cannot be read: No such file or directory",
        "a --image near.toml ''": "--image: 'near.toml' is not a picture; allowed:",
    },
    "test": {
        "held epochs=2": "2 fit, so add learning_rate (0.01 or 0.03)",
        "a": "The sweep a has no test split: begin one with --test-size to hold samples out",
    },
    "leaderboard": {
        "empty": "There is no sweep in runs/empty: the folder has no sweep.json",
        "damaged": "does not describe a sweep",
        "a --output=": "--output is ''; allowed: the path of a folder",
        "a --metric loss": "--metric is 'loss'; allowed: last, best, or mean-K with K from 1 to 100000 epochs; or a "
        "metric that every job has: validation accuracy",
        "a --metric mean-3": "--metric is 'mean-3'; allowed: at most mean-2: a job of the sweep has 2 epochs",
        "a --columns '\"loss'": "--columns is '\"loss'; allowed: a metric that every job has: validation accuracy",
        "a --columns validation --csv": "--columns cannot be combined with --csv, which has all columns\n",
        "a --by seed": "--by is 'seed'; allowed: configuration or job",
        "a --sort speed": "--sort is 'speed'; allowed: one of rank, n, mean, low, contender, regret, p_best, "
        "diverged, diverged_low, stopped, failed, cancelled, low_new, honest_mean, std, best, worst, or an option that "
        "varies (learning_rate)",
        "a --within 0": "--within is '0'; allowed: a number above 0, in the unit of the metric, such as 0.001",
        "a --top 0": "--top is '0'; allowed: an integer from 1 to 100000",
        "a --csv --json": "--json cannot be combined with --csv",
        "a --by job --sort n": "--sort cannot be combined with --by job, which sorts by the score",
        "a --json --wide": "--wide cannot be combined with --json, which has all columns\n",
        "a --where learning_rate=0.5": "--where is 'learning_rate=0.5'; allowed: learning_rate=0.01 or 0.03, as in",
        "a --where seeds=0": "--where is 'seeds=0'; allowed: options, because a configuration is judged by all its ",
        "a --where 0:0.03": "--where is '0:0.03'; allowed: options, because",
        "a --where learning_rate=0.01 --where 0:0.03": "--where is 'learning_rate=0.01 0:0.03'; allowed: words that "
        "fit a job of the sweep a together; each fits some",
    },
    "compare": {
        "a": f"B is missing; {USAGE}",
        "a biased biased": f"B is 'biased biased'; {USAGE}",
        "a learning_rate=0.01": f"B is 'learning_rate=0.01'; {USAGE}",
        "a learning_rate=0.01 biased": f"B is 'learning_rate=0.01 biased'; {USAGE}",
        "a epochs=2 epochs=2 epochs=3": "B is 'epochs=2 epochs=2 epochs=3'; allowed: ",
        "a none": "There is no sweep 'none': neither a sweep folder nor a name in runs",
        "a learning_rate=0.01 learning_rate=0.5": "the configuration is 'learning_rate=0.5'; allowed: learning_rate=",
        "a seed=1 learning_rate=0.01": "the configuration is 'seed=1'; allowed: words about its options only",
        "a biased --within 0": "--within is '0'; allowed: a number above 0",
        "a biased --within 2": "--within is 2.0; allowed: a number above 0 and below 1, because",
        "a biased --output=": "--output is ''",
        "a split": "The sweeps a and split cannot be compared: each seed of split draws its own split, and all seeds",
    },
    "report": {
        "a --to ''": "--to is ''; allowed: the path of a file",
        "a --to no/where.html": "The report no/where.html cannot be written: No such file or directory",
        "a --to /dev/null": "The report /dev/null cannot be written: what exists there is not a report",
        "a --format png": "--chart is missing; allowed: the name of a chart, because --format or --to asks for a "
        "picture\n",
        "a --to x.PNG": "--chart is missing; allowed: the name of a chart, because --format or --to asks",
        "a --chart nothing": f"--chart is 'nothing'; {PICTURES}\n",
        "a --chart metric-by-epochs": f"--chart is 'metric-by-epochs'; {PICTURES}\n",
        "a --chart heatmap": f"is 'heatmap'; {PICTURES}; {NO_CHART} it needs exactly two options that vary, not 1\n",
        "a --chart timeline": f"is 'timeline'; {PICTURES}; {NO_CHART} no attempt at one of its jobs has times\n",
        "a --chart curves --format gif": "--format is 'gif'; allowed: png, svg or pdf\n",
        "a --chart curves --to x.gif": "--to is 'x.gif'; allowed: a name that ends in .png, .svg or .pdf\n",
        "a --chart curves --to x.svg --format png": "--to is 'x.svg'; allowed: a name that ends in .png\n",
        "a --chart curves --to /dev/null": "The chart /dev/null cannot be written: what exists there is not a PNG file",
        "bare --chart curves": f"--chart is 'curves'; allowed: none yet; {NO_CHART} no job has a result\n",
    },
    "export": {
        "a --to xlsx": "--to is 'xlsx'; allowed: csv, mlflow, ",
        "a --to csv --file ''": "--file is ''; allowed: the path of a file",
        "a --to csv --file 'a\0b'": "--file is 'a\\x00b'; allowed",
        "a --to csv --file ..": ".. is not a file, and no export replaces it",
        "a --to csv --tracking-uri http://a": "--tracking-uri cannot be combined with --to csv\n",
        "a --to mlflow --tracking-uri sqlite:///no/such/a.db": "allowed: a database in a folder that exis",
        "a --to mlflow --tracking-uri sqlite://": "is 'sqlite://'; allowed: sqlite:/// and the path of",
        "a --to mlflow --tracking-uri sqlite:///:memory:": "allowed: sqlite:/// and the path of a file",
        "a --to mlflow --tracking-uri http://": "allowed: http:// and the name of a host",
        "a --to mlflow --tracking-uri 'ftp://h/?token=secret'": "--tracking-uri is 'ftp://h/?...'; allowed",
        "a --to mlflow --tracking-uri http://[x": "--tracking-uri is 'http://[x'; allowed",
        "a --to mlflow --tracking-uri http://a --force": "--force cannot be combined with --tracking",
        "bare --to csv": "No job of the sweep bare has ended yet: there is nothing to export",
    },
    "serve": {
        "--port 0x50": "--port is '0x50'; allowed: an integer from 0 to 65535",
        "--port 65536": "--port is '65536'",
        "--host 256.0.0.1": "--host is '256.0.0.1'; allowed: an address of this machine, such as 127.0.0.1, or",
        "--host 192.0.2.1": "--host is '192.0.2.1'; allowed: an address of this machine",
        "--host ''": "--host is ''",
        "--output nowhere": "There is no folder nowhere: --output names the folder that holds the sweeps",
        "none": "There is no sweep 'none': neither a sweep folder nor a name in runs",
        "--allow-host a/b": "--allow-host is 'a/b'; allowed: the name of a host",
        "--token-file none": "--token-file is 'none' (No such file or directory); allowed: the path of a file",
        "--token-file near.toml": "--token-file is 'near.toml' with something else; allowed: a file with at least 16 ",
    },
    "plot": {
        "a nothing": "CHART is 'nothing'; allowed: intervals, metric-by-learning_rate, curves",
        "a heatmap": "allowed: intervals, metric-by-learning_rate, curves; the sweep has no such chart, because ",
        "bare": "CHART is 'intervals'; allowed: none yet; the sweep has no such chart, because no job has a result",
    },
}
NOBODY = "redis://127.0.0.1:1/0"
FOLLOWING = {
    "none": "There is no sweep 'none': neither a sweep folder nor a name in runs (did you mean one?)\n",
    "xyz": "a name in runs; if a cluster trains it, name that by --broker or CELERY_BROKER_URL\n",
    f"../up --broker {NOBODY}": "There is no sweep '../up': neither a sweep folder nor a name in runs",
    f"none --broker {NOBODY}": f"No Redis server answers at {NOBODY}",
    "--output new": "There is no sweep in new yet: orchestrator sweep begins one",
    "--output file": "file cannot be read: Not a directory",
}
# A folder that cannot be used is said before the cluster is asked.
BAD_INPUT["watch"] = FOLLOWING | {
    f"a --output file --broker {NOBODY}": "The output folder file/a cannot be written: Not a directory",
    f"file --output . --broker {NOBODY}": "There is no sweep in file: it is a file",
}
BAD_INPUT["cancel"] = FOLLOWING
CASES = [(command, words, said) for command, table in BAD_INPUT.items() for words, said in table.items()]


def _bare(folder: SweepFolder) -> SweepFolder:
    (folder.path / "results.jsonl").unlink()
    return folder


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[CommandLine]:
    """A folder with sweeps that nobody has trained, a data set, a file and a pipe."""
    with command_line_in(tmp_path_factory.mktemp("filled"), cache_dir) as line:
        runs = line.folder / "runs"
        pair = {0.01: (0.8, 0.82), 0.03: (0.9, 0.91)}
        folder_of(runs, pair, limit=1000)
        folder_of(runs, pair, "held", test_size=50, limit=1000)
        folder_of(runs, {0.01: (0.8, None), 0.03: (0.9, None)}, "part")
        folder_of(runs, {0.01: (0.8,)}, "one")
        folder_of(runs, pair, "biased", biases=True)
        folder_of(runs, pair, "split", split="seed")
        _bare(folder_of(runs, pair, "bare"))
        (_bare(folder_of(runs, pair, "closed")).path / "results.jsonl").mkdir()
        # As somebody else could send them
        (_bare(folder_of(runs, pair, "lent")).path / "results.jsonl").symlink_to(line.folder / "mine")
        (line.folder / "mine").write_text("without a newline")
        (folder_of(runs, pair, "damaged").path / "sweep.json").write_text('{"name": "a"}')
        rates = tuple(1e-5 * number for number in range(1, 2002))
        sampled = {"seeds": (0,), "learning_rates": "log:0.01..0.1", "samples": 2}
        axes = sweep_of(seeds=(0,), learning_rates=0.03, hidden=("8,4", "16,8"), shuffle=(True, False))
        for name, manifest in {
            "many": manifest_of(sweep_of(seeds=0, learning_rates=rates, epochs=1, limit=50), "many"),
            "axes": manifest_of(axes, "axes"),
            "drawn": manifest_of(sweep_of(sampler="random", **sampled), "drawn").with_drawn([]),
            "asked": manifest_of(sweep_of(sampler="optuna", **sampled), "asked").with_drawn([{"learning_rate": 0.05}]),
        }.items():
            with SweepFolder(runs, name).exclusive(manifest):
                pass
        (runs / "empty").mkdir()
        write_idx_folder(line.folder / "small")  # 20 images, of which 15 % are kept back
        (line.folder / "file").touch()
        idle = '[grid]\nloss = ["cross_entropy", "sum_of_squares"]\n[options]\nrule = "notebook"\n'
        (line.folder / "idle.toml").write_text(idle)
        (line.folder / "near.toml").write_text("learning_rats = 0.1\n")
        (line.folder / "later.toml").write_text("epochs = 3\n")
        os.mkfifo(line.folder / "pipe")
        yield line


@pytest.fixture
def here(filled: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    return InProcess(filled, monkeypatch, capsys)


@pytest.mark.parametrize(("command", "words", "sentence"), CASES, ids=[f"{case[0]} {case[1]}"[:60] for case in CASES])
def test_bad_input_gets_one_sentence_and_nothing_is_begun(
    here: InProcess, command: str, words: str, sentence: str
) -> None:
    before = {path: path.lstat().st_size for path in here.folder.rglob("*")}
    processes = psutil.Process().children(recursive=True)
    port = str(free_port())
    named = command != "sweep" or "--name" in words or "--resume" in words
    said = here.refused(command, *([] if named else ["--name", "x"]), *shlex.split(words.replace("PORT", port)))
    assert sentence.replace("PORT", port) in said
    assert {path: path.lstat().st_size for path in here.folder.rglob("*")} == before
    assert psutil.Process().children(recursive=True) == processes


def test_what_is_just_allowed_is_trained_and_a_repeated_value_counts_once(command_line: CommandLine) -> None:
    # A limit of all that there is to train on would be a second name for a job without a limit: see above.
    write_idx_folder(command_line.folder / "small", side=28, train=60, test=40)
    (command_line.folder / "a.toml").write_text("[grid]\nlimit = [84, 84]\n")
    words = ("--seeds", "0", "--learning-rates", "0.1", "--epochs", "2,1", "--epochs", "2", "--data", "small")
    done = command_line.run("sweep", "--name", "x", "--spec", "a.toml", *words, status=1)
    assert done.stderr == ""
    options = [(row["options"]["epochs"], row["options"]["limit"]) for row in command_line.rows("x")]
    assert options == [(2, 84), (1, 84)]


def test_a_sweep_that_began_with_an_option_without_effect_goes_on(command_line: CommandLine) -> None:
    # Given a sweep of a version that did not refuse the loss beside the notebook's rule
    idle = {"rule": "notebook", "loss": "sum_of_squares", "learning_rate": 0.001}
    made = sweep_of(seeds=(0,), learning_rates=(0.001,), epochs=1, limit=100)
    earlier = made.model_copy(update={"options": made.options | idle})
    with SweepFolder(command_line.folder / "runs", "a").exclusive(manifest_of(earlier)):
        pass
    command_line.run("sweep", "--resume", "--name", "a")
    assert [row["options"]["loss"] for row in command_line.rows("a")] == ["sum_of_squares"]


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
    assert here.refused("sweep", "--name", "x", "--data", ".").startswith(f"--data: {here.folder} has no file")


@pytest.mark.parametrize("command", ["watch", "cancel"])
def test_a_server_without_the_sweep_is_named(here: InProcess, shared_cluster: Cluster, command: str) -> None:
    address = shared_cluster.server.url
    assert here.refused(command, "none", "--broker", address) == (
        f"There is no sweep named none at {address}, nor in runs\n"
    )
    far = f"{address[:-1]}99"
    assert here.refused(command, "none", "--broker", far).startswith(f"The database index in {far} is out of range: ")
