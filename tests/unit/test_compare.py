"""Two configurations compared: numbers against SciPy, the words, and what cannot be compared."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import InvalidInputError
from orchestrator.analysis.comparison import Comparison, comparison, sentence
from orchestrator.analysis.configuration import Results
from orchestrator.analysis.leaderboard.ranking import ranked
from orchestrator.analysis.leaderboard.scores import scores_of
from orchestrator.analysis.statistics.comparison import forecast
from orchestrator.analysis.statistics.images import new_images_difference
from orchestrator.analysis.statistics.intervals import confidence_sequence
from orchestrator.cli.main import run
from orchestrator.commands.answers.compare import compare
from orchestrator.errors import IncomparableError, SweepNotFoundError
from orchestrator.folder.rows import accepted_row, lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.names import JobNames
from orchestrator.sweeps.provenance import provenance
from orchestrator.sweeps.rounds import Look
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.sweeps import sweep_of
from worker.job import Job, Result
from worker.records import answers
from worker.trainers.protocol import Metric

#: Scores by seed, by learning rate: a difference of about 0.01.
CLOSE = {0.01: [0.90, 0.91, 0.92, 0.90, 0.91], 0.03: [0.91, 0.93, 0.92, 0.91, 0.92]}
FIRST, SECOND = ["learning_rate=0.01"], ["learning_rate=0.03"]
#: How a job ended in place of its score, or the answers of which the score is the share.
Outcome = float | str | None | Sequence[bool]


def folder_of(
    output: Path,
    outcomes: Mapping[float, Sequence[Outcome]],
    name: str = "a",
    *,
    first_seed: int = 0,
    dataset: str = MNIST_DIGEST,
    **words: Any,
) -> SweepFolder:
    """Make a sweep's folder whose learning rates ended so, seed by seed."""
    seeds = tuple(range(first_seed, first_seed + len(next(iter(outcomes.values())))))
    specification = sweep_of(seeds=seeds, learning_rates=tuple(outcomes), epochs=1, **words)
    folder = made(output, specification, name, dataset)
    with folder.exclusive():
        for job in specification.jobs(dataset):
            outcome = outcomes[job.options.learning_rate][job.seed - first_seed]
            if outcome == "failed":
                folder.append(lost_row(job, "failed", "it broke"))
            elif outcome is not None:
                folder.append(accepted_row(job, result(job, outcome)))
    return folder


def made(output: Path, specification: SweepSpecification, name: str, dataset: str = MNIST_DIGEST) -> SweepFolder:
    folder = SweepFolder(output, name)
    keys = list(specification.jobs_by_key(dataset))
    folder.create(Manifest(name=name, specification=specification, dataset=dataset, jobs=keys, provenance=provenance()))
    return folder


def result(job: Job, outcome: Outcome) -> Result:
    bits = [] if isinstance(outcome, (float, str)) or outcome is None else list(outcome)
    score = outcome if isinstance(outcome, float) else float(np.mean(bits)) if bits else 0.1
    return Result(
        job=job.key,
        status="diverged" if outcome == "diverged" else "succeeded",
        validation_score=[score],
        epoch_seconds=[0.25],
        weights_sha256=job.key,
        weights_bytes=1,
        worker="w@host",
        attempts=1,
        correct=answers.pack(bits),
    )


def test_common_seeds_are_paired(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CLOSE)

    found = compare(folder, folder, FIRST, SECOND)

    expected = stats.ttest_rel(CLOSE[0.01], CLOSE[0.03])
    low, high = expected.confidence_interval(0.95)
    assert found.difference is not None
    assert found.difference.interval is not None
    assert (found.difference.method, found.difference.n) == ("paired t", 5)
    interval = found.difference.interval
    assert (found.difference.mean, interval.low, interval.high) == pytest.approx((-0.01, low, high))
    wins = [float(a > b) + float(a == b) / 2 for a, b in itertools.product(CLOSE[0.01], CLOSE[0.03])]
    assert found.win_probability == pytest.approx(np.mean(wins))
    assert (found.outcome, found.decided, found.better) == ("apart", True, found.b)
    assert sentence(found) == "Decided: learning rate 0.03 is better than learning rate 0.01 by 1.00 ± 0.88 points."


def test_other_seeds_are_compared_by_welch(tmp_path: Path) -> None:
    one = folder_of(tmp_path, {0.01: CLOSE[0.01]}, "one")
    other = folder_of(tmp_path, {0.03: [0.95, 0.97, 0.93]}, "other", first_seed=100)

    found = compare(one, other)

    low, high = stats.ttest_ind(CLOSE[0.01], [0.95, 0.97, 0.93], equal_var=False).confidence_interval(0.95)
    assert found.difference is not None
    assert found.difference.interval is not None
    assert found.difference.method == "Welch t"
    assert (found.difference.interval.low, found.difference.interval.high) == pytest.approx((low, high))
    assert found.win_probability == 0.0
    assert (found.a.name, found.b.name) == ("one", "other")


@pytest.mark.parametrize(
    ("tolerance", "outcome", "words"),
    [
        (0.0, "apart", "Decided: learning rate 0.03 is better than learning rate 0.01 by 1.00 ± 0.88 points."),
        (0.001, "apart", "0.01 by 1.00 ± 0.88 points, which is more than 0.1 points."),
        (0.015, "undecided", "0.01 by 1.00 ± 0.88 points, which may be more or less than 1.5 points; about "),
        (0.02, "within", "Decided: learning rate 0.01 and learning rate 0.03 differ by less than 2 points, by 1.00"),
    ],
)
def test_the_interval_is_held_against_the_tolerance(tmp_path: Path, tolerance: float, outcome: str, words: str) -> None:
    folder = folder_of(tmp_path, CLOSE)
    found = compare(folder, folder, FIRST, SECOND, tolerance=tolerance)
    assert found.outcome == outcome
    assert words in sentence(found)
    assert (found.seeds_to_decide is not None) == (outcome == "undecided")


def test_what_would_decide_is_forecast(tmp_path: Path) -> None:
    # Given a difference that may be chance
    outcomes = {0.01: [0.90, 0.92, 0.91, 0.93], 0.03: [0.93, 0.91, 0.92, 0.91]}
    folder = folder_of(tmp_path, outcomes)
    deviations = [float(np.std(values, ddof=1)) for values in outcomes.values()]
    # Then the seeds are those that separate it from no difference, or from the nearer end of the tolerance.
    for tolerance, gap in [(0.0, 0.0025), (0.001, 0.0015), (0.004, 0.0015)]:
        found = compare(folder, folder, FIRST, SECOND, tolerance=tolerance)
        needed = forecast(*deviations, gap)
        assert needed is not None
        assert (found.outcome, found.seeds_to_decide) == ("undecided", needed - 4)
        assert sentence(found).endswith(f"; about {needed - 4} more seeds each would probably decide.")


def test_where_lower_is_better_the_better_one_has_less(tmp_path: Path) -> None:
    found = lower_is_better(folder_of(tmp_path, CLOSE), 0.0)
    assert found.difference is not None
    assert found.difference.interval is not None
    assert found.difference.mean == pytest.approx(-0.01)
    assert found.difference.interval.low < found.difference.interval.high < 0
    assert found.better is found.a
    assert found.win_probability == pytest.approx(0.8)
    assert sentence(found) == "Decided: learning rate 0.01 is better than learning rate 0.03 by 0.0100 ± 0.0088."
    assert lower_is_better(folder_of(tmp_path, CLOSE, "b"), 1.0).outcome == "within"


def lower_is_better(folder: SweepFolder, tolerance: float) -> Comparison:
    """Compare as if the metric were a loss: the built-in trainers have none."""
    metric = Metric(name="loss", higher_is_better=False)
    read = Results.read(folder)
    names = JobNames(read.jobs.values())
    names.metric = metric
    read = dataclasses.replace(read, names=names, configurations=ranked(scores_of(read.jobs, read.rows, metric)))
    return comparison(read.choose(FIRST), read.choose(SECOND), tolerance)


def test_two_sweeps_are_compared_by_their_leaders(tmp_path: Path) -> None:
    one = folder_of(tmp_path, CLOSE, "one")
    other = folder_of(tmp_path, {0.03: [0.95] * 5, 0.1: [0.96, 0.97, 0.96, 0.95, 0.96]}, "other", biases=True)

    found = compare(one, other)

    assert (found.a.name, found.b.name) == ("learning rate 0.03 of one", "learning rate 0.1 of other")
    assert found.better is found.b
    assert found.a.chosen.is_leader
    assert found.b.chosen.honest_mean == pytest.approx(np.mean([0.96, 0.97, 0.96, 0.95, 0.96]))
    # Words choose another one, in either sweep, whose mean nothing flatters.
    named = compare(one, other, SECOND, SECOND)
    assert named.b.name == "learning rate 0.03 of other"
    assert (named.a.chosen.is_leader, named.a.chosen.honest_mean) == (False, None)
    # Two sweeps of one name are told apart by their folders.
    twin = folder_of(tmp_path / "elsewhere", CLOSE, "one", biases=True)
    assert compare(one, twin).b.name == f"learning rate 0.03 of {twin.path}"


def test_on_new_samples_differences_are_paired_over_the_samples(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    bits = {rate: [random.random(200) < share for _ in range(3)] for rate, share in ((0.01, 0.8), (0.03, 0.9))}
    folder = folder_of(tmp_path, {rate: [each.tolist() for each in seeds] for rate, seeds in bits.items()})

    found = compare(folder, folder, FIRST, SECOND)

    expected = new_images_difference(*(dict(enumerate(bits[rate])) for rate in (0.01, 0.03)))
    assert found.new_images == expected is not None
    # Without the answers of one job, there is no such interval.
    lacking = {**{rate: [each.tolist() for each in seeds] for rate, seeds in bits.items()}}
    lacking[0.01] = [0.8, *lacking[0.01][1:]]
    other = folder_of(tmp_path, lacking, "lacking")
    assert compare(other, other, FIRST, SECOND).new_images is None


def test_after_a_look_the_interval_is_the_confidence_sequence(tmp_path: Path) -> None:
    # Given a sweep that was looked at, of which the answers are known
    answers_of = {rate: [[i < 100 * score for i in range(100)] for score in scores] for rate, scores in CLOSE.items()}
    folder = folder_of(tmp_path, answers_of)
    assert compare(folder, folder, FIRST, SECOND).new_images is not None
    manifest = folder.manifest()
    look = Look(command="extend", seeds=3, rows=6)
    folder.write_manifest(manifest.model_copy(update={"looks": [look]}))

    found = compare(folder, folder, FIRST, SECOND)

    assert found.difference is not None
    assert found.difference.interval is not None
    gaps = [a - b for a, b in zip(CLOSE[0.01], CLOSE[0.03], strict=True)]
    expected = confidence_sequence(gaps)
    assert expected is not None
    interval = found.difference.interval
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert found.difference.method == interval.method == "confidence sequence"
    assert found.outcome == "undecided"
    # The interval on new samples is valid for one look only.
    assert found.new_images is None


def test_what_has_too_few_seeds_or_diverged_is_said(tmp_path: Path) -> None:
    few = folder_of(tmp_path, {0.01: [0.9], 0.03: [0.95]}, "few")
    found = compare(few, few, FIRST, SECOND)
    assert (found.outcome, found.seeds_to_decide) == ("undecided", None)
    assert sentence(found) == (
        "Undecided: learning rate 0.01 has 90.00 % and learning rate 0.03 has 95.00 %; so few seeds tell nothing about "
        "the difference."
    )
    # Jobs that diverged have no part in means and intervals.
    some = folder_of(tmp_path, {0.01: CLOSE[0.01], 0.03: [*CLOSE[0.03][:4], "diverged"]}, "some")
    found = compare(some, some, FIRST, SECOND)
    assert found.difference is not None
    assert found.difference.n == 4
    assert sentence(found).endswith("1 of 5 jobs of learning rate 0.03 diverged, and its mean is that of the others.")
    none = folder_of(tmp_path, {0.01: [0.9, 0.9], 0.03: ["diverged"] * 2, 0.1: [None, "failed"]}, "none")
    found = compare(none, none, FIRST, SECOND)
    assert (found.difference, found.better, found.decided) == (None, None, False)
    assert sentence(found) == (
        "Undecided: learning rate 0.03 has no mean, because all its jobs with a result diverged."
    )
    assert "learning rate 0.1 has no mean, because no job has a result." in sentence(
        compare(none, none, ["learning_rate=0.1"], FIRST)
    )


def test_equal_scores_of_all_seeds_are_no_difference(tmp_path: Path) -> None:
    scores = [0.9, 0.91, 0.92, 0.9, 0.93]
    folder = folder_of(tmp_path, {0.01: scores, 0.03: scores})
    found = compare(folder, folder, FIRST, SECOND, tolerance=0.001)
    assert (found.outcome, found.better, found.win_probability) == ("within", None, pytest.approx(0.5))
    # Fewer may be equal by chance.
    few = folder_of(tmp_path, {0.01: scores[:2], 0.03: scores[:2]}, "few")
    found = compare(few, few, FIRST, SECOND, tolerance=0.001)
    assert found.outcome == "undecided"
    assert "so few seeds tell nothing about the difference" in sentence(found)


def test_it_takes_no_lock_and_writes_nothing(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CLOSE)
    with folder.exclusive():
        before = {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))}
        assert compare(folder, folder, FIRST, SECOND).decided
        assert {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))} == before


def test_sweeps_that_measured_different_things_are_refused(tmp_path: Path) -> None:
    one = folder_of(tmp_path, CLOSE, "one")
    other_data = folder_of(tmp_path, CLOSE, "other-data", dataset="1" * 64, data="/x")
    with pytest.raises(IncomparableError) as refusal:
        compare(one, other_data)
    assert str(refusal.value) == (
        "The sweeps one and other-data cannot be compared: they have the data sets bundled (06ad231b5cb2) and /x "
        "(111111111111)"
    )
    regression = SweepSpecification(
        trainer="sklearn", seeds=(0,), options={"estimator": "Ridge"}, grid={}, data="bundled"
    )
    with pytest.raises(IncomparableError) as refusal:
        compare(one, made(tmp_path, regression, "other-metric"))
    assert str(refusal.value) == (
        "The sweeps one and other-metric cannot be compared: they have the metrics validation accuracy and "
        "validation R2"
    )


def test_what_is_no_pair_of_configurations_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CLOSE)
    with pytest.raises(InvalidInputError, match="both are the same, of which any difference is chance"):
        compare(folder, folder, FIRST, ["learning-rates=1e-2"])
    for tolerance in (-0.1, 1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match=r"tolerance is .* a number from 0 and less than 1, because the"):
            compare(folder, folder, FIRST, SECOND, tolerance=tolerance)
    empty = folder_of(tmp_path, {0.01: [None], 0.03: [None]}, "empty")
    with pytest.raises(SweepNotFoundError, match="The sweep empty has no leader: it has no result yet"):
        compare(folder, empty)


USAGE = (
    "allowed: another sweep; two configurations; or another sweep and one configuration for both or one of each. A "
    "configuration is NAME=VALUE, or several of them in quotes"
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], f"B is missing; {USAGE}"),
        (["a", "b", "b"], f"B is b b; {USAGE}"),
        (["a", *FIRST], f"B is learning_rate=0.01; {USAGE}"),
        (["a", *FIRST, "b"], f"B is learning_rate=0.01 b; {USAGE}"),
        (["a", *FIRST, *FIRST, *SECOND], "B is learning_rate=0.01 learning_rate=0.01 learning_rate=0.03; allowed: "),
        (["a", "c"], "There is no sweep 'c': neither a sweep folder nor a name in runs"),
        (
            ["a", *FIRST, "learning_rate=0.5"],
            "the configuration is 'learning_rate=0.5'; allowed: learning_rate=0.01 or",
        ),
        (["a", "seed=1", *FIRST], "the configuration is 'seed=1'; allowed: words about its options only"),
        (["a", *FIRST, *SECOND, "--within", "0"], "--within is '0'; allowed: a finite number greater than 0"),
        (["a", *FIRST, *SECOND, "--within", "-1"], "--within is '-1'"),
        (["a", *FIRST, *SECOND, "--within", "few"], "--within is 'few'"),
        (["a", *FIRST, *SECOND, "--within", "1e999"], "--within is '1e999'"),
        (["a", *FIRST, *SECOND, "--within", "2"], "--within is '2'; allowed: a number from 0 and less than 1"),
        (["a", "b", "--output", ""], "--output is ''"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    folder_of(tmp_path / "runs", CLOSE)
    folder_of(tmp_path / "runs", CLOSE, "b", biases=True)
    monkeypatch.chdir(tmp_path)
    assert run(["compare", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"orchestrator: {message}")
    assert printed.err.count("\n") == 1


def test_a_damaged_folder_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_of(tmp_path / "runs", CLOSE)
    (tmp_path / "runs" / "bad").mkdir()
    (tmp_path / "runs" / "bad" / "sweep.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert run(["compare", "a", "bad"]) == 2
    assert "bad/sweep.json does not describe a sweep" in capsys.readouterr().err


def test_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # Given two sweeps, of which the second differs in an option
    folder_of(tmp_path / "runs", CLOSE)
    folder_of(tmp_path / "runs", CLOSE, "b", biases=True)
    monkeypatch.chdir(tmp_path)
    # A decided comparison ends with status 0; several options are one word in quotes.
    assert run(["compare", "a", "learning_rate=0.01 epochs=1", *SECOND]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Decided: learning rate 0.03 is better than learning rate 0.01 by 1.00 ± 0.88 points.\n")
    assert "a   learning rate 0.01   5/5       90.80" in text
    assert "a - b: -1.00 points, 95 % interval -1.88 to -0.12 points (t interval, paired on 5 common seeds)" in text
    assert "a random seed of a is better than one of b with probability 0.20" in text
    # An undecided one ends with status 1.
    assert run(["compare", "a", "b", "learning_rate=0.01", "learning_rate=0.03", "--within", "0.015"]) == 1
    text = capsys.readouterr().out
    assert "They differ in learning rate 0.01 and 0.03, biases false and true" in text
    # One configuration after two sweeps is that of both.
    assert run(["compare", "a", "b", *FIRST, "--within", "0.001"]) == 0
    assert capsys.readouterr().out.startswith(
        "Decided: learning rate 0.01 of a and learning rate 0.01 of b differ by less than 0.1 points, by 0.00 ± 0.00"
    )
    # The JSON object has the fields that the document lists.
    assert run(["compare", "a", "b", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    document = (Path(__file__).parents[2] / "docs" / "compare.md").read_text()
    for name in (*answer, *answer["a"]):
        assert f"`{name}`" in document, name
    assert (answer["outcome"], answer["better"], answer["a"]["leader"]) == ("within", None, True)
