"""Two configurations compared, or one with itself under fresh seeds: numbers against SciPy, the words, the refusals."""

import json
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nn.errors import InvalidInputError
from orchestrator.analysis.comparison import Comparison, compare, comparison
from orchestrator.analysis.leaderboard.scores import OWN_SPLITS
from orchestrator.analysis.lookup import choose
from orchestrator.analysis.statistics.boundaries import levels
from orchestrator.analysis.statistics.difference import Difference, forecast
from orchestrator.analysis.statistics.images import new_images_difference
from orchestrator.analysis.statistics.intervals import Interval, t_interval
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.main import run
from orchestrator.commands.confirm import Confirmation, confirmation, with_interval
from orchestrator.errors import IncomparableError, SweepNotFoundError
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.rounds import Look
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.boards import Outcome, folder_of, jobs_of, rows_of
from tests.support.known import known
from tests.support.memory import at_most
from tests.support.paths import ROOT
from tests.support.sweeps import manifest_of
from worker.records.answers import MAX_ANSWERS
from worker.trainers.protocol import Metric

#: Scores by seed, by learning rate: a difference of about 0.01, and a step of 0.0002.
CLOSE = {0.01: [0.9001, 0.91, 0.92, 0.8999, 0.91], 0.03: [0.91, 0.93, 0.92, 0.91, 0.92]}
FIRST, SECOND = ["learning_rate=0.01"], ["learning_rate=0.03"]


def between(one: SweepFolder, other: SweepFolder, *words: list[str], tolerance: float = 0.0) -> Comparison:
    """Compare as the command does."""
    read = Sweep.read(one)
    return compare(read, read if other is one else Sweep.read(other), *words, tolerance=tolerance)


def compared(output: Path, outcomes: dict[float, list[Outcome]], tolerance: float = 0.0) -> Comparison:
    """Compare the learning rates 0.01 and 0.03 of a sweep whose jobs ended so."""
    folder = folder_of(output, outcomes, f"of-{len(list(output.iterdir()))}")
    return between(folder, folder, FIRST, SECOND, tolerance=tolerance)


def interval_of(difference: Difference | None) -> tuple[float, float]:
    interval = known(known(difference).interval)
    return interval.low, interval.high


def test_common_seeds_are_paired_and_other_seeds_are_compared_by_welch(tmp_path: Path) -> None:
    # That the intervals are SciPy's is in test_statistics.py.
    found = compared(tmp_path, CLOSE)
    difference = known(found.difference)
    assert (difference.method, difference.n, difference.mean) == ("paired t", 5, pytest.approx(-0.01))
    assert found.win_probability == pytest.approx(0.2)
    assert (found.outcome, found.decided, found.better) == ("apart", True, found.b)
    one = folder_of(tmp_path, {0.01: CLOSE[0.01]}, "one")
    found = between(one, folder_of(tmp_path, {0.03: [0.95, 0.97, 0.93]}, "other", first_seed=100))
    assert (known(found.difference).method, found.win_probability) == ("Welch t", 0)
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
    found = compared(tmp_path, CLOSE, tolerance)
    assert found.outcome == outcome
    assert words in str(found)
    assert (found.seeds_to_decide is not None) == (outcome == "undecided")


def test_what_would_decide_is_forecast(tmp_path: Path) -> None:
    # Given a difference that may be chance, of scores that may differ by less
    outcomes = {0.01: [0.90, 0.92, 0.91, 0.93], 0.03: [0.93, 0.91001, 0.92, 0.90999]}
    deviation = float(np.std(np.subtract(*outcomes.values()), ddof=1))
    # Then the seeds are those that separate it from no difference, or from the nearer end of the tolerance.
    for tolerance, gap in [(0.0, 0.0025), (0.001, 0.0015), (0.004, 0.0015)]:
        found = compared(tmp_path, outcomes, tolerance)
        needed = known(forecast(deviation, gap))
        assert (found.outcome, found.seeds_to_decide) == ("undecided", needed - 4)
        assert str(found).endswith(f"; about {needed - 4} more seeds each would probably decide.")
    assert str(compared(tmp_path, outcomes, 0.0024)).endswith("; 10,000 more seeds each would not decide.")
    # While the sweep runs, those of the last look count, and a seed after it is there already.
    pairs = [*np.subtract(*outcomes.values()), 0.0]
    found = compared(tmp_path, {rate: [*scores, 0.92, 0.92, None] for rate, scores in outcomes.items()})
    assert found.seeds_to_decide == known(forecast(float(np.std(pairs, ddof=1)), abs(float(np.mean(pairs))))) - 6


def test_where_lower_is_better_the_better_one_has_less(tmp_path: Path) -> None:
    # The built-in network has no such metric.
    metric = Metric(name="loss", higher_is_better=False)
    read = Sweep.read(folder_of(tmp_path, CLOSE))
    read.names.metric = metric

    found = comparison(choose(read, FIRST), choose(read, SECOND), 0.0)

    assert known(found.difference).mean == pytest.approx(-0.01)
    low, high = interval_of(found.difference)
    assert low < high < 0
    assert found.better is found.a
    assert found.win_probability == pytest.approx(0.8)
    assert str(found) == "Decided: learning rate 0.01 is better than learning rate 0.03 by 0.0100 ± 0.0088."
    assert comparison(choose(read, FIRST), choose(read, SECOND), 1.0).outcome == "within"


def test_two_sweeps_are_compared_by_their_leaders(tmp_path: Path) -> None:
    one = folder_of(tmp_path, CLOSE, "one")
    other = folder_of(tmp_path, {0.03: [0.951] * 5, 0.1: [0.96, 0.97, 0.96, 0.95, 0.96]}, "other", biases=True)

    found = between(one, other)

    assert (found.a.name, found.b.name) == ("learning rate 0.03 of one", "learning rate 0.1 of other")
    assert found.better is found.b
    assert found.a.is_leader
    # Each was chosen of two: of four pairs, any could have been compared.
    paired = stats.ttest_rel([0.91, 0.93, 0.92, 0.91, 0.92], [0.96, 0.97, 0.96, 0.95, 0.96]).confidence_interval
    assert interval_of(found.difference) == pytest.approx(tuple(paired(1 - 0.05 / 4)))
    assert found.b.honest_mean == pytest.approx(np.mean([0.96, 0.97, 0.96, 0.95, 0.96]))
    # Words choose another one, in either sweep, whose mean nothing flatters.
    named = between(one, other, SECOND, SECOND)
    assert named.b.name == "learning rate 0.03 of other"
    assert (named.a.is_leader, named.a.honest_mean) == (False, None)
    # Two sweeps of one name are told apart by their folders.
    twin = folder_of(tmp_path / "elsewhere", CLOSE, "one", biases=True)
    assert between(one, twin).b.name == f"learning rate 0.03 of {twin.path}"


def test_on_new_samples_differences_are_paired_over_the_samples(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    bits = {rate: [random.random(200) < share for _ in range(3)] for rate, share in ((0.01, 0.8), (0.03, 0.9))}
    outcomes: dict[float, list[Outcome]] = {rate: [each.tolist() for each in seeds] for rate, seeds in bits.items()}
    expected = new_images_difference(*(dict(enumerate(bits[rate])) for rate in (0.01, 0.03)))
    assert compared(tmp_path, outcomes).new_images == expected is not None
    # That of a leader allows for its choice.
    one, alone = folder_of(tmp_path, outcomes, "one"), folder_of(tmp_path, {0.01: outcomes[0.01]}, "alone")
    turned = [dict(enumerate(bits[rate])) for rate in (0.03, 0.01)]
    assert between(one, alone).new_images == new_images_difference(*turned, 0.025)
    # Where each seed has its own samples, and without the answers of one job, there is no such interval.
    drawn = folder_of(tmp_path, outcomes, "drawn", split="seed")
    assert between(drawn, drawn, FIRST, SECOND).new_images is None
    outcomes[0.01][0] = 0.8
    assert compared(tmp_path, outcomes).new_images is None


def test_the_answers_of_all_seeds_take_little_more_memory_than_those_of_one(tmp_path: Path) -> None:
    right: list[Outcome] = [[True, False] * (MAX_ANSWERS // 2)]
    folder = folder_of(tmp_path, {0.01: right * 16, 0.03: right * 16})
    with at_most(40 * 2**20):
        assert between(folder, folder, FIRST, SECOND).new_images is not None


def test_after_a_look_the_interval_holds_at_all_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Given a sweep that was looked at, and the answers of its jobs
    answers_of = {
        rate: [[i < round(100 * score) for i in range(100)] for score in scores] for rate, scores in CLOSE.items()
    }
    folder = folder_of(tmp_path, answers_of)
    once = between(folder, folder, FIRST, SECOND)
    assert once.new_images is not None
    # That of one look would be narrower than a step between two shares of 100 samples.
    assert known(known(once.difference).interval).half_width == pytest.approx(0.01)
    look = Look(command="extend", seeds=3, rows=6)
    folder.write_manifest(folder.manifest().model_copy(update={"looks": [look]}))

    found = between(folder, folder, FIRST, SECOND)

    error = stats.sem([round(a, 2) - b for a, b in zip(CLOSE[0.01], CLOSE[0.03], strict=True)])
    half = stats.t.isf(levels(0.025)[0], 4) * error
    assert interval_of(found.difference) == pytest.approx((-0.01 - half, -0.01 + half))
    difference = known(found.difference)
    assert difference.method == known(difference.interval).method == "group-sequential t"
    assert found.outcome == "undecided"
    run(["compare", str(folder.path), *FIRST, *SECOND])
    assert " is over the first 5 common seeds, valid at all looks: group-sequential t\n" in capsys.readouterr().out
    # The interval on new samples is valid for one look only.
    assert found.new_images is None


def test_pairs_count_in_the_order_in_which_both_sides_got_them(tmp_path: Path) -> None:
    scores = {rate: np.random.default_rng(n).random(10).tolist() for n, rate in enumerate((0.01, 0.03))}
    made = Sweep.read(folder_of(tmp_path, scores))
    # Given that one side got the seeds 5 to 7 last
    late = {key: job for key, job in made.jobs.items() if job.seed in (5, 6, 7) and job.options.learning_rate == 0.03}
    made = replace(made, jobs={key: job for key, job in made.jobs.items() if key not in late} | late, seen="extended")

    of_leader, found = made.judgement.from_leader, compare(made, made, FIRST, SECOND)

    assert (of_leader.n[1], known(found.difference).method) == (8, "group-sequential t")
    expected = np.subtract(*scores.values())[[0, 1, 2, 3, 4, 8, 9, 5]].mean()
    assert (abs(of_leader.mean[1]), known(found.difference).mean) == pytest.approx((abs(expected), expected))


#: How jobs ended, and what is said.
SPARSE: dict[str, tuple[dict[float, list[Outcome]], str]] = {
    "one seed each": (
        {0.01: [0.9], 0.03: [0.95]},
        "Undecided: learning rate 0.01 has 90.00 % and learning rate 0.03 has 95.00 %; so few seeds tell nothing about "
        "the difference.",
    ),
    "two equal seeds each": (
        {0.01: [0.9, 0.91], 0.03: [0.9, 0.91]},
        "Undecided: learning rate 0.01 has 90.50 % and learning rate 0.03 has 90.50 %; so few seeds tell nothing about "
        "the difference",
    ),
    "one that diverged": (
        {0.01: CLOSE[0.01], 0.03: [*CLOSE[0.03][:4], "diverged"]},
        " 1 of 5 jobs of learning rate 0.03 diverged, and its mean is that of the others.",
    ),
    "all that diverged": (
        {0.01: [0.9, 0.9], 0.03: ["diverged"] * 2},
        "Undecided: learning rate 0.03 has no mean, because all its jobs with a result diverged.",
    ),
    "no result": (
        {0.01: [None, "failed"], 0.03: [0.9, 0.9]},
        "Undecided: learning rate 0.01 has no mean, because no job has a result.",
    ),
}


@pytest.mark.parametrize("case", SPARSE)
def test_what_has_too_few_seeds_or_diverged_is_said(tmp_path: Path, case: str) -> None:
    outcomes, told = SPARSE[case]
    found = compared(tmp_path, outcomes)
    assert told in str(found)
    if "diverged, and" in told:
        assert known(found.difference).n == 4
    else:
        assert (found.outcome, found.decided, found.seeds_to_decide) == ("undecided", False, None)
        assert (found.difference is None) == ("no mean" in told)
        assert found.win_probability is None
        assert found.better == (found.b if case == "one seed each" else None)


def test_a_race_counts_for_its_metric_whenever_that_is_chosen(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {0.01: [0.90, 0.93, 0.91, 0.92, 0.90], 0.03: [0.91, 0.91, 0.92, 0.90, 0.92]})
    look = Look(command="decide", seeds=5, rows=10, within=1e-5, metric="best")
    folder.write_manifest(folder.manifest().model_copy(update={"looks": [look]}))
    last, best = Sweep.read(folder), Sweep.read(folder, "best")
    assert (last.judgement.history, best.judgement.history) == ("fixed", "race")
    chosen = (last.select(metric="best"), best.select(metric="last"))
    assert [each.judgement.history for each in chosen] == ["race", "fixed"]
    # Also for a part of the sweep, which would be decided alone.
    parts = (last.select(FIRST, "best"), best.select(FIRST, "last"))
    assert [each.judgement.history for each in parts] == ["race", "fixed"]
    # The verdict of the one look stays if it decides by what the user takes for enough.
    assert best.select(within=0.1).judgement.history == best.select(FIRST, within=0.1).judgement.history == "fixed"


def test_equal_scores_of_all_seeds_are_no_difference(tmp_path: Path) -> None:
    scores = [0.9, 0.91, 0.92, 0.9005, 0.93]
    found = compared(tmp_path, {0.01: scores, 0.03: scores}, tolerance=0.001)
    assert (found.outcome, found.better, found.win_probability) == ("within", None, pytest.approx(0.5))
    same = "0.01 and learning rate 0.03 have the same validation accuracy under all seeds that count"
    assert same in str(replace(found, tolerance=0.0))
    # The squares of such differences would be 0.
    (tmp_path / "tiny").mkdir()
    tiny = compared(tmp_path / "tiny", {0.01: [1e-170 * score for score in scores], 0.03: [1e-180] * 5})
    assert (tiny.better, known(tiny.difference).mean) == (None, 0)


def test_it_takes_no_lock_and_writes_nothing(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CLOSE)
    with folder.exclusive():
        before = {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))}
        assert between(folder, folder, FIRST, SECOND).decided
        assert {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))} == before


def test_sweeps_that_measured_different_things_are_refused(tmp_path: Path) -> None:
    one, other_data = folder_of(tmp_path, CLOSE, "one"), folder_of(tmp_path, CLOSE, "other-data", data="/x")
    manifest = other_data.manifest()
    jobs = list(manifest.specification.jobs_by_key("1" * 64))
    other_data.write_manifest(manifest.model_copy(update={"dataset": "1" * 64, "jobs": jobs}))
    regression = SweepSpecification(
        trainer="sklearn", seeds=(0,), options={"estimator": "Ridge"}, grid={}, data="bundled"
    )
    other_metric = SweepFolder(tmp_path, "other-metric")
    with other_metric.exclusive(manifest_of(regression, "other-metric")):
        pass
    for other, why in (
        (other_data, "the data sets bundled (06ad231b5cb2) and /x (111111111111)"),
        (other_metric, "the metrics validation accuracy and validation R2"),
    ):
        with pytest.raises(IncomparableError) as refusal:
            between(one, other)
        assert str(refusal.value) == f"The sweeps one and {other.name} cannot be compared: they have {why}"


def test_what_is_no_pair_of_configurations_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CLOSE)
    with pytest.raises(InvalidInputError, match="both are the same, of which any difference is chance"):
        between(folder, folder, FIRST, ["learning-rates=1e-2"])
    for tolerance in (-0.1, 1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match=r"within is .* a number above 0 and below 1, because "):
            between(folder, folder, FIRST, SECOND, tolerance=tolerance)
    empty = folder_of(tmp_path, {0.01: [None], 0.03: [None]}, "empty")
    with pytest.raises(SweepNotFoundError, match="The sweep empty has no leader: it has no result yet"):
        between(folder, empty)


def test_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # Given two sweeps, the second with another option, and one whose seeds draw splits
    runs = tmp_path / "runs"
    folder_of(runs, CLOSE)
    folder_of(runs, CLOSE, "b", biases=True)
    folder_of(runs, CLOSE, "drawn", split="seed")
    monkeypatch.chdir(tmp_path)

    def printed(*words: str, status: int = 0) -> str:
        assert run(["compare", "a", *words]) == status
        return capsys.readouterr().out

    # A decided comparison ends with status 0; several options are one word in quotes.
    text = printed("learning_rate=0.01 epochs=2", *SECOND)
    assert text.startswith("Decided: learning rate 0.03 is better than learning rate 0.01 by 1.00 ± 0.88 points.\n")
    assert "a   learning rate 0.01   5/5       90.80" in text
    assert (
        "\nThe difference, with its 95 % interval for this pair alone, is over the 5 common seeds: paired t\n" in text
    )
    assert "a random seed of a is better than one of b with probability 0.20" in text
    # An undecided one ends with status 1.
    text = printed("b", *FIRST, *SECOND, "--within", "0.015", status=1)
    assert "They differ in learning rate 0.01 and 0.03, biases false and true" in text
    # A leader's mean is corrected for selection only if that changes it.
    folder_of(runs, {0.01: (0.9, 0.8, 0.7), 0.03: (0.7, 0.8, 0.95)}, "tied", biases=True)
    text = printed("tied", status=1)
    assert "95 % interval that allows for the choice of a leader, is " in text
    assert "b   learning rate 0.03 of tied   3/3       81.67" in text
    assert text.endswith("\nThe leader's mean, corrected for selection: b 73.33 %\n")
    assert "corrected" not in printed("b", status=1)
    # What never happened is not impossible.
    folder_of(runs, {0.01: (0.1, 0.1, 0.2), 0.03: (0.9, 0.8, 0.9)}, "apart")
    for words, share in ((FIRST + SECOND, "< 0.01"), (SECOND + FIRST, "> 0.99")):
        assert run(["compare", "apart", *words]) in (0, 1)
        assert f"is better than one of b with probability {share}\n" in capsys.readouterr().out
    # Where each seed has its own samples, that is said instead of an interval on new samples.
    assert run(["compare", "drawn", *FIRST, *SECOND]) == 0
    assert OWN_SPLITS in capsys.readouterr().out
    # One configuration after two sweeps is that of both.
    assert printed("b", *FIRST, "--within", "0.001").startswith(
        "Decided: learning rate 0.01 of a and learning rate 0.01 of b differ by less than 0.1 points, by 0.00 ± 0.02"
    )
    # The JSON object has the fields that the document lists.
    answer = json.loads(printed("b", "--within", "0.001", "--json"))
    document = (ROOT / "docs" / "how-to" / "compare.md").read_text()
    for name in (*answer, *answer["a"]):
        assert f"`{name}`" in document, name
    assert (answer["outcome"], answer["better"], answer["a"]["leader"]) == ("within", None, True)


SHARE, LOSS = Metric(name="accuracy", is_share=True), Metric(name="loss", higher_is_better=False)
JOBS = jobs_of(7, 0.1, 0.2)
EARLIER, LATER = [0.96, 0.97, 0.98], [0.95, 0.96, 0.955, 0.965]


def confirmed(before: list[float], fresh: list[Outcome], metric: Metric = SHARE) -> Confirmation:
    """Confirm a learning rate of which three jobs ended so before, and four under fresh seeds."""
    rows = rows_of(JOBS, {0.1: [*before, *fresh], 0.2: [0.0] * 7})
    sides = ([job for job in JOBS.values() if (job.seed < 3) == is_before] for is_before in (True, False))
    return confirmation({"learning_rate": 0.1}, *sides, rows, metric)


@pytest.mark.parametrize(
    ("before", "fresh", "metric"),
    [
        (EARLIER, LATER, SHARE),
        ([0.1, 0.2, 0.3], [0.4, 0.5, 0.4, 0.5], LOSS),
        (EARLIER, ["diverged", *LATER[1:]], SHARE),
    ],
    ids=["higher is better", "lower is better", "one diverged"],
)
def test_the_shrinkage_is_the_difference_of_the_means_with_welchs_interval(
    before: list[float], fresh: list[Outcome], metric: Metric
) -> None:
    found = confirmed(before, fresh, metric)
    trained = [score for score in fresh if isinstance(score, float)]
    assert (found.before.seeds, found.fresh.seeds, found.fresh.diverged) == (3, len(trained), 4 - len(trained))
    assert (found.before.mean, found.fresh.mean) == pytest.approx((statistics.mean(before), statistics.mean(trained)))
    assert found.fresh.interval == t_interval(trained)
    # The choice inflates the mean before: where lower is better, it is the lower one.
    first, second = (before, trained) if metric.higher_is_better else (trained, before)
    shrinkage = known(found.shrinkage)
    interval = known(shrinkage.interval)
    assert shrinkage.mean == pytest.approx(statistics.mean(first) - statistics.mean(second))
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    assert (interval.low, interval.high) == pytest.approx(tuple(expected))


def test_jobs_without_a_result_do_not_count() -> None:
    found = confirmed(EARLIER, ["failed"] * 4)
    assert (found.fresh.seeds, found.fresh.mean, found.fresh.interval, found.shrinkage) == (0, None, None, None)
    found = confirmed(EARLIER, [0.5, *["failed"] * 3])
    assert (found.fresh.seeds, found.fresh.mean, found.fresh.interval) == (1, 0.5, None)
    assert known(found.shrinkage).interval is None
    # Of an interval that was cut, the farther end counts.
    assert with_interval(SHARE, 0.94, Interval(0.81, 1.0, "t")) == "94.00 ± 13.00"
