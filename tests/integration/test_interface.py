"""`import seedsweep`: what is published, that it does what the commands do, and that it leaves nothing behind."""

import gc
import itertools
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import seedsweep
from orchestrator.cluster.connect import place_for
from orchestrator.commands.watch import plan_watch
from orchestrator.errors import SweepBusyError, SweepNotFoundError
from orchestrator.folder import results_log
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support import launcher
from tests.support.command_line import CommandLine, small
from tests.support.paths import ROOT
from tests.support.sweep_folders import made

DOCUMENT = (ROOT / "docs" / "how-to" / "python.md").read_text()
TINY = {"learning_rate": [0.01, 0.03], "epochs": 2, "limit": 500, "progress": False}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder, in which nothing is left of what ran but sweeps. Clusters are forked, as those of commands."""
    monkeypatch.setattr(subprocess, "Popen", launcher.Popen)
    with tempfile.TemporaryDirectory(prefix="py-") as temporary:
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(cache_dir))
        before = signal.getsignal(signal.SIGINT)
        yield tmp_path
        assert signal.getsignal(signal.SIGINT) is before
        assert CommandLine(tmp_path, Path(temporary), cache_dir).nothing_is_left()


@pytest.fixture
def first(command_line: CommandLine) -> seedsweep.Sweep:
    """A sweep that was trained once for all tests."""
    command_line.finished("first", *small(seeds="0-2", limit="500"))
    return seedsweep.open("first")


def test_everything_that_is_published_exists_and_is_documented() -> None:
    for name in seedsweep.__all__:
        assert getattr(seedsweep, name) is not None
        assert re.search(rf"`{name}\b", DOCUMENT), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        seedsweep.nothing  # noqa: B018


def test_the_document_names_every_method() -> None:
    public = {name for kind in (seedsweep.Sweep, seedsweep.Leaderboard, seedsweep.TrainedModel) for name in vars(kind)}
    for name in sorted(each for each in public if not each.startswith("_")):
        assert re.search(rf"\b{name}\b", DOCUMENT), name


def test_a_sweep_is_read_once_and_says_what_its_files_say(here: Path) -> None:
    first = seedsweep.sweep(seeds=3, name="first", **TINY)
    written = json.loads((here / "runs/first/leaderboard.json").read_text())
    rows = [json.loads(line) for line in (here / "runs/first/results.jsonl").read_text().splitlines()]
    (here / "runs/first/results.jsonl").rename(here / "elsewhere")

    board = first.leaderboard()

    assert json.loads(json.dumps(board.to_dict())) == written
    assert str(first.verdict) == board.verdict.sentence == written["verdict"]["sentence"]
    assert [row.weights_sha256 for row in first.rows] == [row["weights_sha256"] for row in rows]
    assert [job.seed for job in first.jobs] == [0, 0, 1, 1, 2, 2]
    assert (first.name, first.path, first.accounting.complete) == ("first", here / "runs/first", True)
    frame = board.to_pandas()
    assert list(frame["learning_rate"]) == [row["options"]["learning_rate"] for row in written["rows"]]
    assert list(frame["mean"]) == [row["mean"] for row in written["rows"]]
    assert "<td>" in first._repr_html_()
    best_options = (board[0].options, board[0].best_seed)
    best = first.best()
    assert ({"learning_rate": best.job.options.learning_rate}, best.job.seed) == best_options
    assert first.leaderboard("best", where="learning_rate=0.01")[0].n == 3
    assert first.compare("learning_rate=0.01 epochs=2", "learning_rate=0.03").a.alias == "learning rate 0.01"


def test_a_network_is_fitted_as_its_job_trained_it(first: seedsweep.Sweep) -> None:
    model = first.job("seed=1", "learning_rate=0.03")
    # If its weights were not kept, the job is trained again.
    (first.path / f"weights/{model.row.weights_sha256}.safetensors").unlink()
    network = model.network()
    mnist = seedsweep.load_mnist()

    assert np.mean(network.predict(mnist.validation) == mnist.validation.labels) == pytest.approx(model.score)
    assert [record.validation_accuracy for record in network.history_] == model.row.validation_score
    again = seedsweep.DeepNeuralNetwork(**network.get_params()).fit(mnist.train.first(500))
    for ours, theirs in zip(network.weights_, again.weights_, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # And training goes on where the job ended.
    assert len(network.partial_fit(mnist.train.first(500)).history_) == 3
    assert len(model.artifact()) > 100_000


def test_a_sweep_grows_is_decided_and_verified(
    first: seedsweep.Sweep, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, parse, parsed = seedsweep.open("first"), results_log._read, Counter[str]()
    monkeypatch.setattr(results_log, "_read", lambda line, key, job: parsed.update([key]) or parse(line, key, job))
    assert first.extend(seeds=1, progress=False) is first
    # No row is read twice.
    assert set(parsed.values()) == {1}
    # What was opened before stays as it was.
    before.export("csv", here / "before.csv")
    assert len((here / "before.csv").read_text().splitlines()) == 1 + len(before.jobs) == len(first.jobs) - 1
    assert len(before.compare("learning_rate=0.01", "learning_rate=0.03").a.scored.entries) == 3
    # The report in the sweep's own folder never becomes older than that.
    page = first.report().read_text()
    (here / "there").symlink_to(before.path)
    assert before.report().read_text() == before.report("there/report.html").read_text() == page
    assert before.report(here / "before.html").read_text() != page
    assert [job.seed for job in first.jobs][-2:] == [3, 3]
    assert first.compare("learning_rate=0.01", "learning_rate=0.03").better is not None
    confirmed = first.confirm(top=1, seeds=2, progress=False)
    assert (confirmed.seeds, str(confirmed)[:20]) == ((4, 5), "Under fresh seeds, l")
    answer = first.decide(within=0.3, budget=40, progress=False)
    assert answer.leader is not None
    verified = before.verify(jobs=1)
    assert len(before.rows) == len(first.rows)
    assert (verified.different, "Settings" in repr(verified)) == ([], False)
    assert str(verified) == "Verified: 1 job of first gives the same bits again"
    assert len(first.rows) == len(first.jobs) == len(first.refresh().rows)
    assert len(seedsweep.sweep(name="first", resume=True, seeds=3, **TINY).rows) == len(first.rows)


def test_a_sweep_leaves_no_connection_open(first: seedsweep.Sweep, here: Path) -> None:
    opened = set()
    for name in ("second", "third"):
        seedsweep.sweep(learning_rate=0.01, seeds=1, epochs=1, limit=100, name=name, reuse=False, progress=False)
        gc.collect()
        opened.add(len(list(Path("/proc/self/fd").iterdir())))
    assert len(opened) == 1


def test_a_forked_process_keeps_no_lock(first: seedsweep.Sweep) -> None:
    folder = SweepFolder(first.path.parent, "first")
    with folder.exclusive():
        if (goes_on := os.fork()) == 0:
            signal.pause()
    with folder.exclusive():
        os.kill(goes_on, signal.SIGKILL)
    os.waitpid(goes_on, 0)


def test_results_are_handed_on(first: seedsweep.Sweep, here: Path) -> None:
    assert first.report() == here / "runs/first/report.html"
    assert first.report(here / "page.html").stat().st_size > 10_000
    assert first.plot("curves").to_dict()["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
    first.export("csv", here / "out.csv")
    assert (here / "out.csv").read_text().startswith("job,seed")
    # One of a trainer that is not installed here is left out.
    (here / "runs/foreign").mkdir()
    described = (first.path / "sweep.json").read_text().replace('"trainer": "network"', '"trainer": "nope"')
    (here / "runs/foreign/sweep.json").write_text(described)
    assert [each.name for each in seedsweep.sweeps()] == ["first"]
    assert seedsweep.open("first").state == seedsweep.open("runs/first").state == "finished"


def test_results_are_trained_anew_on_request(here: Path) -> None:
    small: dict[str, Any] = {"learning_rate": [0.01, 0.02], "epochs": 1, "limit": 50, "progress": False}
    seedsweep.sweep(seeds=2, name="other", **small)
    made = seedsweep.sweep(seeds=[0], name="a", **small)
    assert [row.reused_from for row in made.rows] == ["other"] * 2
    assert [row.reused_from for row in made.extend(seeds=1, reuse=False, progress=False).rows][2:] == [None] * 2
    # The next seeds are those after all that some configuration has.
    made.confirm(top=1, seeds=1, progress=False)
    assert [job.seed for job in made.extend(seeds=1, progress=False).jobs][4:] == [2, 3, 3]


def test_progress_is_shown_on_request_and_nothing_else_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    seedsweep.sweep(seeds=[7], name="quiet", learning_rate=0.03, epochs=1, limit=100)
    assert capfd.readouterr() == ("", "")
    seedsweep.sweep(seeds=[8], name="told", learning_rate=0.03, epochs=1, limit=100, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "[1/1] seed 8" in err


def test_another_trainer_takes_its_own_options() -> None:
    sweep = seedsweep.sweep(
        trainer="sklearn", estimator="SGDClassifier", alpha=[1e-4, 1e-3], data="digits", seeds=2, progress=False
    )
    assert [each.options for each in sorted(sweep.leaderboard(), key=lambda each: each.options["alpha"])] == [
        {"alpha": 1e-4}, {"alpha": 1e-3},
    ]  # fmt: skip
    with pytest.raises(seedsweep.InvalidInputError, match="artifact"):
        sweep.best().network()


def test_it_works_in_a_thread_and_several_sweeps_share_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given settings that name another cluster, which is away
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(name, "redis://127.0.0.1:1/0")
    found: list[seedsweep.Sweep] = []

    def train() -> None:
        with (shared := seedsweep.cluster(workers=1)) as broker:
            # A forked process that leaves it does not end it.
            if (left := os.fork()) == 0:
                shared.__exit__(None, None, None)
                os._exit(0)
            os.waitpid(left, 0)
            found.append(seedsweep.sweep(seeds=[0], name="one", broker=broker, **TINY))
            # Values may be arrays of NumPy.
            arrays = {"learning_rate": np.array(0.01), "hidden_layer_sizes": np.array([[8, 4], [4, 2]])}
            found.append(seedsweep.sweep(seeds=np.arange(1), name="two", broker=broker, **TINY | arrays))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join(timeout=120)
    assert [sweep.accounting.accepted for sweep in found] == [2, 2]


def test_a_sweep_is_submitted_and_watched_by_one(here: Path) -> None:
    with seedsweep.cluster(workers=1) as broker:
        submitted = seedsweep.submit(seeds=2, name="far", broker=broker, learning_rate=[0.1, 0.2], limit=200)
        assert (len(submitted.jobs), submitted.rows) == (4, ())
        watched = seedsweep.watch("far", broker=broker)
        rows = [next(watched)]
        with pytest.raises(SweepBusyError, match="This process works on the sweep far already: close the iterator"):
            next(seedsweep.watch("far", broker=broker))
        assert plan_watch(SweepFolder(here / "runs", "far"), place_for(broker)).place.cluster is not None
        watched.close()  # Whoever stops early
        rows += list(seedsweep.watch("far", broker=broker))  # goes on later,
        seedsweep.submit(seeds=[7], name="late", broker=broker, limit=200)
        watched = seedsweep.watch("late", broker=broker)
        # unless a part is lost, which does not come back.
        path, processes = broker[len("redis+socket://") :].partition("?")[0], psutil.process_iter(["cmdline"])
        [server] = [each for each in processes if path in " ".join(each.info["cmdline"] or ())]
        server.kill()
        with pytest.raises(seedsweep.SeedsweepError, match=r"The embedded cluster at .* has ended"):
            next(watched)
    assert submitted.refresh().accounting.complete
    assert {row.job for row in rows} <= {job.key for job in submitted.jobs}


#: A list that has itself.
NESTED: list[object] = []
NESTED.append(NESTED)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": ["fast"]}, "learning_rate is 'fast'; allowed: finite numbers greater than 0"),
        ({"epoch": 3}, "a word of the sweep is 'epoch'; allowed: trainer, seeds"),
        ({"seeds": 0}, "seeds is 0; allowed: an integer from 1 to 100000"),
        ({"workers": -1}, "workers is -1; allowed: an integer from 1 to 1024"),
        ({"workers": "2"}, "workers is '2'; allowed: an integer from 1 to 1024"),
        ({"output": 3}, "output is 3; allowed: the path of a file or a folder"),
        ({"broker": 3}, "broker is 3; allowed: text"),
        ({"reuse": "no"}, "reuse is 'no'; allowed: True or False"),
        ({"reuse_from": [3]}, "reuse_from is 3; allowed: the path of a file or a folder"),
        ({"keep_weights": "best:0"}, "keep_weights is 'best:0'; allowed: all, none, or best:K"),
        ({"workers": 2, "broker": "redis://h:1/0"}, "workers cannot be combined with the cluster at redis:"),
        ({"name": 3}, "name is 3; allowed: text"),
        ({"seeds": itertools.count()}, "seeds is "),
        ({"learning_rate": NESTED}, "learning_rate is nested too deeply; allowed: a value, or a list of values"),
        ({"seeds": 1.5}, "seeds is 1.5; allowed: a number of seeds, a list of seeds, or text such as 0-4,7"),
        ({"name": "../x"}, "name is '../x'; allowed: "),
        ({"broker": "http://x"}, "broker is 'http://x'; allowed: "),
        ({"trainer": "none"}, "trainer is 'none'; allowed: "),
        ({"progress": "yes"}, "progress is 'yes'; allowed: True or False"),
        ({"skip_invalid": 1}, "skip_invalid is 1; allowed: True or False"),
        (
            {"skip_invalid": True, "learning_rate": [0.1, 0.2], "sampler": "random", "samples": 1},
            "skip_invalid cannot be combined with a sampler",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_begun(arguments: dict[str, object], message: str, here: Path) -> None:
    with pytest.raises(seedsweep.InvalidInputError) as caught:
        seedsweep.sweep(**({"progress": False} | arguments))  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)
    assert not (here / "runs").exists()


def test_a_sweep_that_a_cluster_may_have_is_asked_for_by_the_name_of_the_argument(here: Path) -> None:
    with pytest.raises(SweepNotFoundError, match="; if a cluster trains it, name that by broker= or CELERY_BROKER_URL"):
        seedsweep.watch("xyz")
    with pytest.raises(seedsweep.InvalidInputError, match="has no cluster of its own here"):
        seedsweep.open(made(here).path).cancel()


def test_an_error_of_the_data_set_says_what_named_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDSWEEP_DATA", "/missing")
    for given, name in (({}, "SEEDSWEEP_DATA"), ({"data": "/missing"}, "data")):
        with pytest.raises(seedsweep.DatasetError, match=f"^{name}: the data set '/missing' is not a folder"):
            seedsweep.sweep(output=here, **given)  # type: ignore[arg-type]
    assert not list(here.glob("sweep-*"))


def test_bad_arguments_of_methods_are_one_sentence_and_change_nothing(first: seedsweep.Sweep) -> None:
    written = (first.path / "sweep.json").read_bytes()
    calls: list[tuple[str, Any]] = [
        ("learning_rates is '0.1'", lambda: seedsweep.sweep(resume=True, learning_rate=0.1)),
        ("seeds is [1.5]", lambda: first.confirm(seeds=[1.5])),  # type: ignore[list-item]
        ("seeds is True", lambda: first.confirm(seeds=True)),
        ("top is 'x'", lambda: first.confirm(top="x")),  # type: ignore[arg-type]
        ("workers is 1025", lambda: first.confirm(workers=1025)),
        ("workers is 'x'", lambda: first.extend(seeds=1, workers="x")),  # type: ignore[arg-type]
        ("data is 'openml'", lambda: first.extend(data="openml")),
        ("dtype is 'float64'", lambda: first.extend(dtype="float64")),
        ("seeds is missing", lambda: first.extend()),
        ("within is None", lambda: first.decide(within=None, budget=3)),  # type: ignore[arg-type]
        ("budget is '3'", lambda: first.decide(within=0.1, budget="3")),  # type: ignore[arg-type]
        ("within is -1.0", lambda: first.compare("learning_rate=0.01", "learning_rate=0.03", within=-1)),
        ("b is 4", lambda: first.compare("learning_rate=0.01", 4)),  # type: ignore[arg-type]
        ("jobs is 0", lambda: first.verify(jobs=0)),
        ("the job is (3,)", lambda: first.job(3)),  # type: ignore[arg-type]
        ("progress is 'yes'", lambda: first.extend(seeds=1, progress="yes")),  # type: ignore[arg-type]
        ("progress is 'yes'", lambda: first.confirm(progress="yes")),  # type: ignore[arg-type]
        ("progress is 'yes'", lambda: first.decide(within=0.1, budget=3, progress="yes")),  # type: ignore[arg-type]
        ("within is -1.0", lambda: first.leaderboard(within=-1)),
        ("within is nan", lambda: first.leaderboard(within=float("nan"))),
        ("within is a value of type int that is too long to show", lambda: first.leaderboard(within=10**5000)),
        (r"path is '\ud800'", lambda: first.report("\ud800")),
        ("metric is 'mean-99'", lambda: first.leaderboard("mean-99")),
        ("where is 'x'", lambda: first.leaderboard(where="x")),
        ("kind is 'pie'", lambda: first.plot("pie")),
        ("to is 'nope'", lambda: first.export("nope")),
        ("path is 3", lambda: first.report(3)),  # type: ignore[arg-type]
        ("Sweep() is 'runs/first'", lambda: seedsweep.Sweep("runs/first")),  # type: ignore[arg-type]
        ("name is 3", lambda: seedsweep.open(3)),  # type: ignore[arg-type]
        ("path is None", lambda: seedsweep.verify_claim(None)),  # type: ignore[arg-type]
        ("jobs is '3'", lambda: seedsweep.verify_claim(first.path, jobs="3")),  # type: ignore[arg-type]
        ("rebuild is 'no'", lambda: seedsweep.verify_claim(first.path, rebuild="no")),  # type: ignore[arg-type]
        ("data is 3", lambda: seedsweep.verify_claim(first.path, data=3)),  # type: ignore[arg-type]
    ]
    for beginning, call in calls:
        with pytest.raises(seedsweep.InvalidInputError) as caught:
            call()
        assert str(caught.value).startswith(f"{beginning}; allowed: "), str(caught.value)
    assert (first.path / "sweep.json").read_bytes() == written


def test_a_sweep_stays_where_it_is_and_shows_itself_shortly(
    first: seedsweep.Sweep, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert len(first.refresh().best().artifact()) > 100_000
    compared = first.compare("learning_rate=0.01", "learning_rate=0.03")
    assert str(compared).endswith(".")
    assert all(len(repr(each)) < 8000 for each in (first, first.leaderboard(), compared))


def test_the_tour_runs_as_it_stands(here: Path) -> None:
    notebook = json.loads((ROOT / "examples" / "tour.ipynb").read_text())
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names: dict[str, object] = {}
    for cell in code:
        exec(compile(cell, "examples/tour.ipynb", "exec"), names)  # noqa: S102
    assert isinstance(names["sweep"], seedsweep.Sweep)
    assert all(not cell.get("outputs") for cell in notebook["cells"])
