"""What a confirmation says of results that are known."""

from __future__ import annotations

import statistics

import pytest
from scipy import stats

from orchestrator.analysis.statistics.intervals import t_interval
from orchestrator.commands.confirm import Confirmation, confirmation
from tests.support.boards import Outcome, jobs_of, rows_of
from tests.support.known import known
from worker.trainers.protocol import Metric

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
