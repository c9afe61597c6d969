"""Samples: packing, and the views that the engines and the worker take of them."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nn.samples import Samples, pack, pack_bytes
from tests.support.datasets import to_bytes
from tests.support.memory import at_most

FLOATS = st.floats(-4, 4, width=32) | st.just(0.0)
ROWS = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8), elements=FLOATS)


@given(ROWS)
def test_packing_keeps_the_nonzero_entries_of_each_row_in_order(X: np.ndarray) -> None:
    samples = pack(X, np.zeros(len(X)))

    assert np.array_equal(samples.to_dense(), X)
    assert (samples.values != 0).all()
    for row in range(len(X)):
        assert np.array_equal(samples.indices[slice(*samples.spans[row])], np.flatnonzero(X[row]))
        assert np.array_equal(samples.dense(row, np.dtype("float64")), X[row].astype("float64"))


@given(X=ROWS, form=st.sampled_from(["csr_array", "csc_matrix", "coo_array", "lil_array"]))
def test_sparse_and_dense_pack_alike(X: np.ndarray, form: str) -> None:
    dense, sparse = pack(X, np.arange(len(X))), pack(getattr(scipy.sparse, form)(X), np.arange(len(X)))

    for part in ("spans", "indices", "values", "labels"):
        assert np.array_equal(getattr(dense, part), getattr(sparse, part))
        assert getattr(dense, part).dtype == getattr(sparse, part).dtype


def test_unsorted_double_and_explicit_zero_entries_are_put_right_in_a_copy() -> None:
    # Given row 0 with 3 at column 2, then 1 + 4 at column 0, and a zero at column 1
    data, columns = np.array([3.0, 1.0, 4.0, 0.0]), np.array([2, 0, 0, 1])
    X = scipy.sparse.csr_array((data, columns, np.array([0, 4])), shape=(1, 3))

    samples = pack(X, np.array([0]))

    assert samples.indices.tolist() == [0, 2]
    assert samples.values.tolist() == [5.0, 3.0]
    assert data.tolist() == [3.0, 1.0, 4.0, 0.0]
    assert columns.tolist() == [2, 0, 0, 1]


@pytest.mark.parametrize(("width", "dtype"), [(65_536, np.uint16), (65_537, np.int32)])
def test_wide_rows_have_wider_indices(width: int, dtype: type) -> None:
    X = np.zeros((2, width), np.float32)
    X[1, -1] = 1

    for samples in (pack(X, np.zeros(2)), pack(scipy.sparse.csr_array(X), np.zeros(2))):
        assert samples.indices.dtype == dtype
        assert samples.indices.tolist() == [width - 1]


@given(hnp.arrays(np.uint8, (3, 7)))
def test_bytes_become_shares_of_255_and_back(images: np.ndarray) -> None:
    samples = pack_bytes(images, np.zeros(3))

    assert np.array_equal(samples.to_dense(), (images / 255).astype("float32"))
    assert np.array_equal(to_bytes(samples), images)


def test_packing_takes_no_array_of_positions() -> None:
    with at_most(10 * 2**22):
        pack_bytes(np.ones((2**14, 2**8), np.uint8), np.zeros(2**14))


def test_first_shares_memory_and_keeps_the_classes() -> None:
    samples = pack(np.eye(6, dtype=np.float32), np.arange(6))

    two = samples.first(2)

    assert np.array_equal(two.to_dense(), np.eye(6)[:2])
    assert two.labels.tolist() == [0, 1]
    assert np.shares_memory(two.values, samples.values)
    assert two.n_classes == 6
    assert samples.first(None) is samples.first(6) is samples.first(7) is samples


@given(hnp.arrays(np.float32, (6, 3), elements=FLOATS), st.integers(0, 6), st.integers(0, 6))
def test_rows_are_those_of_the_matrix(X: np.ndarray, start: int, stop: int) -> None:
    samples = pack(X, np.arange(6))
    order = np.random.RandomState([start, stop]).permutation(6)[:stop]

    for chosen in (slice(start, max(start, stop)), order):
        rows = samples.rows(chosen)
        assert np.array_equal(rows.to_dense(), X[chosen])
        assert np.array_equal(rows.labels, np.arange(6)[chosen])
        assert rows.n_classes == 6
        assert rows.index_range == vars(rows)["index_range"] == vars(samples)["index_range"]
        assert np.shares_memory(rows.values, samples.values) or not len(samples.values)


def test_classes_are_at_least_those_of_the_labels() -> None:
    X = np.ones((2, 1), np.float32)

    assert [pack(X, np.array([0, 3]), *given).n_classes for given in ((), (10,), (2,))] == [4, 10, 4]
    assert pack(X[:0], np.array([])).n_classes == 0


def test_samples_cannot_be_written_to_and_leave_the_callers_arrays_alone() -> None:
    values = np.ones(1, np.float32)
    samples = Samples(np.array([[0, 1]]), np.array([0], np.uint16), values, np.array([0]), 1)

    with pytest.raises(ValueError, match="read-only"):
        samples.values[0] = 2
    assert values.flags.writeable
