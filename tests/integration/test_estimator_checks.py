"""The network as scikit-learn sees it: its whole conformance suite, and the tools that take estimators apart."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nn import DeepNeuralNetwork


def network(**parameters: object) -> DeepNeuralNetwork:
    usual = {"hidden_layer_sizes": (8, 8), "engine": "numpy", "learning_rate": 0.2, "epochs": 6, "random_state": 0}
    return DeepNeuralNetwork(**usual | parameters)


SLOW = pytest.mark.slow(reason="the whole suite for three more configurations, two of which are compiled")


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(network(random_state=None), id="numpy"),
        pytest.param(DeepNeuralNetwork(), id="defaults", marks=SLOW),
        pytest.param(DeepNeuralNetwork(dtype="float64", shuffle=True, biases=True), id="float64", marks=SLOW),
        pytest.param(
            DeepNeuralNetwork(engine="numpy", loss="sum_of_squares", learning_rate=0.1, epochs=20),
            id="sum of squares", marks=SLOW,
        ),
    ],
)  # fmt: skip
def test_scikit_learns_whole_suite(estimator: DeepNeuralNetwork) -> None:
    # Imported here, because it takes some tenths of a second, in every test process.
    from sklearn.utils.estimator_checks import check_estimator

    check_estimator(estimator, on_skip=None)


@pytest.fixture(scope="module")
def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def test_in_a_grid_search_over_a_pipeline(iris) -> None:
    model = make_pipeline(StandardScaler(), network(shuffle=True))
    grid = {"deepneuralnetwork__learning_rate": [1e-9, 0.3], "deepneuralnetwork__dtype": ["float32", "float64"]}

    search = GridSearchCV(model, grid, cv=2).fit(*iris)

    assert search.best_params_["deepneuralnetwork__learning_rate"] == 0.3
    assert search.best_score_ > 0.9
    assert set(search.predict(iris[0])) <= set(iris[1])


def test_an_unpickled_network_trains_on_as_the_first_would_have(iris) -> None:
    X, y = iris
    trained = network(epochs=3).fit(X, y)
    unpickled = pickle.loads(pickle.dumps(trained))  # noqa: S301
    for one, other in zip(unpickled.partial_fit(X, y).weights_, trained.partial_fit(X, y).weights_, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("labels", [np.array([True, False]), np.array([-1.0, 7.0]), np.array(["no", "yes"], object)])
def test_labels_of_any_type_come_back_as_they_were(labels: np.ndarray) -> None:
    X = np.repeat(np.eye(2), 50, axis=0)
    y = np.repeat(labels, 50)

    trained = network(learning_rate=1.0, epochs=12, shuffle=True).fit(X, y)

    assert np.array_equal(trained.classes_, np.unique(labels))
    assert np.array_equal(trained.predict(X), y)
    assert trained.predict(X).dtype == labels.dtype
    assert trained.predict_proba(X).sum(axis=1) == pytest.approx(1)
