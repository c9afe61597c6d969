"""The notebook's rule and accuracy, against its own code written out literally: slow, and with its mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nn import reference
from nn.datasets.mnist import Dataset, load_mnist
from nn.errors import InvalidInputError
from nn.notebook import notebook_accuracy, notebook_engine
from nn.samples import pack
from nn.weights import Weights, initial_weights

pytestmark = pytest.mark.compiles

SHAPE = (784, 128, 64, 10)


class LiteralNotebook:
    """What the notebook's class does, formula by formula, from NumPy's global seed."""

    def __init__(self, sizes: tuple[int, int, int, int], seed: int, l_rate: float) -> None:
        np.random.seed(seed)
        n_in, n_1, n_2, n_out = sizes
        self.l_rate = l_rate
        self.W1 = np.random.randn(n_1, n_in) * np.sqrt(1.0 / n_1)
        self.W2 = np.random.randn(n_2, n_1) * np.sqrt(1.0 / n_2)
        self.W3 = np.random.randn(n_out, n_2) * np.sqrt(1.0 / n_out)

    def sigmoid(self, z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def sigmoid_derivative(self, z: Any) -> Any:
        return np.exp(-z) / (np.exp(-z) + 1) ** 2

    def softmax(self, z: Any) -> Any:
        exps = np.exp(z - z.max())
        return exps / np.sum(exps, axis=0)

    def forward(self, x: Any) -> Any:
        self.Z1 = np.dot(self.W1, x)
        self.A1 = self.sigmoid(self.Z1)
        self.Z2 = np.dot(self.W2, self.A1)
        self.A2 = self.sigmoid(self.Z2)
        self.A3 = self.softmax(np.dot(self.W3, self.A2))
        return self.A3

    def train(self, X: Any, Y: Any) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            for x, y in zip(X, Y, strict=True):
                error = self.forward(x) - y
                change_3 = np.dot(error, self.A3)
                error = np.dot(self.W3.T, error) * self.sigmoid_derivative(self.Z2)
                change_2 = np.dot(error, self.A2)
                error = np.dot(self.W2.T, error) * self.sigmoid_derivative(self.Z1)
                change_1 = np.dot(error, self.A1)
                self.W1 -= self.l_rate * change_1
                self.W2 -= self.l_rate * change_2
                self.W3 -= self.l_rate * change_3

    def accuracy(self, X: Any, Y: Any) -> float:
        equal = []
        with np.errstate(over="ignore", invalid="ignore"):
            for x, y in zip(X, Y, strict=True):
                equal.append(np.argmax(self.forward(x)) == y)
        return float(np.average(sum(equal) / 100.0))


@pytest.fixture(scope="module")
def mnist(cache_dir: Path) -> Dataset:
    return load_mnist(cache_dir=cache_dir)


def printed_by_both(
    mnist: Dataset, seed: int, *, n_train: int, n_validation: int, epochs: int, l_rate: float
) -> tuple[list[float], list[float]]:
    """Return the accuracies that the notebook's code and the engine give, one per epoch."""
    train, validation = mnist.train.first(n_train), mnist.validation.first(n_validation)
    one_hot = np.eye(10, dtype=np.float32)
    literal = LiteralNotebook(SHAPE, seed, l_rate)
    engine = notebook_engine(initial_weights(SHAPE, np.random.RandomState(seed), "float64"))
    expected, printed = [], []
    for _ in range(epochs):
        literal.train(train.to_dense(), one_hot[train.labels])
        expected.append(literal.accuracy(validation.to_dense(), one_hot[validation.labels]))
        engine.train_epoch(train, l_rate)
        printed.append(notebook_accuracy(engine.predict(validation), validation.labels, 10))
    return expected, printed


@pytest.mark.parametrize("seed", [1, 3])
def test_it_prints_what_the_notebook_prints_on_a_part_of_the_data(mnist: Dataset, seed: int) -> None:
    expected, printed = printed_by_both(mnist, seed, n_train=3000, n_validation=2000, epochs=3, l_rate=0.01)
    np.testing.assert_allclose(printed, expected, rtol=0, atol=5e-4)
    assert max(expected) > 0


@pytest.mark.slow(reason="runs the notebook's ten epochs on all of MNIST")
@pytest.mark.parametrize("seed", [0, 1, 42])
def test_it_prints_what_the_notebook_prints_over_ten_epochs_of_all_of_the_data(mnist: Dataset, seed: int) -> None:
    expected, printed = printed_by_both(mnist, seed, n_train=59_500, n_validation=10_500, epochs=10, l_rate=0.001)
    np.testing.assert_allclose(printed, expected, rtol=0, atol=5e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer_sizes", [SHAPE, (784, 100, 37, 10)])
def test_both_engines_move_the_weights_alike(
    mnist: Dataset, layer_sizes: tuple[int, int, int, int], dtype: str
) -> None:
    samples = mnist.train.first(2000)
    weights = initial_weights(layer_sizes, np.random.RandomState(0), dtype)
    order = np.random.RandomState(1).permutation(len(samples))
    engines = [notebook_engine(weights, engine=name) for name in ("compiled", "numpy")]
    for engine in engines:
        engine.train_epoch(samples, 0.001, order)
    for compiled, plain in zip(*(engine.weights() for engine in engines), strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=0, atol=1e-12 if dtype == "float64" else 1e-4)


@pytest.mark.parametrize("name", ["compiled", "numpy"])
def test_one_step_takes_one_number_from_all_weights_of_a_layer(name: str) -> None:
    # Given a network and one sample of class 1
    weights = initial_weights((7, 5, 3, 4), np.random.RandomState(0), "float64")
    samples = pack(np.random.RandomState(1).rand(1, 7), np.array([1]))
    engine = notebook_engine(weights, engine=name)

    # When the rule takes a step
    engine.train_epoch(samples, 0.5)

    # Then the output layer moves by the scalar product of its error with its own output
    A3 = reference.forward(weights, samples.dense(0, np.dtype("float64"))).A3
    moves = [after - before for after, before in zip(engine.weights(), weights, strict=True)]
    np.testing.assert_allclose(moves[2], -0.5 * ((A3 - np.eye(4)[1]) @ A3), rtol=1e-12)
    # And each other layer, too, by one number that is not zero
    for move in moves:
        np.testing.assert_allclose(move, move[0, 0], rtol=1e-9)
        assert move[0, 0] != 0


@pytest.mark.parametrize("name", ["compiled", "numpy"])
def test_an_exponential_that_overflows_turns_the_network_to_nan_and_its_predictions_to_0(name: str) -> None:
    # Given a first layer so negative that exp(-z) is infinite, where the notebook's derivative is infinity / infinity
    drawn = initial_weights((7, 5, 3, 4), np.random.RandomState(0), "float64")
    weights = Weights(drawn.W1 - 1000, drawn.W2, drawn.W3)
    samples = pack(np.ones((3, 7)), np.array([1, 2, 3]))
    engine = notebook_engine(weights, engine=name)

    # When it is trained
    engine.train_epoch(samples, 0.001)

    # Then NaN is all there is, and the printed accuracy of always predicting 0
    assert np.isnan(engine.predict_proba(samples)).all()
    np.testing.assert_array_equal(engine.predict(samples), 0)
    assert np.isnan(engine.weights().W1).all()


def validation_of(counts: list[int]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize(("predicted", "printed"), [(0, 94.5), (1, 10.5), (2, 0.0), (9, 0.0)])
def test_the_notebooks_accuracy_of_always_predicting_one_class(predicted: int, printed: float) -> None:
    labels = validation_of([1050] * 10)
    assert notebook_accuracy(np.full(10_500, predicted), labels, 10) == pytest.approx(printed, abs=1e-9)


def test_the_notebooks_accuracy_depends_on_two_counts_only() -> None:
    # Given predictions of which 1,234 are 0 and 777 are 1, whatever the labels are
    random = np.random.RandomState(0)
    predictions = random.permutation(validation_of([1234, 777, 3000, 5489]))
    labels = random.randint(0, 10, 10_500)
    assert notebook_accuracy(predictions, labels, 10) == pytest.approx((9 * 1234 + 777) / 1000, abs=1e-9)


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"^engine is 'gpu'; allowed: compiled or numpy$"):
        notebook_engine(initial_weights((7, 5, 3, 4), np.random.RandomState(0), "float64"), engine="gpu")
