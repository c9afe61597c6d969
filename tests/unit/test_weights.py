"""Weights: how they start, how they travel, and what is refused on the way in."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from nn.errors import WeightsError
from nn.files import digest
from nn.weights import Weights, from_safetensors, initial_weights, max_blob_bytes, to_safetensors
from tests.support.networks import some_weights

SIZES = (5, 4, 3, 2)


def small(dtype: str = "float32", *, biases: bool = False) -> Weights:
    return some_weights(SIZES, dtype, biases=biases)


def blob_of(**tensors: np.ndarray) -> bytes:
    return safetensors.numpy.save(tensors)


def raw(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_biases_start_at_zero_and_change_no_matrix() -> None:
    without, drawn = (
        initial_weights(SIZES, np.random.RandomState(7), "float32", biases=biases) for biases in (False, True)
    )

    assert (without.has_biases, drawn.has_biases) == (False, True)
    assert all(np.array_equal(getattr(without, name), getattr(drawn, name)) for name in ("W1", "W2", "W3"))
    biases = [drawn.tensors[name] for name in ("b1", "b2", "b3")]
    assert [(b.shape, b.dtype.name, b.any()) for b in biases] == [((n,), "float32", False) for n in (4, 3, 2)]


@pytest.mark.parametrize("array", ["W1", "W3", "b1", "b3"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_weight_that_is_not_finite_is_enough(array: str, value: float) -> None:
    weights = small(biases=True)
    assert weights.is_finite

    weights.tensors[array].flat[-1] = value

    assert not weights.is_finite


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_there_and_back(dtype: str, biases: bool, tmp_path: Path) -> None:
    weights = small(dtype, biases=biases)
    weights.W2[0, 0], weights.W2[0, 1], weights.W2[0, 2] = np.nan, np.inf, -0.0
    path = tmp_path / "weights.safetensors"

    path.write_bytes(to_safetensors(weights))

    for ours, theirs in zip(from_safetensors(path.read_bytes()), weights, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()
        assert ours.shape == theirs.shape
        assert ours.flags.writeable
        assert ours.flags.aligned


def test_equal_weights_give_equal_bytes() -> None:
    weights = small()
    strided = Weights(*(np.asfortranarray(matrix) for matrix in weights))

    assert to_safetensors(strided) == to_safetensors(weights)
    # Those of a network without biases are what they were before there were any.
    assert digest(to_safetensors(weights)) == "59f9a3f07caaf021c42732509b013418830ab7a612a3dc375b69254ecdc1649e"


def test_any_reader_of_safetensors_finds_the_matrices_and_biases_and_any_writers_are_read() -> None:
    blob = safetensors.numpy.save(small().tensors, metadata={"format": "pt"})
    assert np.array_equal(from_safetensors(blob).W3, small().W3)
    matrices, biases = {"W1": (4, 5), "W2": (3, 4), "W3": (2, 3)}, {"b1": (4,), "b2": (3,), "b3": (2,)}

    for weights, expected in ((small(), matrices), (small(biases=True), matrices | biases)):
        tensors = safetensors.numpy.load(to_safetensors(weights))
        assert {name: tensor.shape for name, tensor in tensors.items()} == expected


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 2), SIZES, (784, 128, 64, 10), (70_000, 4, 3, 10)])
def test_the_largest_size_of_a_blob_is_known_before(sizes: tuple[int, int, int, int], dtype: str, biases: bool) -> None:
    size = len(to_safetensors(some_weights(sizes, dtype, biases=biases)))

    # Never less, or weights would be refused; and little more, or it would bound nothing.
    assert size <= max_blob_bytes(sizes, dtype) <= size + 4096 + 8 * sum(sizes[1:])


M = np.ones
HALF = {"W1": M((4, 5), "f4"), "W2": M((3, 4), "f4"), "W3": M((2, 3), "f4")}
WHOLE = {**HALF, "b1": M(4, "f4"), "b2": M(3, "f4"), "b3": M(2, "f4")}


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        (b"", "not intact safetensors"),
        (b"\xff" * 64, "not intact safetensors"),
        (struct.pack("<Q", 2**62) + b"{}", "not intact safetensors: their header has 4611686018427387904 bytes"),
        (raw(b" " * 4097), "not intact safetensors: their header has 4097 bytes"),
        (to_safetensors(small())[:-1], "not intact safetensors"),
        (to_safetensors(small()) + b"x", "not intact safetensors"),
        (raw(b"[" * 100_000), "not intact safetensors"),
        (raw({"W1": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 0]}}), "not intact safetensors"),
        (raw({"W1": {"dtype": "F32", "shape": [3, 3], "data_offsets": [0, 4]}}, b"0000"), "not intact safetensors"),
        (raw({"a\nb": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}), "safetensors: .*a b"),
        (raw({}), r"hold the tensors \[\]; expected W1, W2 and W3"),
        (blob_of(W1=HALF["W1"], W2=HALF["W2"]), r"hold the tensors \['W1', 'W2'\]; expected W1, W2 and W3"),
        (blob_of(**HALF, b1=M(4, "f4")), "expected W1, W2 and W3, with or without b1, b2 and b3"),
        (blob_of(**HALF, b1=M(4, "f4"), b2=M(3, "f4"), b4=M(2, "f4")), "expected W1, W2 and W3"),
        (blob_of(b1=M(4, "f4"), b2=M(3, "f4"), b3=M(2, "f4")), "expected W1, W2 and W3"),
        (blob_of(**{**WHOLE, "b2": M(4, "f4")}), "b2 has 4 values; expected 3, the rows of its matrix"),
        (blob_of(**{**WHOLE, "b1": M(5, "f4")}), "b1 has 5 values; expected 4, the rows of its matrix"),
        (blob_of(**{**WHOLE, "b3": M((2, 1), "f4")}), r"b3 has the shape \[2, 1\]; expected one dimension, not empty"),
        (blob_of(**{**WHOLE, "b3": M(0, "f4")}), r"b3 has the shape \[0\]; expected one dimension, not empty"),
        (blob_of(**{**WHOLE, "b3": M(2, "f8")}), "different types; expected all F32 or all F64"),
        (blob_of(**{**WHOLE, "b3": M(2, "f2")}), "b3 has the type F16; expected F32 or F64"),
        (blob_of(**{**HALF, "W2": M((3, 4), "f2")}), "W2 has the type F16; expected F32 or F64"),
        (blob_of(**{**HALF, "W2": M((3, 4), "i4")}), "W2 has the type I32; expected F32 or F64"),
        (blob_of(**{**HALF, "W2": M((3, 4), "f8")}), "different types; expected all F32 or all F64"),
        (blob_of(**{**HALF, "W3": M(6, "f4")}), r"W3 has the shape \[6\]; expected two dimensions"),
        (blob_of(**{**HALF, "W1": M((4, 0), "f4")}), r"W1 has the shape \[4, 0\]; expected two dimensions, none empty"),
        (blob_of(**{**HALF, "W2": M((3, 5), "f4")}), "W2 has 5 columns; expected 4"),
        (blob_of(**{**HALF, "W3": M((2, 4), "f4")}), "W3 has 4 columns; expected 3"),
        (blob_of(**{f"tensor_{i}": M(1, "f4") for i in range(40)}), r"\.\.\.; expected W1"),
    ],
)
def test_anything_else_is_refused(blob: bytes, expected: str) -> None:
    with pytest.raises(WeightsError, match=expected) as refused:
        from_safetensors(blob)

    assert len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)
