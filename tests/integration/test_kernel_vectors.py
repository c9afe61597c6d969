"""The vector instructions, against NumPy: exp to an ulp, sums in a fixed order."""

from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from nn.kernel import vectors
from nn.kernel.vectors import LANES


@njit(error_model="numpy")
def exp_of(x: Any, result: Any) -> None:
    source, target = vectors.pointer(x), vectors.pointer(result)
    for i in range(0, x.shape[0], LANES):
        vectors.store(target, i, vectors.exp(vectors.load(source, i)))


@njit(error_model="numpy")
def total_of(x: Any) -> Any:
    return vectors.total(vectors.load(vectors.pointer(x), 0))


@njit(error_model="numpy")
def totals_by_folds(x: Any, result: Any) -> None:
    rows, half = vectors.pointer(x), vectors.scratch(256, np.float64)
    for i in range(0, 256, 32):
        vectors.store(half, i // 2, vectors.fold(vectors.load(rows, i), vectors.load(rows, i + 16), 16))
    for i in range(0, 128, 32):
        vectors.store(half, i // 2, vectors.fold(vectors.load(half, i), vectors.load(half, i + 16), 8))
    for i in range(0, 64, 32):
        vectors.store(half, i // 2, vectors.fold(vectors.load(half, i), vectors.load(half, i + 16), 4))
    vectors.store(vectors.pointer(result), 0, vectors.fold(vectors.load(half, 0), vectors.load(half, 16), 2))


def aligned(values: Any, dtype: str) -> NDArray[Any]:
    memory = np.zeros(len(values) * np.dtype(dtype).itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    array = memory[start : start + len(values) * np.dtype(dtype).itemsize].view(dtype)
    array[:] = values
    return array


def exp(values: Any, dtype: str) -> NDArray[Any]:
    x = aligned(np.resize(values, -(-len(values) // LANES) * LANES), dtype)
    result = aligned(np.zeros_like(x), dtype)
    exp_of(x, result)
    return result[: len(values)]


@pytest.mark.parametrize(("dtype", "lowest", "highest"), [("float32", -86.5, 88.72), ("float64", -707.0, 709.78)])
def test_exp_is_right_to_an_ulp_and_a_half(dtype: str, lowest: float, highest: float) -> None:
    # Given numbers all over the range, and close to 0
    random = np.random.RandomState(0)
    x = np.concatenate([random.uniform(lowest, highest, 100_000), random.uniform(-1, 1, 100_000), [lowest, highest]])
    x = x.astype(dtype)

    # Then exp is the true value to 1.5 units in its last place
    true = np.exp(x.astype(np.longdouble))
    ulps = np.abs(exp(x, dtype) - true) / np.spacing(true.astype(dtype))
    assert ulps.max() < 1.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exp_saturates_and_hands_nan_on(dtype: str) -> None:
    largest = np.log(np.finfo(dtype).max)
    x = [0.0, -0.0, -np.inf, -1e4, np.inf, 1e4, np.nextafter(largest, np.inf), np.nan, -np.nan]
    expected = [1.0, 1.0, 0.0, 0.0, np.inf, np.inf, np.inf, np.nan, np.nan]
    np.testing.assert_array_equal(exp(x, dtype), np.array(expected, dtype))
    assert np.isfinite(exp([largest * 0.999999], dtype))


def test_lanes_are_added_as_a_tree() -> None:
    # Given 16 numbers whose sum depends on the order
    random = np.random.RandomState(0)
    for _ in range(100):
        x = random.randn(16) * 10.0 ** random.randint(-8, 8, 16)

        # Then each round adds the second half to the first
        halves = x
        while len(halves) > 1:
            halves = halves[: len(halves) // 2] + halves[len(halves) // 2 :]
        assert total_of(aligned(x, "float64")) == halves[0]


def test_folds_add_16_vectors_as_total_does() -> None:
    random = np.random.RandomState(0)
    x = random.randn(16, 16) * 10.0 ** random.randint(-8, 8, (16, 16))
    result = aligned(np.zeros(16), "float64")
    totals_by_folds(aligned(x.ravel(), "float64"), result)
    np.testing.assert_array_equal(result, [total_of(aligned(row, "float64")) for row in x])
