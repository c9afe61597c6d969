"""docs/results/notebook.md: its example prints what the page and the notebook's own code print."""

import functools
import re
from pathlib import Path

import numpy as np
import pytest

import nn
from nn.datasets.mnist import Dataset, load_mnist
from nn.notebook import notebook_accuracy
from nn.training import make_engine, predict
from nn.weights import Weights, initial_weights
from tests.support.literal_notebook import LiteralNotebook
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "results" / "notebook.md").read_text()
SIZES = (784, 128, 64, 10)


@pytest.mark.parametrize("epochs", [5, pytest.param(10, marks=pytest.mark.slow(reason="trains all the ten epochs"))])
def test_the_example_prints_what_the_page_says(
    epochs: int, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given the example and its ten lines, and the data set as earlier tests have prepared it
    match = re.search(r"```python\n(.*?)```\n\nIt prints:\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert match is not None
    example, expected = match.groups()
    assert expected.count("Epoch:") == 10
    monkeypatch.setattr(nn, "load_mnist", functools.partial(load_mnist, cache_dir=cache_dir))

    # When it is run, for as many epochs as the test has time for
    shortened = example.replace("random_state=42", f"random_state=42, epochs={epochs}")
    exec(compile(shortened, "docs/results/notebook.md", "exec"), {})  # noqa: S102

    def without_times(lines: str) -> list[str]:
        return re.sub(r"Spent: [0-9.]+s", "Spent: ?s", lines).splitlines()

    assert without_times(capsys.readouterr().out) == without_times(expected)[:epochs]


@pytest.mark.slow(reason="runs the notebook's code on all of MNIST; its ten epochs are the page's ten lines")
@pytest.mark.parametrize("seed", [0, 42])
def test_it_prints_what_the_notebook_prints(mnist: Dataset, seed: int) -> None:
    train, validation = mnist.train, mnist.validation
    one_hot = np.eye(10, dtype=np.float32)
    literal = LiteralNotebook(SIZES, seed, 0.001)
    engine = make_engine(
        "compiled",
        initial_weights(SIZES, np.random.RandomState(seed), "float64"),
        loss="cross_entropy",
        rule="notebook",
    )
    for _ in range(3):
        literal.train(train.to_dense(), one_hot[train.labels])
        engine.train_epoch(train, 0.001)
        printed = notebook_accuracy(predict(engine, validation), validation.labels, 10)
        assert printed == pytest.approx(literal.accuracy(validation.to_dense(), one_hot[validation.labels]), abs=5e-4)


@pytest.mark.parametrize("name", ["compiled", "numpy"])
def test_an_exponential_that_overflows_turns_the_network_to_nan_and_its_predictions_to_0(
    mnist: Dataset, name: str
) -> None:
    # Given a first layer so negative that exp(-z) is infinite, where the notebook's derivative is infinity / infinity
    drawn = initial_weights(SIZES, np.random.RandomState(0), "float64")
    engine = make_engine(name, Weights(drawn.W1 - 1000, drawn.W2, drawn.W3), loss="cross_entropy", rule="notebook")
    samples = mnist.train.first(3)

    # When it is trained
    engine.train_epoch(samples, 0.001)

    # Then NaN is all there is, and the printed accuracy of always predicting 0
    assert np.isnan(engine.predict_proba(samples)).all()
    np.testing.assert_array_equal(predict(engine, samples), 0)
    assert np.isnan(engine.weights().W1).all()
