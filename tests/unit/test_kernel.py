"""The compiled engine computes what the reference states, whatever the shape, the dtype and the order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import reference
from nn.datasets.mnist import Dataset, load_mnist
from nn.errors import InvalidInputError
from nn.kernel.engine import CompiledEngine, warm_up
from nn.options.network import LOSSES
from nn.reference import NumPyEngine
from nn.samples import Samples, pack
from nn.weights import Weights
from tests.support.networks import some_weights

pytestmark = pytest.mark.compiles

MNIST_SHAPE = (784, 128, 64, 10)
#: How far the weights may be apart after some thousand samples: rounding, and nothing else.
TOLERANCE = {"float64": 1e-12, "float32": 1e-4}


@pytest.fixture(scope="module")
def mnist(cache_dir: Path) -> Dataset:
    return load_mnist(cache_dir=cache_dir)


def some_samples(n_features: int, n_classes: int, n: int = 300) -> Samples:
    """Return dense samples with negative features, some zeros, and every class."""
    random = np.random.RandomState(1)
    X = random.randn(n, n_features) * (random.rand(n, n_features) < 0.8)
    return pack(X, np.arange(n) % n_classes)


def assert_equal(a: Weights, b: Weights) -> None:
    for ours, theirs in zip(a, b, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def assert_close(a: Weights, b: Weights, tolerance: float) -> None:
    for ours, theirs in zip(a, b, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("layer_sizes", "biases"), [(MNIST_SHAPE, False), (MNIST_SHAPE, True), ((784, 100, 37, 10), False)]
)
def test_the_kernel_trains_on_mnist_as_the_reference_does(
    mnist: Dataset, layer_sizes: tuple[int, int, int, int], biases: bool, loss: str, dtype: str
) -> None:
    # Given both engines with the same weights
    samples = mnist.train.first(3000)
    weights = some_weights(layer_sizes, dtype, biases=biases)
    compiled, plain = CompiledEngine(weights, loss=loss), NumPyEngine(weights, loss=loss)

    # When both train on the same samples, in another order than that of the rows
    order = np.random.RandomState(5).permutation(len(samples))
    compiled.train_epoch(samples, 0.05, order)
    plain.train_epoch(samples, 0.05, order)

    # Then weights and probabilities agree, and are far from where they began
    assert_close(compiled.weights(), plain.weights(), TOLERANCE[dtype])
    assert np.abs(compiled.weights().W2 - weights.W2).max() > 0.01
    unseen = mnist.validation.first(200)
    probabilities = compiled.predict_proba(unseen)
    assert probabilities.dtype == dtype
    np.testing.assert_allclose(probabilities, plain.predict_proba(unseen), rtol=0, atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(compiled.predict(unseen), probabilities.argmax(axis=1))


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "layer_sizes", [(7, 5, 3, 4), (1, 1, 1, 2), (3, 16, 32, 2), (5, 17, 33, 16), (4, 33, 2, 37), (70_000, 3, 4, 3)]
)
def test_any_shape_and_dense_negative_features_will_do(
    layer_sizes: tuple[int, int, int, int], loss: str, biases: bool
) -> None:
    samples = some_samples(layer_sizes[0], layer_sizes[3], n=60 if layer_sizes[0] > 1000 else 300)
    weights = some_weights(layer_sizes, biases=biases)
    compiled, plain = CompiledEngine(weights, loss=loss), NumPyEngine(weights, loss=loss)
    for engine in (compiled, plain):
        engine.train_epoch(samples, 0.3)
        engine.train_epoch(samples, 0.1)
    assert_close(compiled.weights(), plain.weights(), 1e-12)
    np.testing.assert_allclose(compiled.predict_proba(samples), plain.predict_proba(samples), rtol=0, atol=1e-12)


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_is_the_central_difference_of_the_loss(loss: str, biases: bool) -> None:
    # Given a network and one sample of class 0
    samples = some_samples(7, 4, n=1)
    weights = some_weights((7, 5, 3, 4), biases=biases)
    y = np.eye(4)[0]

    def loss_of(weights: Weights) -> float:
        (probabilities,) = CompiledEngine(weights, loss=loss).predict_proba(samples)
        return float(getattr(reference, loss)(probabilities, y))

    # When the kernel takes a step at a learning rate of 1
    engine = CompiledEngine(weights, loss=loss)
    engine.train_epoch(samples, 1.0)

    # Then every weight and every bias has lost the derivative of the loss
    for array, trained in zip(weights, engine.weights(), strict=True):
        gradient = array - trained
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + 1e-6
            above = loss_of(weights)
            array[place] = kept - 1e-6
            assert gradient[place] == pytest.approx((above - loss_of(weights)) / 2e-6, rel=1e-6, abs=1e-9)
            array[place] = kept


def test_values_of_another_dtype_than_the_weights_are_converted_exactly() -> None:
    # Given the same samples with values in both dtypes, all of them exact in float32
    coarse = some_samples(7, 4)
    narrow = Samples(coarse.indptr, coarse.indices, coarse.values.astype(np.float32), coarse.labels, 7)
    wide = Samples(coarse.indptr, coarse.indices, narrow.values.astype(np.float64), coarse.labels, 7)

    # Then the dtype of the values makes no difference to weights of either dtype
    for dtype in ("float32", "float64"):
        trained = []
        for samples in (narrow, wide):
            engine = CompiledEngine(some_weights((7, 5, 3, 4), dtype), loss="cross_entropy")
            engine.train_epoch(samples, 0.3)
            trained.append(engine.weights())
        assert_equal(*trained)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_three_epochs_reach_96_percent_on_mnist(mnist: Dataset, seed: int) -> None:
    engine = CompiledEngine(some_weights(MNIST_SHAPE, "float32", seed), loss="cross_entropy")
    for _ in range(3):
        engine.train_epoch(mnist.train, 0.03)
    assert np.mean(engine.predict(mnist.validation) == mnist.validation.labels) >= 0.96


def test_training_is_repeatable_and_can_go_on_from_its_weights() -> None:
    # Given two epochs in one engine
    samples = some_samples(7, 4)
    whole = CompiledEngine(some_weights((7, 5, 3, 4)), loss="cross_entropy")
    whole.train_epoch(samples, 0.3)
    halfway = whole.weights()
    whole.train_epoch(samples, 0.3)

    # When another engine begins with the weights after the first
    resumed = CompiledEngine(halfway, loss="cross_entropy")
    resumed.train_epoch(samples, 0.3, np.arange(len(samples)))

    # Then it ends with the same bits: nothing but the weights is carried on, and no order is the rows' order
    assert_equal(whole.weights(), resumed.weights())


def test_a_sample_has_the_same_probabilities_alone_as_among_others() -> None:
    samples = some_samples(7, 4)
    engine = CompiledEngine(some_weights((7, 5, 3, 4)), loss="cross_entropy")
    np.testing.assert_array_equal(engine.predict_proba(samples.first(1)), engine.predict_proba(samples)[:1])


def test_an_engine_keeps_its_weights_to_itself_and_leaves_its_inputs_alone() -> None:
    given, samples, order = some_weights((7, 5, 3, 4)), some_samples(7, 4), np.arange(300)[::-1]
    order.setflags(write=False)
    engine = CompiledEngine(given, loss="cross_entropy")
    engine.weights().W1[:] = 0
    assert_equal(engine.weights(), given)
    engine.train_epoch(samples, 0.3, order)
    assert_equal(given, some_weights((7, 5, 3, 4)))


def test_no_samples_train_nothing() -> None:
    engine = CompiledEngine(some_weights((7, 5, 3, 4)), loss="cross_entropy")
    engine.train_epoch(some_samples(7, 4).first(0), 0.3)
    assert_equal(engine.weights(), some_weights((7, 5, 3, 4)))
    assert engine.predict_proba(some_samples(7, 4).first(0)).shape == (0, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("learning_rate", [1.0, 1e3, 1e38, np.inf, np.nan])
@pytest.mark.parametrize("biases", [False, True])
def test_a_network_that_diverges_saturates_or_becomes_nan(biases: bool, learning_rate: float, dtype: str) -> None:
    engine = CompiledEngine(some_weights((7, 5, 3, 4), dtype, biases=biases), loss="cross_entropy")
    samples = some_samples(7, 4)
    engine.train_epoch(samples, learning_rate)
    engine.train_epoch(samples, learning_rate)
    probabilities = engine.predict_proba(samples)
    rows_of_nan = np.isnan(probabilities).all(axis=1)
    np.testing.assert_allclose(probabilities[~rows_of_nan].sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(engine.predict(samples)[rows_of_nan], 0)
    if not np.isfinite(learning_rate):
        assert rows_of_nan.all()
    # The padding of the second and third matrix, which the sums run over, is still zero.
    trained = engine.weights()
    for flat, matrix in zip(engine._W[1:], (trained.W2, trained.W3), strict=True):
        rows, columns = matrix.shape
        padded = flat.reshape(-1, 16).copy()
        padded[:rows, :columns] = 0
        assert not padded.any()


def test_every_nan_of_the_weights_has_the_same_bits() -> None:
    minus_nan = np.array([0xFFC00001], np.uint32).view(np.float32)[0]
    weights = some_weights((7, 5, 3, 4), "float32", biases=True)
    for array in weights:
        array.flat[0] = minus_nan
    for held in CompiledEngine(weights, loss="cross_entropy").weights():
        assert held.view(np.uint32).flat[0] == np.array([np.nan], np.float32).view(np.uint32)[0]


def with_part(samples: Samples, **parts: Any) -> Samples:
    fields = {name: getattr(samples, name) for name in ("indptr", "indices", "values", "labels", "n_features")}
    return Samples(**(fields | parts))


def test_an_index_out_of_range_is_refused_before_anything_is_trained() -> None:
    # Given an engine, and samples that are wrong in one part each
    engine = CompiledEngine(some_weights((7, 5, 3, 4)), loss="cross_entropy")
    good = some_samples(7, 4)
    far = good.indices.copy()
    far[-1] = 7
    wrong = {
        "n_features is 8; allowed: 7": with_part(good, n_features=8),
        "label is 4; allowed: 0 to 3": with_part(good, labels=good.labels + 1),
        "index is 7; allowed: 0 to 6": with_part(good, indices=far),
        "indptr is .*; allowed: ends up to": with_part(good, indptr=good.indptr + 1),
        "indptr is .*; allowed: .* ascending": with_part(good, indptr=good.indptr[::-1]),
    }

    # When it is to train on them, or in an order of rows that do not exist, then it refuses
    for message, samples in wrong.items():
        with pytest.raises(InvalidInputError, match=message):
            engine.train_epoch(samples, 0.3)
    for row in (-1, 300):
        with pytest.raises(InvalidInputError, match=f"order is {row}; allowed: 0 to 299"):
            engine.train_epoch(good, 0.3, np.array([0, row]))
    with pytest.raises(InvalidInputError, match="index is 7"):
        engine.predict_proba(with_part(good, indices=far))

    # And nothing has been trained
    assert_equal(engine.weights(), some_weights((7, 5, 3, 4)))


def test_what_cannot_be_compiled_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="loss is 'hinge'; allowed: cross_entropy or sum_of_squares"):
        CompiledEngine(some_weights((7, 5, 3, 4)), loss="hinge")
    with pytest.raises(InvalidInputError, match="rule is 'hebb'; allowed: backprop or notebook"):
        CompiledEngine(some_weights((7, 5, 3, 4)), loss="cross_entropy", rule="hebb")
    with pytest.raises(InvalidInputError, match="dtype is 'float16, float16, float16'; allowed: float32 or float64"):
        CompiledEngine(some_weights((7, 5, 3, 4), "float16"), loss="cross_entropy")
    with pytest.raises(InvalidInputError, match=r"layer sizes is .*; allowed: at most 65536 nodes in a layer"):
        CompiledEngine(some_weights((1, 1, 70_000, 2), "float32"), loss="cross_entropy")


def test_warming_up_compiles_all_that_training_needs() -> None:
    from nn.kernel import compile as kernel_compile

    warm_up((7, 6, 5, 4), dtype="float32", objective="cross_entropy")
    misses = kernel_compile.epoch.cache_info().misses, kernel_compile.probabilities.cache_info().misses
    samples = some_samples(7, 4)
    engine = CompiledEngine(some_weights((7, 6, 5, 4), "float32"), loss="cross_entropy")
    mnist_like = with_part(samples, values=samples.values.astype(np.float32))
    engine.train_epoch(mnist_like, 0.3)
    engine.predict(mnist_like)
    assert misses == (kernel_compile.epoch.cache_info().misses, kernel_compile.probabilities.cache_info().misses)
