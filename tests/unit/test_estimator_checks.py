"""The network as scikit-learn sees it: its whole conformance suite, and the tools that take estimators apart."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from nn import DeepNeuralNetwork

pytestmark = pytest.mark.compiles


@parametrize_with_checks([DeepNeuralNetwork()])
def test_scikit_learns_whole_suite(estimator, check) -> None:
    check(estimator)


@pytest.mark.slow(reason="the whole suite for two more configurations")
@parametrize_with_checks(
    [
        DeepNeuralNetwork(dtype="float64", shuffle=True, biases=True),
        DeepNeuralNetwork(engine="numpy", loss="sum_of_squares", learning_rate=0.1, epochs=20),
    ]
)
def test_scikit_learns_whole_suite_in_other_configurations(estimator, check) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def test_in_a_pipeline_under_cross_validation(iris) -> None:
    model = make_pipeline(StandardScaler(), DeepNeuralNetwork((16, 8), learning_rate=0.1, epochs=100, random_state=0))

    assert cross_val_score(model, *iris, cv=3).mean() > 0.9


def test_in_a_grid_search(iris) -> None:
    X, y = iris
    network = DeepNeuralNetwork((16, 8), epochs=50, shuffle=True, random_state=0)
    search = GridSearchCV(network, {"learning_rate": [1e-9, 0.1], "dtype": ["float32", "float64"]}, cv=3)

    search.fit(StandardScaler().fit_transform(X), y)

    assert search.best_params_["learning_rate"] == 0.1
    assert set(search.predict(X)) <= set(y)


def test_copy_by_clone_and_pickle(iris, tmp_path: Path) -> None:
    X, y = iris
    network = DeepNeuralNetwork((16, 8), epochs=3, random_state=0).fit(X, y)

    unpickled = pickle.loads(pickle.dumps(network))  # noqa: S301
    trained_again = clone(network).fit(X, y)

    assert not hasattr(clone(network), "weights_")
    for copy in (unpickled, trained_again):
        assert np.array_equal(copy.predict_proba(X), network.predict_proba(X))
    # And an unpickled network trains on as the first would have
    for one, other in zip(unpickled.partial_fit(X, y).weights_, network.partial_fit(X, y).weights_, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("labels", [np.array([True, False]), np.array([-1.0, 7.0]), np.array(["no", "yes"], object)])
def test_labels_of_any_type_come_back_as_they_were(labels: np.ndarray) -> None:
    X = np.repeat(np.eye(2), 50, axis=0)
    y = np.repeat(labels, 50)

    network = DeepNeuralNetwork((8, 8), learning_rate=0.5, epochs=50, shuffle=True, random_state=0).fit(X, y)

    assert np.array_equal(network.classes_, np.unique(labels))
    assert np.array_equal(network.predict(X), y)
    assert network.predict(X).dtype == labels.dtype
    assert network.predict_proba(X).sum(axis=1) == pytest.approx(1)


def test_more_features_than_16_bits_can_count() -> None:
    # Given rows whose only nonzero feature is beyond 65,535
    X = scipy.sparse.csr_array((np.ones(40), (np.arange(40), 70_000 + np.arange(40) % 2)), shape=(40, 70_010))
    y = np.arange(40) % 2

    network = DeepNeuralNetwork((8, 4), learning_rate=1.0, epochs=50, random_state=0).fit(X, y)

    assert network.score(X, y) == 1.0
    assert network.weights_.layer_sizes == (70_010, 8, 4, 2)
