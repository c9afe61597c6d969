"""Each method of `orchestrator/analysis/statistics/` against its theorem, SciPy, or values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from orchestrator.analysis.statistics.intervals import Interval, clopper_pearson, t_interval

VALUES = [0.971, 0.9755, 0.9742, 0.9738, 0.9761]


def test_a_t_interval_is_the_one_of_scipy() -> None:
    interval = t_interval(VALUES)
    low, high = scipy.stats.t.interval(0.95, 4, np.mean(VALUES), scipy.stats.sem(VALUES))
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-12)
    assert interval.method == "t"


def test_one_value_has_no_interval_and_equal_values_a_point() -> None:
    assert t_interval([]) is None
    assert t_interval([0.5]) is None
    assert t_interval([0.1, 0.1, 0.1]) == Interval(0.1, 0.1, "t")


def test_a_t_interval_does_not_depend_on_the_order() -> None:
    assert t_interval(VALUES) == t_interval(VALUES[::-1])


@pytest.mark.parametrize(("k", "n"), [(0, 5), (1, 5), (5, 5), (3, 40)])
def test_the_interval_of_a_rate_is_the_one_of_scipy(k: int, n: int) -> None:
    expected = scipy.stats.binomtest(k, n).proportion_ci()
    interval = clopper_pearson(k, n)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_none_of_five_diverged_leaves_half_possible() -> None:
    assert clopper_pearson(0, 5).high == pytest.approx(1 - 0.025 ** (1 / 5))
    assert clopper_pearson(0, 0) == Interval(0, 1, "Clopper-Pearson")
