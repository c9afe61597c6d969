"""Training a job: when it counts as diverged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nn.datasets.mnist import Dataset, load_mnist
from nn.weights import from_safetensors
from tests.support.cluster import make_job
from worker.steps.breaker import Breaker
from worker.training.trainer import train

pytestmark = pytest.mark.compiles


@pytest.fixture(scope="module")
def dataset(cache_dir: Path) -> Dataset:
    return load_mnist(cache_dir=cache_dir)


def test_an_ordinary_job_succeeds(dataset: Dataset) -> None:
    assert train(make_job(), dataset).problem is None


def test_weights_that_are_no_numbers_are_a_problem(dataset: Dataset) -> None:
    trained = train(make_job(learning_rate=1e38, limit=2000), dataset)
    assert not all(np.isfinite(matrix).all() for matrix in from_safetensors(trained.weights))
    assert trained.problem == "diverged: a weight is infinite or not a number"


def test_to_name_one_class_only_is_a_problem(dataset: Dataset) -> None:
    # A step so large that every unit saturates: the network names one class ever after.
    trained = train(make_job(learning_rate=1e4, limit=2000), dataset)
    assert all(np.isfinite(matrix).all() for matrix in from_safetensors(trained.weights))
    assert trained.problem is not None
    assert trained.problem.startswith("stuck at chance: the validation accuracy of ")


def test_the_notebooks_rule_is_not_blamed_for_not_learning(dataset: Dataset) -> None:
    trained = train(make_job(rule="notebook", learning_rate=0.001), dataset)
    assert trained.history[-1].notebook_accuracy is not None
    assert trained.problem is None


def test_a_breaker_trips_on_failures_in_a_row() -> None:
    breaker = Breaker(3)
    assert [breaker.failed("x"), breaker.failed("x")] == [False, False]
    breaker.succeeded()
    assert [breaker.failed("a"), breaker.failed("b"), breaker.failed("c")] == [False, False, True]
    assert (breaker.tripped, breaker.reason) == (True, "c")
