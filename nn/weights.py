"""The network's weights: their initialisation, and their storage as safetensors."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from nn.errors import WeightsError
from nn.files import read_regular, write_atomically
from nn.initialization.schemes import draw_matrices

#: The float types of safetensors that the engines support, as little-endian dtypes.
_DTYPES = {"F32": "<f4", "F64": "<f8"}
#: The largest blob that is read: far more than any network that these engines can train.
MAX_BYTES = 2**31
#: More than the header of a safetensors blob with one network's tensors takes.
MAX_HEADER_BYTES = 4096


#: Widths of the layers: (n_features, hidden_1, hidden_2, n_classes).
LayerSizes = tuple[int, int, int, int]


class Weights(NamedTuple):
    """Three C-contiguous matrices of one float dtype; there are no biases.

    Attributes:
        W1: shape (hidden_1, n_features).
        W2: shape (hidden_2, hidden_1).
        W3: shape (n_classes, hidden_2).
    """

    W1: NDArray[Any]
    W2: NDArray[Any]
    W3: NDArray[Any]

    @property
    def layer_sizes(self) -> LayerSizes:
        """The widths of the layers: (n_features, hidden_1, hidden_2, n_classes)."""
        return self.W1.shape[1], self.W1.shape[0], self.W2.shape[0], self.W3.shape[0]


def initial_weights(
    layer_sizes: LayerSizes,
    random_state: np.random.RandomState,
    dtype: str,
    *,
    initialization: str = "notebook",
    initial_scale: float = 1.0,
) -> Weights:
    """Draw W1, W2 and W3, in this order, in float64, and round them to `dtype`. The bits are the same on every machine.

    By default, these are the weights that the notebook's `initialization()` draws after `np.random.seed(seed)`; but in
    float64, a few differ in the last bit, because `randn` depends on the machine (`nn.initialization.gaussian`).

    Args:
        layer_sizes: The widths of the layers.
        random_state: The generator.
        dtype: `float32` or `float64`.
        initialization: The distribution, see `nn.initialization.schemes`.
        initial_scale: A factor for all weights.
    """
    _, *rows = layer_sizes
    drawn = draw_matrices(
        zip(rows, layer_sizes, strict=False),
        random_state,
        initialization=initialization,
        initial_scale=initial_scale,
    )
    with np.errstate(over="ignore"):
        return Weights(*(matrix.astype(dtype) for matrix in drawn))


def digest(blob: bytes) -> str:
    """Return the SHA-256 of a safetensors blob in hexadecimal: the name under which it is stored."""
    return hashlib.sha256(blob).hexdigest()


def max_blob_bytes(layer_sizes: LayerSizes, dtype: str) -> int:
    """Return the bytes that the safetensors blob of a network takes at most.

    Args:
        layer_sizes: The widths of the layers.
        dtype: The type of the weights.
    """
    # One column more than the matrices have.
    numbers = sum(rows * (columns + 1) for rows, columns in zip(layer_sizes[1:], layer_sizes, strict=False))
    return MAX_HEADER_BYTES + numbers * np.dtype(dtype).itemsize


def to_safetensors(weights: Weights) -> bytes:
    """Return the weights as a safetensors blob with the tensors W1, W2 and W3, in the shapes of `Weights`.

    Equal weights give equal bytes.
    """
    return safetensors.numpy.save({name: np.ascontiguousarray(matrix) for name, matrix in weights._asdict().items()})


def from_safetensors(blob: bytes) -> Weights:
    """Read weights from an untrusted safetensors blob.

    Raises:
        WeightsError: the blob is not intact safetensors, or does not hold exactly the matrices of one network in one
            float dtype.
    """
    try:
        tensors: dict[str, dict[str, Any]] = dict(safetensors.deserialize(blob))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise WeightsError(f"the weights are not intact safetensors: {_shown(error)}") from None
    if tensors.keys() != set(Weights._fields):
        raise WeightsError(f"the weights hold the tensors {_shown(sorted(tensors))}; expected W1, W2 and W3")
    weights = Weights(*(_matrix(name, tensors[name]) for name in Weights._fields))
    _check_fit(weights)
    return weights


def misfit(weights: Weights, layer_sizes: tuple[int | None, *tuple[int, ...]], dtype: str) -> str | None:
    """Return how a network differs from the expected one, as the end of a sentence; None if it does not.

    Args:
        weights: The network.
        layer_sizes: The expected widths of the layers; the first is None if any number of features is right.
        dtype: The expected type.
    """
    found = weights.layer_sizes
    expected = (found[0] if layer_sizes[0] is None else layer_sizes[0], *layer_sizes[1:])
    if (found, weights.W1.dtype.name) == (expected, dtype):
        return None
    return f"layers of {found} in {weights.W1.dtype.name}; the job's are {expected} in {dtype}"


def save(weights: Weights, path: Path) -> None:
    """Write the weights to a file atomically.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomically(path, lambda file: file.write(to_safetensors(weights)))


def load(path: Path) -> Weights:
    """Read weights from a file.

    Raises:
        WeightsError: the file cannot be read, or its content is invalid (`from_safetensors`).
    """
    try:
        return from_safetensors(read_regular(path, MAX_BYTES))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from None
    except MemoryError:
        raise WeightsError(f"{path} needs more memory than there is") from None


def _matrix(name: str, tensor: dict[str, Any]) -> NDArray[Any]:
    dtype, shape = _DTYPES.get(tensor["dtype"]), tensor["shape"]
    if dtype is None:
        raise WeightsError(f"the weights' {name} has the type {tensor['dtype']}; expected F32 or F64")
    if len(shape) != 2 or 0 in shape:
        raise WeightsError(f"the weights' {name} has the shape {_shown(shape)}; expected two dimensions, none empty")
    # Copied, because an array that shares the bytes of the blob would be read-only and unaligned.
    matrix: NDArray[Any] = np.frombuffer(tensor["data"], dtype).reshape(shape).copy()
    return matrix


def _check_fit(weights: Weights) -> None:
    if len({matrix.dtype for matrix in weights}) > 1:
        raise WeightsError("the weights' matrices have different types; expected all F32 or all F64")
    shapes = [matrix.shape for matrix in weights]
    for before, after, name in zip(shapes, shapes[1:], ("W2", "W3"), strict=False):
        if after[1] != before[0]:
            raise WeightsError(
                f"the weights' {name} has {after[1]} columns; expected {before[0]}, the rows of the matrix before it"
            )


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
