"""The statistics keep what they promise in thousands of simulated sweeps, by the functions of `benchmarks/coverage.py`.

Each check also fails for the formula that is common and wrong: a check that passes for any formula says nothing.
"""

import importlib
import itertools
import math
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest
from numpy.random import Generator

from orchestrator.analysis.statistics import pairs
from orchestrator.analysis.statistics.best import honest_mean
from orchestrator.analysis.statistics.images import new_images_interval
from orchestrator.analysis.statistics.intervals import clopper_pearson, t_interval
from orchestrator.analysis.statistics.pairs import IN_ORDER, lower_bounds
from tests.support.known import known
from tests.support.paths import ROOT

# A benchmark finds the others beside it.
sys.path.append(str(ROOT / "benchmarks"))
coverage = importlib.import_module("benchmarks.coverage")
#: How many standard errors of the simulation a figure may be on the wrong side of what is promised, to be called kept.
#: A promise with room is asserted without it.
ERRORS = 3


@pytest.fixture
def random() -> Generator:
    return np.random.Generator(np.random.PCG64(13))


def error(share: float, sweeps: int) -> float:
    """Return the standard error of a share."""
    return math.sqrt(share * (1 - share) / sweeps)


def is_95(share: float) -> bool:
    return 0.93 <= share <= 0.97


@pytest.mark.parametrize("n", [5, 10])
def test_a_t_interval_covers_95_percent_and_a_z_interval_does_not(random: Generator, n: int) -> None:
    samples = coverage.draws(random, (2000, n))
    assert is_95(coverage.covered(t_interval, samples))
    assert not is_95(coverage.covered(coverage.z_interval, samples))


def test_a_t_interval_misses_the_mean_of_jobs_that_may_diverge_but_not_of_those_that_trained() -> None:
    for row in coverage.study("divergence", 600):
        assert not is_95(row["t of all"])
        assert is_95(row["t of those that trained"])


def test_a_confidence_sequence_misses_in_at_most_5_percent_over_100_looks_and_t_does_not(random: Generator) -> None:
    values = coverage.draws(random, (4000, 100))
    assert coverage.missed(values, coverage.s_factor) <= 0.05
    assert coverage.missed(values, coverage.t_factor) > 0.3


def test_the_contenders_keep_the_best_of_six_and_do_not_if_uncorrected(random: Generator) -> None:
    values = coverage.sweep(random, coverage.TIED, (20_000, 5))
    assert coverage.judged(values, coverage.TIED, 0.05 / 5)["best kept"] >= 0.95
    assert coverage.judged(values, coverage.TIED, 0.05)["best kept"] < 0.95 - ERRORS * error(0.95, 20_000)


@pytest.mark.parametrize("name", coverage.FIELDS)
def test_all_that_a_verdict_says_is_true_at_once(random: Generator, name: str) -> None:
    values, setting, resolution = coverage.field(random, name, 1500, 5)
    found = coverage.judged(values, setting, 0.05 / (len(setting[0]) - 1), resolution)
    assert found["all true"] >= 0.95 - ERRORS * error(0.95, 1500)
    if "tied" in name and "lower" not in name:
        # "The leader beats the next", at the same level, is not.
        assert found["a false pair"] > 0.05 + ERRORS * error(0.05, 1500)


def test_regrets_at_an_uncorrected_level_are_too_small(random: Generator) -> None:
    setting = coverage.SETTINGS["2 tied, 1 lower and wide"]
    values = coverage.sweep(random, setting, (20_000, 10))
    assert coverage.judged(values, setting, 0.05 / 2)["all true"] >= 0.95
    assert coverage.judged(values, setting, 0.1)["all true"] < 0.95 - ERRORS * error(0.95, 20_000)


def test_the_contenders_tell_rates_apart_that_differ(random: Generator) -> None:
    setting = coverage.SETTINGS["6 rates"]
    assert coverage.judged(coverage.sweep(random, setting, (1000, 10)), setting, 0.01)["contenders"] < 2.5


@pytest.mark.parametrize("name", ["4 tied", "6 tied", "20 tied", "6 rates", "6 tied, wide and narrow"])
def test_the_leaders_interval_allows_for_its_choice_and_t_does_not(random: Generator, name: str) -> None:
    values, means = coverage.by_rank(*coverage.field(random, name, 2000, 5)[:2])
    hits = []
    for first, truth in zip(values[:, 0].tolist(), means[:, 0], strict=True):
        chosen, t = t_interval(first, chosen_of=values.shape[1]), t_interval(first)
        hits.append((truth in known(chosen), truth in known(t)))
    of_chosen, of_t = np.mean(hits, axis=0)
    assert of_chosen >= 0.95 - ERRORS * error(0.95, 2000)
    if "tied" in name:
        assert of_t < 0.95 - ERRORS * error(0.95, 2000)


def test_group_sequential_contenders_keep_the_best_at_all_looks_and_those_by_t_do_not(random: Generator) -> None:
    values = coverage.sweep(random, coverage.TIED, (1000, 41))
    lost = {sequential: np.zeros(len(values), dtype=bool) for sequential in (False, True)}
    for n in range(4, 42):
        for sequential, row in lost.items():
            row |= (lower_bounds(values[..., :n], 0.01, IN_ORDER if sequential else None)[:, :, 0] > 0).any(axis=1)
    assert lost[True].mean() <= 0.05
    assert lost[False].mean() > 0.05 + ERRORS * error(0.05, 1000)


def test_the_levels_of_all_looks_add_up_to_what_is_spent_for_students_t(random: Generator) -> None:
    # The levels are those of normal means. 30,000 pairs, looked at up to 62 seeds.
    values = coverage.draws(random, (30_000, 2, 62))
    rejected, by_t = np.zeros((2, len(values)), dtype=bool)
    for n in (5, 8, 12, 18, 27, 41, 62):
        rejected |= lower_bounds(values[..., :n], 0.05, IN_ORDER)[:, 0, 1] > 0
        by_t |= lower_bounds(values[..., :n], 0.05)[:, 0, 1] > 0
    # Seven looks spend 1 - 0.8**7 of it.
    spent = 0.05 * (1 - 0.8**7)
    assert 0.8 * spent < rejected.mean() <= spent + ERRORS * error(spent, 30_000)
    assert by_t.mean() > 2 * spent


def test_p_best_is_calibrated_at_10_seeds(random: Generator) -> None:
    several = [coverage.chances(random, spread, 10, 400) for spread in coverage.SPREADS]
    said, right = (np.concatenate(each) for each in zip(*several, strict=True))
    assert worst_gap(said, right) <= 0.05
    likeliest = said == said.max(axis=1, keepdims=True)
    assert abs(said[likeliest].mean() - right[likeliest].mean()) <= 0.05
    # Sharpened, as by a method that forgets how few the seeds are, the same probabilities fail.
    sharp = said**2 / (said**2).sum(axis=1, keepdims=True)
    assert worst_gap(sharp, right) > 0.05


def worst_gap(said: np.ndarray, right: np.ndarray) -> float:
    """Return the greatest distance of what is said from what is true, over five ranges of what is said."""
    gaps = []
    for low, high in itertools.pairwise((0, 0.2, 0.4, 0.6, 0.8, 1.01)):
        chosen = (said >= low) & (said < high)
        assert chosen.sum() > 200
        gaps.append(abs(float(said[chosen].mean() - right[chosen].mean())))
    return max(gaps)


def test_the_honest_mean_is_without_bias_and_the_mean_of_the_leader_is_not(random: Generator) -> None:
    values = coverage.sweep(random, coverage.TIED, (2000, 5))
    twins = np.array([honest_mean(coverage.scores(each)) for each in values])
    flattered = values.mean(axis=2).max(axis=1)
    bound = ERRORS * twins.std() / math.sqrt(len(twins))
    assert abs(twins.mean()) <= bound
    assert flattered.mean() > 10 * bound


def test_the_honest_mean_is_without_bias_for_unequal_numbers_of_seeds(random: Generator) -> None:
    sizes = (25, 25, 5, 5, 3, 1)
    twins = [
        honest_mean([dict(list(one.items())[:n]) for one, n in zip(coverage.scores(values), sizes, strict=True)])
        for values in coverage.sweep(random, coverage.TIED, (1500, 25))
    ]
    known = np.array(twins, dtype=float)
    assert abs(known.mean()) <= ERRORS * known.std() / math.sqrt(len(known))


def test_an_interval_for_new_images_covers_where_the_one_on_these_images_does_not(random: Generator) -> None:
    hits = []
    many = [5 + 2 * random.standard_normal(500) for _ in range(400)]
    truth = float(np.mean([1 / (1 + np.exp(-ease)) for ease in many]))
    for ease in many:
        correct = coverage.answers(random, (1, 10, 500), ease, 0.0)[0]
        t, both = known(t_interval(correct.mean(axis=1).tolist())), known(new_images_interval(correct))
        hits.append((truth in t, truth in both))
    on_these, on_new = np.mean(hits, axis=0)
    assert on_new >= 0.95 - ERRORS * error(0.95, 400)
    assert on_these < 0.85


def test_the_forecast_has_at_least_the_power_that_it_is_for_and_the_same_every_time() -> None:
    assert all(0.8 <= row["separated"] <= 0.95 for row in coverage.study("forecasts", 2000))
    assert coverage.study("forecasts", 200) == coverage.study("forecasts", 200)


def test_a_race_keeps_the_best_of_twelve_and_one_whose_levels_are_not_divided_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kept() -> float:
        random = np.random.Generator(np.random.PCG64(13))
        setting = ((coverage.NOTHING, *(0.0,) * 11), (1.0,) * 12)
        races = [coverage.Race(coverage.sweep(random, setting, (41,)), 0.7).run(1000) for _ in range(100)]
        return float(np.mean([each.best[0] for each in races]))

    assert kept() >= 0.95
    right = pairs.levels
    monkeypatch.setattr(pairs, "levels", lambda alpha: right(11 * alpha))
    assert kept() < 0.95 - ERRORS * error(0.95, 100)


def test_a_race_claims_to_be_within_a_tolerance_only_if_it_is(random: Generator) -> None:
    # The second is worse by a little more than the tolerance: every claim for it is wrong.
    setting = ((0.0, -0.55), (1.0, 1.0))
    races = [coverage.Race(coverage.sweep(random, setting, (100,)), 0.5).run(200) for _ in range(200)]
    claims = [each for each in races if each.decided]
    assert sum(each.first == 1 for each in claims) <= 0.05 * len(races)
    assert len(claims) > 0.3 * len(races)


def test_a_race_takes_fewer_jobs_than_a_plain_one(random: Generator) -> None:
    ratios = [coverage.raced(random, name, 30)["of a plain race"] for name in list(coverage.RACES)[:4]]
    assert np.median(ratios) <= 0.7
    assert max(ratios) <= 1.05


def test_an_advised_race_decides_as_often_as_it_says(random: Generator) -> None:
    for name in ("6 tied", "6 rates"):
        assert coverage.advised(random, name, 10, 40)["decided"] >= 0.9


def test_the_document_has_a_place_for_every_table() -> None:
    document = (ROOT / "docs" / "explanation" / "statistics.md").read_text()
    assert re.findall(r"<!-- coverage: (\w+) -->", document) == list(coverage.STUDIES)
    for name in coverage.STUDIES:
        assert coverage.put(document, name, "changed") != document


def test_an_interval_of_a_rate_covers_at_least_95_percent_at_every_rate_as_the_document_says() -> None:
    # This is computed without chance.
    document, found = (ROOT / "docs" / "explanation" / "statistics.md").read_text(), coverage.study("rate", 100)
    assert all(row["least"] >= 0.95 for row in found)
    assert coverage.put(document, "rate", coverage.table(found)) == document
    assert f"{100 * clopper_pearson(0, 5).high:.0f} %" in document


def test_the_command_prints_a_table_and_refuses_what_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["coverage.py", *words])
        runpy.run_path(str(ROOT / "benchmarks" / "coverage.py"), run_name="__main__")

    run("rate")
    assert "| 5 | 97.6 % |" in capsys.readouterr().out
    for words, message in ((["rates"], "no such study: rates"), (["--sweeps", "5"], "must be at least 100, not 5")):
        with pytest.raises(SystemExit, match="2"):
            run(*words)
        assert message in capsys.readouterr().err


def test_numba_does_not_take_the_benchmark_for_the_package_of_its_name() -> None:
    # Given a program beside the benchmark, as the other benchmarks are, when it imports numba, then it can
    code = "import sys; sys.path.insert(0, 'benchmarks'); import numba; print('coverage' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "False\n", "")
