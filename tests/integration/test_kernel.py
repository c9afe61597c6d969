"""The compiled engine computes what the reference states, whatever the shape, the dtype and the order."""

from typing import Any

import numpy as np
import pytest

from nn.datasets.mnist import Dataset
from nn.errors import InvalidInputError
from nn.kernel import engine as kernel_engine
from nn.kernel.engine import CompiledEngine, warm_up
from nn.reference import NumPyEngine
from nn.samples import Samples, pack
from nn.training import Engine, predict
from nn.weights import LayerSizes, Weights
from tests.support.kernel_jobs import JOBS, KernelJob
from tests.support.networks import some_weights

#: How far the weights may be apart after some hundred steps: rounding, and nothing else.
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
#: What most tests train, so that it is compiled once.
SMALL = (7, 5, 3, 4)


def some_samples(n_features: int = 7, n_classes: int = 4, n: int = 300) -> Samples:
    """Return dense samples with negative features, some zeros, and every class."""
    random = np.random.RandomState(1)
    X = random.randn(n, n_features) * (random.rand(n, n_features) < 0.8)
    return pack(X, np.arange(n) % n_classes)


def with_part(samples: Samples, **parts: Any) -> Samples:
    fields = {name: getattr(samples, name) for name in ("spans", "indices", "values", "labels", "n_features")}
    return Samples(**(fields | parts))


def small_weights(dtype: str = "float64") -> Weights:
    return some_weights(SMALL, dtype, biases=True)


def small_engine(dtype: str = "float64") -> CompiledEngine:
    return CompiledEngine(small_weights(dtype), loss="cross_entropy")


def assert_equal(a: Weights, b: Weights) -> None:
    for ours, theirs in zip(a, b, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def assert_both_agree(
    compiled: Engine, plain: Engine, samples: Samples, *, learning_rate: float, unseen: Samples
) -> None:
    """Train both engines for two epochs, first in a drawn order; compare weights and probabilities."""
    # What an engine returns is a copy: the epochs that follow do not change it.
    before = compiled.weights()
    tolerance = TOLERANCE[before.W1.dtype.name]
    for engine in (compiled, plain):
        engine.train_epoch(samples, learning_rate, np.random.RandomState(5).permutation(len(samples)))
        engine.train_epoch(samples, learning_rate / 3)

    for ours, theirs, drawn in zip(compiled.weights(), plain.weights(), before, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
        assert np.abs(ours - drawn).max() > 30 * tolerance
    probabilities = compiled.predict_proba(unseen)
    assert probabilities.dtype == before.W1.dtype
    np.testing.assert_allclose(probabilities, plain.predict_proba(unseen), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(predict(compiled, unseen), probabilities.argmax(axis=1))


@pytest.mark.parametrize(
    "job",
    [
        *(pytest.param(job, id=name) for name, job in JOBS.items()),
        pytest.param(KernelJob("float32", (100, 37), rule="notebook"), id="notebook_float32"),
    ],
)
def test_the_kernel_trains_on_mnist_as_the_reference_does(mnist: Dataset, job: KernelJob) -> None:
    weights = some_weights((784, *job.hidden, 10), job.dtype, biases=job.biases)
    compiled, plain = (job.engine(name, weights) for name in ("compiled", "numpy"))
    rate = 0.003 if job.rule == "notebook" else 0.05

    assert_both_agree(compiled, plain, mnist.train.first(400), learning_rate=rate, unseen=mnist.validation.first(200))


@pytest.mark.parametrize(
    ("layer_sizes", "loss", "dtype", "biases"),
    [
        (SMALL, "cross_entropy", "float64", True),
        ((1, 1, 1, 2), "cross_entropy", "float32", False),
        ((3, 16, 32, 2), "sum_of_squares", "float32", True),
        ((5, 17, 33, 16), "cross_entropy", "float32", True),
        ((4, 33, 2, 37), "sum_of_squares", "float32", False),
        ((70_000, 3, 4, 3), "cross_entropy", "float32", True),
    ],
    ids=str,
)
def test_any_shape_and_dense_negative_features_will_do(
    layer_sizes: LayerSizes, loss: str, dtype: str, biases: bool
) -> None:
    n_features, *_, n_classes = layer_sizes
    samples = some_samples(n_features, n_classes, n=60 if n_features > 1000 else 300)
    samples = with_part(samples, values=samples.values.astype(dtype))
    weights = some_weights(layer_sizes, dtype, biases=biases)
    compiled, plain = CompiledEngine(weights, loss=loss), NumPyEngine(weights, loss=loss)

    assert_both_agree(compiled, plain, samples, learning_rate=1.0, unseen=samples)


def test_values_of_another_dtype_than_the_weights_are_converted_exactly() -> None:
    # Given the same samples with values in both dtypes, all of them exact in float32
    narrow = with_part(some_samples(), values=some_samples().values.astype(np.float32))
    wide = with_part(narrow, values=narrow.values.astype(np.float64))

    # Then the dtype of the values makes no difference to float32 weights. (MNIST's float32 values and float64 weights
    # are above, where the reference converts them.)
    one, other = small_engine("float32"), small_engine("float32")
    one.train_epoch(narrow, 0.3)
    other.train_epoch(wide, 0.3)
    assert_equal(one.weights(), other.weights())


@pytest.mark.parametrize("name", ["biases", "notebook"])
def test_training_is_repeatable_and_can_go_on_from_its_weights(mnist: Dataset, name: str) -> None:
    # Given two epochs in one engine
    samples, job = mnist.train.first(50), JOBS[name]
    whole = job.engine("compiled", job.initial_weights())
    whole.train_epoch(samples, 0.01)
    halfway = whole.weights()
    whole.train_epoch(samples, 0.01)

    # When another engine begins with the weights after the first
    resumed = job.engine("compiled", halfway)
    resumed.train_epoch(samples, 0.01, np.arange(len(samples)))

    # Then it ends with the same bits: nothing but the weights is carried on, and no order is the rows' order
    assert_equal(whole.weights(), resumed.weights())
    assert not np.array_equal(whole.weights().W3, halfway.W3)
    # And a sample has the same probabilities alone as among others
    np.testing.assert_array_equal(whole.predict_proba(samples.first(1)), whole.predict_proba(samples)[:1])


@pytest.mark.parametrize("kind", [CompiledEngine, NumPyEngine])
def test_an_engine_keeps_its_weights_to_itself_and_leaves_its_inputs_alone(kind: type[Engine]) -> None:
    given, samples, order = small_weights(), some_samples(), np.arange(300)[::-1]
    order.setflags(write=False)
    engine = kind(given, loss="cross_entropy")
    for array in engine.weights():
        array[:] = 0
    assert_equal(engine.weights(), given)
    engine.train_epoch(samples, 0.3, order)
    assert_equal(given, small_weights())


def test_no_samples_train_nothing() -> None:
    engine = small_engine()
    engine.train_epoch(some_samples().first(0), 0.3)
    assert_equal(engine.weights(), small_weights())
    assert engine.predict_proba(some_samples().first(0)).shape == (0, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("learning_rate", [1.0, 1e3, 1e38, np.inf, np.nan])
def test_a_network_that_diverges_saturates_or_becomes_nan(learning_rate: float, dtype: str) -> None:
    engine, samples = small_engine(dtype), some_samples()
    engine.train_epoch(samples, learning_rate)
    engine.train_epoch(samples, learning_rate)
    probabilities = engine.predict_proba(samples)
    rows_of_nan = np.isnan(probabilities).all(axis=1)
    np.testing.assert_allclose(probabilities[~rows_of_nan].sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(predict(engine, samples)[rows_of_nan], 0)
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
    weights = small_weights("float32")
    for array in weights:
        array.flat[0] = minus_nan
    for held in CompiledEngine(weights, loss="cross_entropy").weights():
        assert held.view(np.uint32).flat[0] == np.array([np.nan], np.float32).view(np.uint32)[0]


def test_an_index_out_of_range_is_refused_before_anything_is_trained() -> None:
    # Given an engine, and samples that are wrong in one part each
    engine, good = small_engine(), some_samples()
    far = good.indices.copy()
    far[-1] = 7
    wrong = {
        "n_features is 8; allowed: 7": with_part(good, n_features=8),
        "label is 4; allowed: 0 to 3": with_part(good, labels=good.labels + 1),
        "index is 7; allowed: 0 to 6": with_part(good, indices=far),
        "spans is .*; allowed: ends up to": with_part(good, spans=good.spans + 1),
        "spans is .*; allowed: .* ascending": with_part(good, spans=good.spans[:, ::-1]),
        r"spans is \[\[-1.*; allowed: .* ascending": with_part(good, spans=good.spans - 1),
        "spans is .*; allowed: .* for every sample": with_part(good, spans=good.spans[1:]),
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
    assert_equal(engine.weights(), small_weights())


@pytest.mark.parametrize(
    ("layer_sizes", "dtype", "options", "expected"),
    [
        (SMALL, "float64", {"loss": "hinge"}, "loss is 'hinge'; allowed: cross_entropy or sum_of_squares"),
        (SMALL, "float64", {"rule": "hebb"}, "rule is 'hebb'; allowed: backprop or notebook"),
        (SMALL, "float16", {}, "dtype is 'float16, float16, float16'; allowed: float32 or float64"),
        ((1, 1, 70_000, 2), "float32", {}, r"layer sizes is .*; allowed: at most 65536 nodes in a layer"),
    ],
)
def test_what_cannot_be_compiled_is_refused(
    layer_sizes: LayerSizes, dtype: str, options: dict[str, str], expected: str
) -> None:
    with pytest.raises(InvalidInputError, match=expected):
        CompiledEngine(some_weights(layer_sizes, dtype), **{"loss": "cross_entropy", **options})


def test_without_compilation_nothing_falls_back_to_slow_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_engine._config, "DISABLE_JIT", 1)
    engine = CompiledEngine(some_weights((7, 5, 4, 3)), loss="cross_entropy")

    expected = "NUMBA_DISABLE_JIT is 1; allowed: 0, or the engine that is not compiled"
    with pytest.raises(InvalidInputError, match=expected):
        engine.train_epoch(some_samples(n_classes=3), 0.3)


@pytest.mark.parametrize("name", ["float32", "biases", "notebook"])
def test_warming_up_compiles_all_that_training_needs(mnist: Dataset, name: str) -> None:
    # Given a process that has compiled nothing yet
    compilers, job = (kernel_engine.epoch, kernel_engine.probabilities), JOBS[name]
    for compiler in compilers:
        compiler.cache_clear()
    objective = "notebook" if job.rule == "notebook" else job.loss

    warm_up((784, *job.hidden, 10), dtype=job.dtype, objective=objective, biases=job.biases)

    # Then training and prediction find all that they need
    engine = job.engine("compiled", job.initial_weights())
    engine.train_epoch(mnist.train.first(2), 0.3)
    engine.predict_proba(mnist.validation.first(2))
    assert [compiler.cache_info().misses for compiler in compilers] == [1, 1]
