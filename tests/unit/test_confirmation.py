"""What a confirmation says of results that are known."""

from __future__ import annotations

import math
import statistics

import pytest
from scipy import stats

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.analysis.confirmation import confirmation
from orchestrator.analysis.statistics.intervals import t_interval
from orchestrator.folder.rows import Row, lost_row
from tests.support.known import known
from tests.support.sweep_folders import row
from tests.support.sweeps import sweep_of
from worker.job import Job
from worker.trainers.protocol import Metric

POINT = {"learning_rate": 0.1}
SHARE = Metric(name="accuracy", is_share=True)


def jobs_under(seeds: tuple[int, ...]) -> list[Job]:
    return sweep_of(seeds=seeds, learning_rates=(0.1, 0.2), epochs=1).jobs(MNIST_DIGEST)


def rows_of(jobs: list[Job], scores: list[float]) -> dict[str, Row]:
    """Return rows of the jobs of learning rate 0.1 with these scores, and of the others with 0."""
    values = iter(scores)
    return {
        job.key: row(job).model_copy(
            update={"validation_score": [next(values) if job.options.model_dump()["learning_rate"] == 0.1 else 0.0]}
        )
        for job in jobs
    }


BEFORE, FRESH = jobs_under((0, 1, 2)), jobs_under((3, 4, 5, 6))
EARLIER, LATER = [0.96, 0.97, 0.98], [0.95, 0.96, 0.955, 0.965]


def test_the_shrinkage_is_the_difference_of_the_means_with_welchs_interval() -> None:
    rows = rows_of(BEFORE, EARLIER) | rows_of(FRESH, LATER)
    found = confirmation(POINT, BEFORE, FRESH, rows, SHARE)
    assert (found.before.seeds, found.fresh.seeds) == (3, 4)
    assert found.before.mean == pytest.approx(0.97)
    assert found.fresh.mean == pytest.approx(0.9575)
    expected = stats.ttest_ind(EARLIER, LATER, equal_var=False).confidence_interval()
    shrinkage = known(found.shrinkage)
    interval = known(shrinkage.interval)
    assert shrinkage.mean == pytest.approx(0.0125)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected))
    half = stats.t.ppf(0.975, 3) * stats.tstd(LATER) / math.sqrt(4)
    assert known(found.fresh.interval).half_width == pytest.approx(half)


def test_where_lower_is_better_a_flattered_mean_was_lower() -> None:
    rows = rows_of(BEFORE, [0.1, 0.2, 0.3]) | rows_of(FRESH, [0.4, 0.5, 0.4, 0.5])
    found = confirmation(POINT, BEFORE, FRESH, rows, Metric(name="loss", higher_is_better=False))
    assert known(found.shrinkage).mean == pytest.approx(0.25)


def test_jobs_that_diverged_are_counted_apart() -> None:
    rows = rows_of(BEFORE, EARLIER) | rows_of(FRESH, LATER)
    for job in FRESH[:2]:
        rows[job.key] = rows[job.key].model_copy(update={"status": "diverged"})
    found = confirmation(POINT, BEFORE, FRESH, rows, SHARE)
    trained = LATER[1:]
    assert (found.fresh.seeds, found.fresh.diverged) == (3, 1)
    assert found.fresh.mean == pytest.approx(statistics.mean(trained))
    assert found.fresh.interval == t_interval(trained)
    assert known(found.shrinkage).mean == pytest.approx(statistics.mean(EARLIER) - statistics.mean(trained))


def test_jobs_without_a_result_do_not_count() -> None:
    rows = rows_of(BEFORE, EARLIER) | {job.key: lost_row(job, "failed", "why") for job in FRESH}
    found = confirmation(POINT, BEFORE, FRESH, rows, SHARE)
    assert (found.fresh.seeds, found.fresh.mean, found.fresh.interval, found.shrinkage) == (0, None, None, None)
    one = rows | {FRESH[0].key: row(FRESH[0])}
    found = confirmation(POINT, BEFORE, FRESH, one, SHARE)
    assert (found.fresh.seeds, found.fresh.mean, found.fresh.interval) == (1, 0.5, None)
    assert known(found.shrinkage).interval is None
