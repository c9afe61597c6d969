"""Each method of `orchestrator/analysis/statistics/` against its theorem, SciPy, or values worked out by hand."""

import math
from collections.abc import Callable
from itertools import pairwise, permutations

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from nn.options.network import NetworkOptions
from orchestrator.analysis.leaderboard.scores import Entry, Scored
from orchestrator.analysis.statistics.best import LEVELS, _highest, honest_mean, moderated_variances, p_best, posterior
from orchestrator.analysis.statistics.boundaries import LOOKS, levels, looks_made
from orchestrator.analysis.statistics.difference import (
    Difference,
    compare,
    forecast,
    more_seeds,
    win_probability,
    within,
)
from orchestrator.analysis.statistics.images import new_images_difference, new_images_interval
from orchestrator.analysis.statistics.intervals import (
    Interval,
    clopper_pearson,
    confidence_sequence,
    sequence_factor,
    t_interval,
    t_quantile,
)
from orchestrator.analysis.statistics.pairs import IN_ORDER, Floats, Moments, Scores, as_array, lower_bounds, moments
from tests.support.known import known

VALUES = [0.971, 0.9755, 0.9742, 0.9738, 0.9761]
RNG = np.random.default_rng


def by_seed(*values: float, first: int = 0) -> dict[int, float]:
    return dict(enumerate(values, first))


def random_scores(seed: int, means: list[float], n: int) -> list[dict[int, float]]:
    values = RNG(seed).normal(np.array(means)[:, None], 1, (len(means), n))
    return [by_seed(*row) for row in values.tolist()]


def ends(interval: Interval | None) -> tuple[float, float]:
    return known(interval).low, known(interval).high


class TestIntervals:
    def test_a_t_interval_is_the_one_of_scipy(self) -> None:
        interval = t_interval(VALUES)
        expected = scipy.stats.t.interval(0.95, 4, np.mean(VALUES), scipy.stats.sem(VALUES))
        assert ends(interval) == pytest.approx(expected, rel=1e-12)
        assert known(interval).method == "t"

    @pytest.mark.parametrize(
        ("rule", "fewest", "method"), [(t_interval, 2, "t"), (confidence_sequence, 4, "confidence sequence")]
    )
    def test_it_takes_some_values_five_if_all_are_equal_in_any_order_and_a_chosen_one_allows_for_its_choice(
        self, rule: Callable[..., Interval | None], fewest: int, method: str
    ) -> None:
        assert [rule(VALUES[:n]) is not None for n in range(6)] == [n >= fewest for n in range(6)]
        assert rule([0.1] * 4) is None
        assert rule([0.1] * 5) == Interval(0.1, 0.1, method)
        assert rule(VALUES) == rule(VALUES[::-1])
        # The lower end of a chosen one, by the union bound: that of an interval at 0.05 / 2.
        one, two = (known(rule(VALUES, chosen_of=k)) for k in (1, 2))
        low, _ = scipy.stats.t.interval(0.975, 4, np.mean(VALUES), scipy.stats.sem(VALUES))
        wide = low if rule is t_interval else known(confidence_sequence(VALUES, 0.025)).low
        assert ends(two) == pytest.approx((wide, one.high))
        assert (one.method, two.method) == (method, f"{method}, chosen")

    def test_huge_values_do_not_overflow(self) -> None:
        low, high = ends(t_interval([1e300, 1.1e300, 1.2e300]))
        assert (low / 1e300, high / 1e300) == pytest.approx(ends(t_interval([1, 1.1, 1.2])))

    def test_the_interval_of_a_rate_is_the_one_of_scipy(self) -> None:
        for k, n in ((0, 5), (1, 5), (5, 5), (3, 40)):
            expected = scipy.stats.binomtest(k, n).proportion_ci()
            assert ends(clopper_pearson(k, n)) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert clopper_pearson(0, 0) == Interval(0, 1, "Clopper-Pearson")


class TestConfidenceSequence:
    @pytest.mark.parametrize("n", [4, 5, 10, 50])
    @pytest.mark.parametrize("alpha", [0.05, 0.01])
    def test_at_its_ends_the_mixture_of_likelihood_ratios_is_one_over_alpha(self, n: int, alpha: float) -> None:
        # The theorem's martingale. Under the right Haar prior over the standard deviation, the likelihood ratio of an
        # effect size to zero is that of the t statistic, whose effects are mixed by a normal distribution.
        factor = float(sequence_factor(n, alpha))
        t = factor * math.sqrt(n)

        def mixed(effect: float) -> float:
            likelihood = scipy.stats.nct.pdf(t, n - 1, math.sqrt(n) * effect)
            return float(likelihood * scipy.stats.norm.pdf(effect, scale=math.sqrt(5.5)))

        ratio = scipy.integrate.quad(mixed, -15, 15, limit=500, points=[0, factor])[0] / scipy.stats.t.pdf(t, n - 1)
        assert ratio == pytest.approx(1 / alpha, rel=1e-3)

    def test_it_is_so_much_wider_than_t(self) -> None:
        for n, times in ((5, 1.92), (10, 1.78), (20, 1.77)):
            values = RNG(n).normal(size=n).tolist()
            sequence, t = known(confidence_sequence(values)), known(t_interval(values))
            assert sequence.half_width / t.half_width == pytest.approx(times, abs=0.005)


class TestCompare:
    def test_common_seeds_are_paired_as_by_scipy(self) -> None:
        a, b = random_scores(1, [0.5, 0], 6)
        found = compare(a, b)
        expected = scipy.stats.ttest_rel(list(a.values()), list(b.values()))
        assert (found.method, found.n) == ("paired t", 6)
        assert ends(found.interval) == pytest.approx(tuple(expected.confidence_interval()))

    @pytest.mark.parametrize("scale", [1, 1e-90, 1e90])
    def test_other_seeds_are_compared_as_by_the_test_of_welch_of_scipy(self, scale: float) -> None:
        a, b = np.array([0.3, 1.9, 0.7]), np.array([0.2, -0.6, 0.1, 0.4, 0.3])
        found = compare(by_seed(*a * scale), by_seed(*b * scale, first=10))
        expected = scipy.stats.ttest_ind(a, b, equal_var=False)
        assert (found.method, found.n) == ("Welch t", 3)
        assert found.mean / scale == pytest.approx(a.mean() - b.mean())
        assert [end / scale for end in ends(found.interval)] == pytest.approx([*expected.confidence_interval()])

    @pytest.mark.parametrize(("first", "method"), [(3, "paired t"), (4, "Welch t")])
    def test_half_of_the_smaller_side_must_be_common_to_be_paired(self, first: int, method: str) -> None:
        (a,), (b,) = random_scores(2, [0], 6), random_scores(3, [0], 8)
        assert compare(a, {first + seed: value for seed, value in b.items()}).method == method

    def test_it_turns_with_its_sides(self) -> None:
        a, b = random_scores(4, [1, 0], 5)
        one, other = compare(a, b), compare(b, a).negated()
        assert one.mean == other.mean
        assert ends(one.interval) == pytest.approx(ends(other.interval))

    def test_a_sequential_one_takes_the_seeds_of_a_look_and_on_other_seeds_adds_the_sequences_of_both_sides(
        self,
    ) -> None:
        a, b = random_scores(5, [1, 0], 7)
        found = compare(a, b, sequential=True)
        first = [a[s] - b[s] for s in range(5)]
        half = scipy.stats.t.isf(levels(0.025)[0], 4) * scipy.stats.sem(first)
        assert ends(found.interval) == pytest.approx((np.mean(first) - half, np.mean(first) + half))
        assert (found.method, found.n) == ("group-sequential t", 5)
        (other,) = random_scores(7, [0], 9)
        found = compare(a, {seed + 100: value for seed, value in other.items()}, sequential=True)
        halves = [known(confidence_sequence(list(side.values()), alpha=0.025)) for side in (a, other)]
        assert known(found.interval).half_width == pytest.approx(sum(each.half_width for each in halves))
        assert found.method == "confidence sequence"

    def test_a_sequential_one_has_no_pairs_that_could_be_others_later(self) -> None:
        a, b = random_scores(8, [10, 9], 10)
        later = dict(reversed(list(b.items())))
        found, turned = compare(a, later, sequential=True), compare(later, a, sequential=True).negated()
        assert (found.mean, *ends(found.interval)) == pytest.approx((turned.mean, *ends(turned.interval)))
        assert (found.method, compare(a, b, sequential=True).method) == ("confidence sequence", "group-sequential t")
        assert more_seeds(found, a, later) is None

    def test_one_seed_on_a_side_has_no_interval_and_leaves_a_tolerance_undecided(self) -> None:
        found = compare(by_seed(1.0), by_seed(0.5, 0.6))
        assert (found.mean, found.interval, found.sd) == (pytest.approx(0.45), None, None)
        assert within(found, 10) == "undecided"

    def test_what_never_varies_differs_for_certain_from_five_seeds_on_but_not_in_the_last_digits(self) -> None:
        assert compare(by_seed(*[0.5] * 4), by_seed(*[0.4] * 4)).interval is None
        found = compare(by_seed(*[0.5] * 5), by_seed(*[0.4] * 5))
        assert ends(found.interval) == pytest.approx((0.1, 0.1))
        found = compare(by_seed(*[0.3] * 5), by_seed(*[0.1 + 0.2] * 5))
        assert (found.mean, *ends(found.interval)) == (0, 0, 0)
        # Nor do the scores of each, if the seeds are others: three of 0.1 have a mean of more.
        assert compare(by_seed(*[0.1] * 3), dict.fromkeys((7, 8, 9), 0.2)).interval is None
        # Nor do differences that are equal but for rounding.
        found = compare(by_seed(0.5, 0.6, 0.7, 0.8, 0.9), by_seed(0.4, 0.5, 0.6, 0.7, 0.8))
        assert ends(found.interval) == pytest.approx((0.1, 0.1), abs=1e-15)
        assert compare(by_seed(1e6, 2e6, 3e6), by_seed(1e6 - 1e-3, 2e6 - 1e-3, 3e6 - 1e-3)).interval is None
        assert t_interval([0.3, 0.1 + 0.2, 0.3]) is None
        # A huge score hides what varies neither beside it, nor before it.
        a, b = by_seed(0.5, 0.53, 0.49, 0.52, 0.5, 1e9), by_seed(0.51, 0.5, 0.52, 0.49, 0.5, 1e9)
        expected = scipy.stats.ttest_1samp([a[seed] - b[seed] for seed in a], 0).confidence_interval()
        assert ends(compare(a, b).interval) == pytest.approx(expected)
        first = compare(by_seed(*[*a.values()][:5]), b, sequential=True)
        assert ends(compare({**a, 5: 0.5}, b, sequential=True).interval) == ends(first.interval)
        # Whichever is named first
        assert compare(by_seed(*[0.0] * 3), by_seed(*[0.1] * 3)).interval is None

    def test_the_probability_to_win_is_the_statistic_of_mann_and_whitney(self) -> None:
        a, b = by_seed(1, 2, 2, 3), by_seed(2, 0, 4)
        expected = scipy.stats.mannwhitneyu(list(a.values()), list(b.values())).statistic / 12
        assert win_probability(a, b) == pytest.approx(expected)
        # By hand: of 12 pairs, 1, 2, 2 and 3 win over 0, 3 wins over 2, and 2 ties with 2 twice.
        assert win_probability(a, b) == pytest.approx((5 + 2 / 2) / 12)

    @pytest.mark.parametrize(
        ("low", "high", "verdict"),
        [(-0.1, 0.1, "within"), (-0.2, 0.2, "within"), (-0.1, 0.3, "undecided"), (0.21, 0.3, "apart"),
         (-0.5, -0.3, "apart"), (0.1, 0.3, "undecided"), (-1, 1, "undecided")],
    )  # fmt: skip
    def test_a_tolerance_is_judged_by_the_interval(self, low: float, high: float, verdict: str) -> None:
        difference = Difference((low + high) / 2, Interval(low, high, "t"), "paired t", 5, 0.1)
        assert within(difference, 0.2) == verdict


class TestForecast:
    @pytest.mark.parametrize("gap", [0.3, 0.5, 1.0, 2.0])
    def test_the_first_look_with_the_power_is_forecast(self, gap: float) -> None:
        n = known(forecast(1, gap))

        def power(look: int) -> float:
            seeds = LOOKS[look]
            critical = scipy.stats.t.isf(levels(0.025)[look], seeds - 1)
            return float(scipy.stats.nct.sf(critical, seeds - 1, gap * math.sqrt(seeds)))

        look = LOOKS.tolist().index(n)
        assert power(look) > 0.79
        assert look == 0 or power(look - 1) < 0.8

    def test_no_gap_has_no_forecast_and_no_noise_needs_one_look(self) -> None:
        assert forecast(1, 0) is None
        assert forecast(1, 1e-9) is None
        assert forecast(0, 0.1) == LOOKS[0]

    def test_a_gap_of_the_least_margin_has_no_forecast(self) -> None:
        assert forecast(0.001, 0.01, resolution=0.01) is None
        assert forecast(0.01, 0.02, resolution=0.01) == forecast(0.01, 0.02) == LOOKS[1]
        both = by_seed(0.5, 0.53, 0.5, 0.51, 0.52), by_seed(0.51, 0.53, 0.51, 0.52, 0.5)
        found = compare(*both)
        assert known(more_seeds(found, *both)) > 0
        assert more_seeds(found, *both, resolution=0.01) is None

    def test_more_seeds_are_those_beyond_the_present_ones(self) -> None:
        both = by_seed(0.0, 1.0, 2.0, 1.0, 1.0), by_seed(0.5, 2.5, 0.5, 1.5, 1.5)
        found = compare(*both)
        for tolerance, gap in ((0.0, 0.3), (0.1, 0.2), (1.0, 0.7)):
            assert more_seeds(found, *both, tolerance=tolerance) == known(forecast(known(found.sd), gap)) - 5
        # Of partly common seeds, only pairs count; of others, all do, until as many common ones have come.
        needed, many = known(forecast(known(found.sd), 0.3)), by_seed(*[0.0] * 100)
        assert more_seeds(found, many, dict.fromkeys(range(50, 150), 0.0)) == needed - 50
        assert more_seeds(found, *[dict.fromkeys(range(i, i + needed - 9), 0.0) for i in (0, needed)]) == 9
        assert more_seeds(found, dict.fromkeys(range(3), 0.0), dict.fromkeys(range(3, 6), 0.0)) == needed
        assert more_seeds(found, *[dict.fromkeys(range(10**5), 0.0)] * 2) == 1

    @pytest.mark.parametrize(("a", "b"), [([1], [2, 3]), ([1, 2], [2, 1]), ([1] * 5, [1] * 5)])
    def test_what_cannot_be_told_has_no_forecast(self, a: list[float], b: list[float]) -> None:
        assert more_seeds(compare(by_seed(*a), by_seed(*b)), by_seed(*a), by_seed(*b)) is None


class TestBoundaries:
    def test_looks_grow_by_half_whatever_happens(self) -> None:
        assert LOOKS[:9].tolist() == [5, 8, 12, 18, 27, 41, 62, 93, 140]
        assert looks_made(np.array([0, 4, 5, 7, 8, 92, 93])).tolist() == [0, 0, 1, 1, 2, 7, 8]

    @pytest.mark.parametrize("alpha", [0.05, 0.025, 0.05 / 19, 0.05 / 1999])
    def test_a_look_spends_its_share_on_what_the_look_before_did_not_reject(self, alpha: float) -> None:
        bounds = scipy.stats.norm.isf(levels(alpha))
        assert bounds[0] == pytest.approx(scipy.stats.norm.isf(alpha / 5))
        for k in (1, 2, 7):
            correlation = math.sqrt(LOOKS[k - 1] / LOOKS[k])
            law = scipy.stats.multivariate_normal(cov=[[1, correlation], [correlation, 1]])
            # The upper tails, whose probabilities are small, by symmetry.
            spent = scipy.stats.norm.sf(bounds[k]) - law.cdf(-bounds[k - 1 : k + 1])
            assert spent == pytest.approx(alpha * 0.2 * 0.8**k, rel=1e-3)

    def test_all_looks_together_keep_the_level_and_waste_little_of_it(self) -> None:
        # Means of nested samples: sums of independent normal steps.
        steps = np.diff(LOOKS[:12], prepend=0)
        sums = RNG(0).normal(size=(400_000, 12)) @ np.triu(np.sqrt(steps)[:, None] * np.ones(12))
        rejected = (sums / np.sqrt(LOOKS[:12]) > scipy.stats.norm.isf(levels(0.05)[:12])).any(axis=1).mean()
        assert 0.75 * 0.05 < rejected < 0.05 * (1 - 0.8**12)

    def test_levels_grow_with_alpha_exceed_their_shares_and_cannot_be_changed_for_others(self) -> None:
        every = np.array([levels(alpha) for alpha in (1e-6, 0.001, 0.01, 0.05, 0.2)])
        assert (np.diff(every, axis=0) > 0).all()
        assert (every[3] >= 0.05 * 0.2 * 0.8 ** np.arange(len(LOOKS)) * (1 - 1e-12)).all()
        with pytest.raises(ValueError, match="read-only"):
            levels(0.05)[0] = 1


def by_scipy(a: dict[int, float], b: dict[int, float], alpha: float) -> float:
    """Return the lower bound of a - b: of the test of SciPy that applies."""
    common, smaller = sorted(a.keys() & b.keys()), min(len(a), len(b))
    if smaller < 2:
        return -math.inf
    if len(common) >= 2 and 2 * len(common) >= smaller:
        found = scipy.stats.ttest_rel([a[s] for s in common], [b[s] for s in common], alternative="greater")
    else:
        found = scipy.stats.ttest_ind([*a.values()], [*b.values()], equal_var=False, alternative="greater")
    return float(found.confidence_interval(1 - alpha).low)


def some_missing(seed: int, n: int) -> list[dict[int, float]]:
    rng, scores = RNG(seed), random_scores(seed, [0, 0.5, 1, 2, 3], n)
    return [{s: v for s, v in each.items() if rng.random() < rng.choice([0.3, 0.7, 1])} for each in scores]


def test_a_score_after_a_missing_job_is_still_to_come() -> None:
    jobs = [(0, "succeeded", 0.5), (1, "missing", None), (2, "succeeded", 0.6)]
    entries = (Entry(seed=s, status=status, score=score, weights_sha256=None, place=s) for s, status, score in jobs)
    scored = Scored(NetworkOptions(learning_rate=0.1), tuple(entries))
    assert (scored.in_order, scored.places) == ({0: 0.5}, {0: 0, 1: 1, 2: 2})


class TestLowerBounds:
    @pytest.mark.parametrize("seed", range(20))
    def test_they_are_those_of_scipy_whatever_seeds_are_missing(self, seed: int) -> None:
        scores = some_missing(seed, 8)
        found = lower_bounds(as_array(scores), 0.0125)
        pairs = list(permutations(range(5), 2))
        expected = [by_scipy(scores[i], scores[j], 0.0125) for i, j in pairs]
        np.testing.assert_allclose([found[pair] for pair in pairs], expected)

    @pytest.mark.parametrize("seed", range(20))
    def test_of_a_sequential_one_the_first_pairs_count_up_to_the_last_look(self, seed: int) -> None:
        when = RNG(seed).permutation(70).reshape(5, 14)
        scores = some_missing(seed, 14)
        values = as_array([*scores, dict.fromkeys(range(14), 0.0)])[:5]
        # Of the missing scores, some are still to come
        never = np.isnan(values) & (RNG(seed).random(values.shape) < 0.9)
        found = lower_bounds(values, 0.0125, np.where(never, np.nan, when))
        for i, j in permutations(range(5), 2):
            order = np.maximum(when[i], when[j]).argsort().tolist()
            to_come = ~(never[i] | never[j]) & np.isnan(values[i] + values[j])
            order = order[: next((at for at, s in enumerate(order) if to_come[s]), None)]
            assert found[i, j] == pytest.approx(self.sequential(scores[i], scores[j], order, 0.0125))

    @staticmethod
    def sequential(a: dict[int, float], b: dict[int, float], order: list[int], alpha: float) -> float:
        gaps = [a[seed] - b[seed] for seed in order if seed in a and seed in b]
        if len(gaps) < 2 or 2 * len(gaps) < min(len(a), len(b)):
            halves = [confidence_sequence([*side.values()], alpha / 2) for side in (a, b)]
            return float(np.mean([*a.values()]) - np.mean([*b.values()])) - sum(
                math.inf if half is None else half.half_width for half in halves
            )
        look = sum(len(gaps) >= each for each in (5, 8, 12))
        first = by_seed(*gaps[: (0, 5, 8, 12)[look]])
        return by_scipy(first, dict.fromkeys(first, 0.0), levels(alpha)[look - 1])

    def test_seeds_after_a_look_change_nothing_before_the_next_one_and_rows_can_be_the_first_only(self) -> None:
        values = RNG(0).normal(size=(3, 12))
        at = [lower_bounds(values[:, :n], 0.05, IN_ORDER) for n in range(13)]
        assert [bool((at[n] == at[n - 1]).all()) for n in range(1, 13)] == [n not in (5, 8, 12) for n in range(1, 13)]
        np.testing.assert_array_equal(lower_bounds(values, 0.05, rows=2), lower_bounds(values, 0.05)[:2])

    #: Scores, and which pairs are above 0: those without noise from five seeds on, and none with one seed, or that
    #: overflow.
    @pytest.mark.parametrize(
        ("scores", "expected"),
        [
            ([], set()),
            ([by_seed(*VALUES)] * 3, set()),
            ([by_seed(9.0), {}, *random_scores(2, [0, 50], 5)], {(3, 2)}),
            ([by_seed(*[value] * 5) for value in (0.1, 0.3, 0.3, 0.2)], {(1, 0), (2, 0), (3, 0), (1, 3), (2, 3)}),
            ([by_seed(-1e300, -1e308, -1.5e308), *random_scores(3, [0, 50], 3)], {(2, 1)}),
        ],
        ids=["none", "equal", "one seed or none", "without noise", "overflow"],
    )
    def test_which_pairs_are_separated(self, scores: list[dict[int, float]], expected: set[tuple[int, int]]) -> None:
        found = lower_bounds(as_array(scores), 0.025) > 0
        assert set(zip(*map(np.ndarray.tolist, np.nonzero(found)), strict=True)) == expected

    @pytest.mark.parametrize("when", [None, IN_ORDER])
    def test_no_margin_is_below_the_resolution(self, when: Floats | None) -> None:
        scores = as_array([by_seed(*[value] * 5) for value in (0.5, 0.51)])
        found = lower_bounds(scores, 0.05, when, resolution=0.02)
        np.testing.assert_allclose(found[[0, 1], [1, 0]], [-0.03, -0.01])


class TestPBest:
    def test_one_with_few_seeds_counts_against_the_others_and_one_without_a_score_does_not(self) -> None:
        first, second = random_scores(1, [0, 0], 6)
        low, high = (p_best([first, second, {}, by_seed(value, value + 0.5)]) for value in (-9.0, 9.0))
        assert low[2] is high[2] is None
        assert sum(map(known, low[:2])) == pytest.approx(1, abs=0.01)
        assert sum(map(known, high[:2])) < 0.05
        assert (p_best([]), p_best([{}])) == ((), (None,))

    def test_one_alone_is_the_best_equal_ones_share_and_without_noise_the_highest_is(self) -> None:
        assert p_best([by_seed(*VALUES)]) == (pytest.approx(1),)
        assert p_best([by_seed(*VALUES)] * 4) == (pytest.approx(0.25, abs=1e-6),) * 4
        assert p_best([by_seed(*[value] * 5) for value in (0.1, 0.3, 0.3)]) == (0, 0.5, 0.5)

    @pytest.mark.parametrize("seeds", [5, 6, 7, 12])
    def test_scores_that_are_equal_but_for_rounding_share(self, seeds: int) -> None:
        # The mean of 12 times 0.1 is not 0.1, so their variance is not zero.
        assert p_best([by_seed(*[0.1] * seeds), by_seed(*[0.1] * 12), by_seed(*[0.1] * 10)]) == (1 / 3,) * 3
        found = p_best([by_seed(*[0.1] * seeds), by_seed(*[0.1] * 12), *random_scores(0, [0.1], 10)])
        assert sum(map(known, found)) == pytest.approx(1)
        # One that hardly varies is far above one that does.
        assert p_best([by_seed(*[3.0] * 14), by_seed(*[1e-5, 1e-5 + 2e-14] * 4), *random_scores(0, [-5], 9)])[0] == 1

    def test_scale_and_origin_do_not_matter(self) -> None:
        scores = random_scores(3, [0, 0.5, 1], 10)
        moved = [{s: 5 + 1e-4 * v for s, v in each.items()} for each in scores]
        assert p_best(moved) == pytest.approx(p_best(scores), abs=1e-6)

    def test_it_is_the_probability_by_sampling_from_the_model(self) -> None:
        rng = RNG(4)
        values = rng.normal([[0], [0.5], [0.7], [0.9], [2]], [[1], [1], [3], [1], [1]], (5, 8))
        values[0, 4:] = np.nan
        model = posterior(moments(values))
        which = rng.choice(len(model.weight), 400_000, p=model.weight)
        noise = rng.standard_t(np.minimum(model.df, 1e9), (400_000, 5))
        winners = (model.location[which] + model.scale[which] * noise).argmax(axis=1)
        scores = [{s: v for s, v in by_seed(*row).items() if not math.isnan(v)} for row in values.tolist()]
        found = p_best(scores)
        assert found == pytest.approx(np.bincount(winners) / 400_000, abs=0.005)

    def test_of_two_t_variables_the_higher_is_found_by_integration(self) -> None:
        location, scale, df = np.array([0.0, 0.7]), np.array([1.0, 2.0]), np.array([4.0, 9.0])
        found = _highest(location, scale, df, t_quantile(LEVELS, df[:, None]))

        def product(x: float) -> float:
            return float(scipy.stats.t.pdf(x, 9, 0.7, 2) * scipy.stats.t.cdf(x, 4))

        assert found[1] == pytest.approx(scipy.integrate.quad(product, -100, 100, points=[0, 1])[0], abs=0.001)

    def test_moderated_variances_find_the_prior_that_variances_are_drawn_from(self) -> None:
        # Smyth's model: the variances are drawn from 2 * F(4, 8), of which 8 and 2 are the prior's.
        rng = RNG(5)
        variance = 2 * rng.f(4, 8, 10_000)
        found, df = moderated_variances(Moments(np.full(10_000, 5.0), np.zeros(10_000), variance))
        assert df == pytest.approx(8 + 4, rel=0.05)
        assert found == pytest.approx((8 * 2 + 4 * variance) / 12, rel=0.1)

    def test_equal_variances_are_pooled(self) -> None:
        found, df = moderated_variances(Moments(np.full(3, 5.0), np.zeros(3), np.full(3, 2.0)))
        assert np.isinf(df).all()
        # Smyth's estimate of the common variance, from the mean of the logarithms.
        assert found == pytest.approx(2 * math.exp(math.log(2) - scipy.special.digamma(2)))


#: Scores of configurations, and the honest mean of the leader.
HONEST: dict[str, tuple[list[dict[int, float]], float | None]] = {
    # Without seed 0, A has 2 and B has 3: B's 6. Without seed 1, A has 9 and B has 6: A's 2.
    "by hand": ([by_seed(9.0, 2.0), by_seed(6.0, 3.0)], (6 + 2) / 2),
    # Two parts. Without the first, A has 4 and B has (1 + 9) / 2: B's (8 + 2) / 2 are taken. Without the second, A
    # has 6 and B has 5: A's 4.
    "unequal numbers of seeds are dealt into parts": ([by_seed(6.0, 4.0), by_seed(8.0, 1.0, 2.0, 9.0)], (5 + 4) / 2),
    "which seeds they are does not matter": ([{3: 6.0, 9: 4.0}, by_seed(8.0, 1.0, 2.0, 9.0)], (5 + 4) / 2),
    "one with one seed cannot be chosen": ([by_seed(9.0), by_seed(1.0, 2.0)], 1.5),
    "nothing can be chosen": ([by_seed(9.0), by_seed(1.0)], None),
    "nothing": ([], None),
    "one configuration is worth its mean": ([by_seed(*VALUES)], float(np.mean(VALUES))),
    # Parts of 2, 2 and 1 seeds: the mean of their means would be 8.25.
    "what every part chooses is worth its mean": ([by_seed(9.0, 9.0, 7.0, 8.0, 8.0), by_seed(1.0, 2.0, 3.0)], 8.2),
    "equal means go to the first": ([by_seed(1.0, 5.0), by_seed(2.0, 5.0)], (1 + 5) / 2),
    "equal means go to the first, turned": ([by_seed(2.0, 5.0), by_seed(1.0, 5.0)], (2 + 5) / 2),
}


@pytest.mark.parametrize("case", HONEST)
def test_the_honest_mean(case: str) -> None:
    scores, expected = HONEST[case]
    assert honest_mean(scores) == (None if expected is None else pytest.approx(expected))


def test_the_choice_of_the_honest_mean_may_go_by_merits_and_takes_scores() -> None:
    # B diverged under seed 2, which counts as 0. Only without that seed, it is chosen, and nothing is taken.
    a, b = by_seed(5.0, 6.0, 9.0), by_seed(8.0, 8.0)
    assert honest_mean([a, b], [a, {**b, 2: 0.0}]) == (5 + 6) / 2
    assert honest_mean([{}, {}], [by_seed(1.0, 2.0), by_seed(0.0, 0.0)]) is None


def right_answers(seed: int, n_seeds: int, n_images: int) -> np.ndarray:
    rng = RNG(seed)
    ease = rng.normal(2, 2, n_images) + rng.normal(0, 0.02, (n_seeds, 1))
    return rng.random((n_seeds, n_images)) < 1 / (1 + np.exp(-ease))


class TestImages:
    def test_the_interval_adds_both_variances(self) -> None:
        correct = right_answers(0, 5, 300)
        by_hand = [[float(bit) for bit in row] for row in correct]
        per_seed = [math.fsum(row) / 300 for row in by_hand]
        per_image = [math.fsum(column) / 5 for column in zip(*by_hand, strict=True)]
        v_seeds = np.var(per_seed, ddof=1)
        v_images = np.var(per_image, ddof=1) - np.mean([np.var(c, ddof=1) for c in zip(*by_hand, strict=True)]) / 5
        half = math.sqrt(2.776445**2 * v_seeds / 5 + 1.959964**2 * v_images / 300)
        mean = np.mean(per_seed)
        interval = known(new_images_interval(correct))
        assert ends(interval) == pytest.approx((mean - half, mean + half), rel=1e-6)
        assert interval.method == "seeds and images"
        # The lower end of a chosen one allows for its choice.
        below = math.sqrt(3.495406**2 * v_seeds / 5 + 2.241403**2 * v_images / 300)
        assert ends(known(new_images_interval(correct, chosen_of=2))) == pytest.approx(
            (mean - below, mean + half), rel=1e-6
        )

    def test_one_seed_or_one_image_has_none(self) -> None:
        assert new_images_interval(right_answers(3, 1, 100)) is None
        assert new_images_interval(right_answers(3, 5, 1)) is None
        assert new_images_difference({0: np.ones(9, bool)}, {0: np.ones(9, bool)}) is None
        same = [np.arange(9) < 3] * 5
        assert [new_images_interval(same[:n]) is None for n in (4, 5)] == [True, False]
        one, two = dict(enumerate(same[:3])), {7: same[0], 8: np.arange(9) < 4}
        assert [new_images_difference(one, each) is None for each in ({9: same[0]} | one, two)] == [True, False]

    def test_pairing_over_images_makes_a_difference_narrow(self) -> None:
        bits = right_answers(4, 10, 3000)
        a, b = ({seed: bits[5 * side + seed] for seed in range(5)} for side in (0, 1))
        common = new_images_difference(a, b)
        other = new_images_difference(a, {seed + 100: each for seed, each in b.items()})
        alone = [new_images_interval(np.array(list(side.values()))) for side in (a, b)]
        unpaired = math.hypot(*(each.half_width for each in alone if each))
        mean = np.mean(bits[:5]) - np.mean(bits[5:])
        for interval in map(known, (common, other)):
            assert (interval.low + interval.high) / 2 == pytest.approx(mean)
            assert interval.half_width < unpaired


def test_missing_scores_are_nan_in_the_order_of_seeds() -> None:
    scores: list[Scores] = [{7: 1.0, 2: 2.0}, {}, {3: 4.0}]
    expected = [[2, np.nan, 1], [np.nan] * 3, [np.nan, 4, np.nan]]
    np.testing.assert_array_equal(as_array(scores), expected)
    assert as_array([{}, {}]).shape == (2, 0)


def test_quantiles_are_those_of_scipy() -> None:
    levels = [0.001, 0.5, 0.9, 0.999999]
    assert t_quantile(np.array(levels), 3.7) == pytest.approx(scipy.stats.t.ppf(levels, 3.7))
    assert float(t_quantile(0.975, np.inf)) == pytest.approx(scipy.stats.norm.ppf(0.975))
    assert all(a > b for a, b in pairwise(t_quantile(0.975, np.arange(1.0, 50))))
