"""The test split: held out by `--test-size`, read once by `orchestrator test`, and recorded."""

import json
import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nn.datasets.mnist import load_mnist
from nn.reference import NumPyEngine
from nn.training import predict
from nn.weights import from_safetensors
from orchestrator.analysis.leaderboard.scores import OWN_SPLITS
from orchestrator.commands.test import read_test_split
from orchestrator.errors import HeldOutError, SweepBusyError
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.command_line import CommandLine, command_line_in
from tests.support.memory import at_most
from tests.support.paths import ROOT
from worker.trainers.protocol import Evaluated

SWEEP = ("--seeds", "0-2", "--learning-rates", "0.01,0.03", "--epochs", "2", "--limit", "1500", "--test-size", "300")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[CommandLine]:
    """A folder with two sweeps that hold samples out; 0.03 leads. In `drawn`, each seed draws its split."""
    with command_line_in(tmp_path_factory.mktemp("held"), cache_dir) as made:
        made.finished("a", *SWEEP)
        made.finished("drawn", *SWEEP, "--split", "seed")
        yield made


@pytest.fixture
def fresh(line: CommandLine) -> CommandLine:
    """The same folder, with a copy `b` of the sweep whose split was not read."""
    shutil.rmtree(line.sweep("b"), ignore_errors=True)
    shutil.copytree(line.sweep("a"), line.sweep("b"))
    return line


def test_the_leader_is_evaluated_on_samples_that_no_job_saw(fresh: CommandLine, cache_dir: Path) -> None:
    # When the split is read for the leader
    answer = fresh.asked("test", "b")

    # Then each of its jobs has the accuracy of its weights on the last 300 of the 1,500 samples in use,
    held_out = load_mnist(cache_dir=cache_dir).train.rows(slice(1200, 1500))
    rows = {row["seed"]: row for row in fresh.rows("b") if row["options"]["learning_rate"] == 0.03}
    assert [job["seed"] for job in answer["jobs"]] == [0, 1, 2]
    for job in answer["jobs"]:
        row = rows[job["seed"]]
        network = from_safetensors((fresh.sweep("b") / "weights" / f"{row['weights_sha256']}.safetensors").read_bytes())
        predicted = predict(NumPyEngine(network, loss="cross_entropy"), held_out)
        assert job["test_score"] == np.mean(predicted == held_out.labels)
        assert job["validation_score"] == row["validation_score"][-1]
    # with the interval of Student, beside that of the validation, by which the leader was chosen of two,
    for part, below in (("test", 0.025), ("validation", 0.0125)):
        values = [job[f"{part}_score"] for job in answer["jobs"]]
        low, high = stats.t.ppf([below, 0.975], 2, np.mean(values), stats.sem(values))
        found = answer[part]
        assert (found["mean"], found["low"], found["high"]) == pytest.approx((np.mean(values), low, high))
        assert found["low_new"] < found["mean"] < found["high_new"]
    assert answer["test"]["high_new"] - answer["test"]["low_new"] > answer["test"]["high"] - answer["test"]["low"]
    # and this is recorded.
    assert (answer["name"], answer["chosen"], answer["test_size"]) == ("learning_rate=0.03", "leader", 300)
    record = json.loads((fresh.sweep("b") / "test.json").read_text())
    assert answer == {"sweep": "b", "repeated": False, **record}
    document = (ROOT / "docs" / "how-to" / "compare.md").read_text()
    for name in (*answer, *answer["test"], *answer["jobs"][0].keys() - {"job"}):
        assert f"`{name}`" in document, name


def test_seeds_that_draw_their_split_share_the_test_split(line: CommandLine, cache_dir: Path) -> None:
    said = line.run("test", "drawn").stdout
    answer = line.asked("test", "drawn")

    # The models are tested on the same samples, and so have an interval on new ones; they were validated on different
    # samples, each on its own.
    assert f"Validation: {OWN_SPLITS}" in said
    assert answer["test"]["low_new"] < answer["test"]["low"]
    assert answer["validation"]["low_new"] is answer["validation"]["high_new"] is None
    mnist = load_mnist(cache_dir=cache_dir)
    held_out = mnist.train.rows(slice(1200, 1500))
    for job in answer["jobs"]:
        network = from_safetensors(
            (line.sweep("drawn") / "weights" / f"{job['weights_sha256']}.safetensors").read_bytes()
        )
        engine, drawn = NumPyEngine(network, loss="cross_entropy"), mnist.split_by(job["seed"], slice(1200, 1500))
        assert job["test_score"] == np.mean(predict(engine, held_out) == held_out.labels)
        # These are also the samples on which it is shown.
        shown = line.asked("show", "drawn", job["job"])
        assert shown["accuracy"] == job["validation_score"]
        assert np.sum(shown["confusion_matrix"], axis=1).tolist() == np.bincount(drawn.validation.labels).tolist()
    assert "Verified: 6 jobs of drawn give the same bits again" in line.run("verify", "drawn", "--all").stdout


def test_it_is_read_once_and_then_shown_from_the_record(fresh: CommandLine) -> None:
    first = fresh.run("test", "b", "learning_rate=0.01").stdout
    assert first.startswith("learning_rate=0.01 has a test accuracy of ")
    # A record from before an option existed lacks it.
    written = json.loads((fresh.sweep("b") / "test.json").read_text())
    del written["options"]["split"]
    (fresh.sweep("b") / "test.json").write_text(json.dumps(written))
    record = (fresh.sweep("b") / "test.json").read_bytes()
    # Even without weights, a second time shows the record,
    shutil.rmtree(fresh.sweep("b") / "weights")
    for words in ([], ["learning_rate=0.01"]):
        again = fresh.run("test", "b", *words).stdout
        assert again.splitlines()[:5] == first.splitlines()[:5]
        assert "shown from the record of 2" in again
    assert fresh.asked("test", "b")["repeated"]
    # and another configuration is refused,
    refused = fresh.run("test", "b", "learning_rate=0.03", status=2)
    assert refused.stderr.startswith(
        "orchestrator: the configuration is 'learning_rate=0.03'; allowed: learning_rate=0.01, for which the test "
        "split of b was read on 2"
    )
    # also after the sweep was resumed, which trains what has lost its weights and writes the leaderboard again.
    fresh.run("sweep", "--resume", "--name", "b")
    fresh.run("test", "b", "learning_rate=0.03", status=2)
    assert (fresh.sweep("b") / "test.json").read_bytes() == record


def test_nothing_is_read_before_the_sweep_has_ended(fresh: CommandLine, cache_dir: Path) -> None:
    folder = SweepFolder(fresh.folder / "runs", "b")
    results = fresh.sweep("b") / "results.jsonl"
    whole = results.read_text()
    results.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    with pytest.raises(HeldOutError, match=r"^1 job has no row yet in the sweep b"):
        read_test_split(folder, cache_dir=cache_dir)
    results.write_text(whole)
    with folder.exclusive(), pytest.raises(SweepBusyError):
        read_test_split(folder, cache_dir=cache_dir)
    assert folder.reading(2) is None
    assert not read_test_split(folder, cache_dir=cache_dir).repeated


def test_one_model_at_a_time_is_in_memory(fresh: CommandLine, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.commands.test.artifact", lambda *_: bytes(2**28))
    monkeypatch.setattr("orchestrator.commands.test._evaluated", lambda *_: Evaluated(value=0.5))
    with at_most(2**29):
        read_test_split(SweepFolder(fresh.folder / "runs", "b"), cache_dir=cache_dir)


def test_jobs_whose_weights_are_gone_or_damaged_are_trained_again(fresh: CommandLine) -> None:
    whole = fresh.asked("test", "b")
    (fresh.sweep("b") / "test.json").unlink()
    first, second, _ = (fresh.sweep("b") / f"weights/{job['weights_sha256']}.safetensors" for job in whole["jobs"])
    first.write_bytes(first.read_bytes()[:-1])
    second.unlink()
    done = fresh.run("test", "b", "--json")
    assert [f"is {fault}: training the job again" in done.stderr for fault in ("damaged", "missing")] == [True, True]
    assert json.loads(done.stdout) | {"read": ""} == whole | {"read": ""}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda told: told.clear(), "cannot be read: it is invalid at read: Field required"),
        (lambda told: told["test"].update(mean=0.99), "its mean 0.99 is not that of its jobs"),
        (lambda told: told["jobs"][0].update(job="0" * 64), "is not of this sweep: it has jobs that the sweep lacks"),
        (lambda told: told.update(test_size=7), "is not of this sweep: it has another test split or configuration"),
        (lambda told: told["jobs"][0].update(weights_sha256="0" * 64), " has another result in it"),
        (lambda told: told["options"].update(learning_rate=0.7), "it has another test split or configuration"),
        (lambda told: told.update(metric="loss"), "it has another test split or configuration"),
        (lambda told: told["jobs"][0].update(seed=7), "it has another test split or configuration"),
        (lambda told: told.update(jobs=3 * told["jobs"]), "it is invalid: it has a job more than once"),
        (lambda told: told["test"].update(low=1.0), "its interval from 1.0 to "),
        (lambda told: told["test"].update(low_new=0.998, high_new=0.999), "its interval from 0.998 to 0.999 is none"),
        (lambda told: told["options"].update(x=[[]] * 4_000), "cannot be read: it has too many values"),
    ],
)
def test_a_record_that_cannot_be_true_counts_as_one(
    fresh: CommandLine, change: Callable[[dict[str, Any]], object], why: str
) -> None:
    fresh.run("test", "b")
    told = json.loads((fresh.sweep("b") / "test.json").read_text())
    change(told)
    (fresh.sweep("b") / "test.json").write_text(json.dumps(told))
    assert why in fresh.run("test", "b", status=2).stderr
    assert json.loads((fresh.sweep("b") / "test.json").read_text()) == told


def test_a_record_of_two_configurations_counts_as_one(fresh: CommandLine) -> None:
    fresh.run("test", "b")
    told = json.loads((fresh.sweep("b") / "test.json").read_text())
    rows = {row["options"]["learning_rate"]: row for row in fresh.rows("b")}
    told["jobs"] = [
        {name: row[name] for name in ("job", "seed", "weights_sha256")}
        | dict.fromkeys(("validation_score", "test_score"), row["validation_score"][-1])
        for row in rows.values()
    ]
    mean = statistics.fmean(each["test_score"] for each in told["jobs"])
    told["options"] = {}
    for part in ("validation", "test"):
        told[part] |= dict.fromkeys(("mean", "low", "high", "low_new", "high_new"), mean)
    (fresh.sweep("b") / "test.json").write_text(json.dumps(told))
    assert "it has jobs of several configurations" in fresh.run("test", "b", status=2).stderr


def test_jobs_that_diverged_are_counted_and_have_no_part(fresh: CommandLine) -> None:
    # Given a sweep in which two of three jobs of a configuration diverged
    rows = fresh.rows("b")
    for row in rows:
        if row["options"]["learning_rate"] == 0.01 and row["seed"] > 0:
            row |= {"status": "diverged", "error": "a weight is infinite"}
    (fresh.sweep("b") / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    # When the split is read for it
    text = fresh.run("test", "b", "learning_rate=0.01").stdout

    # Then one job is left, of which there is no interval.
    assert "over 1 seed; on the validation samples" in text
    assert "2 jobs of it diverged and had no part." in text
    answer = fresh.asked("test", "b")
    assert ([job["seed"] for job in answer["jobs"]], answer["diverged"]) == ([0], 2)
    assert answer["test"] == {
        "mean": answer["jobs"][0]["test_score"],
        **dict.fromkeys(("low", "high", "method", "low_new", "high_new")),
    }
