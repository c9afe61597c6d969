"""The notebook's rule in NumPy, against its own code written out literally, and the accuracy that it prints."""

from __future__ import annotations

import numpy as np
import pytest

from nn.engine import make_engine
from nn.notebook import notebook_accuracy
from nn.samples import pack
from nn.weights import initial_weights
from tests.support.literal_notebook import LiteralNotebook

SIZES = (9, 6, 5, 4)


@pytest.mark.parametrize("seed", [1, 3])
def test_it_trains_and_predicts_as_the_notebook_does(seed: int) -> None:
    # Given random samples, of which the notebook wants one-hot labels
    random = np.random.RandomState(0)
    X, labels = random.rand(200, 9), random.randint(0, 4, 200)
    one_hot = np.eye(4)[labels]
    literal = LiteralNotebook(SIZES, seed, 0.01)
    engine = make_engine(
        "numpy", initial_weights(SIZES, np.random.RandomState(seed), "float64"), loss="cross_entropy", rule="notebook"
    )

    for _ in range(3):
        literal.train(X, one_hot)
        engine.train_epoch(pack(X, labels), 0.01)

        for ours, theirs in zip(engine.weights(), (literal.W1, literal.W2, literal.W3), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
        predicted = engine.predict(pack(X, labels))
        assert notebook_accuracy(predicted, labels, 4) == pytest.approx(literal.accuracy(X, one_hot), abs=1e-9)


def test_the_notebooks_accuracy_depends_on_two_counts_only() -> None:
    # Given predictions of which 1,234 are 0 and 777 are 1, whatever the labels are
    random = np.random.RandomState(0)
    predictions = random.permutation(np.repeat(np.arange(4), [1234, 777, 3000, 5489]))
    labels = random.randint(0, 10, 10_500)
    assert notebook_accuracy(predictions, labels, 10) == pytest.approx((9 * 1234 + 777) / 1000, abs=1e-9)
