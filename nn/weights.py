"""The network's weights: their initialisation, and their storage as safetensors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from nn.errors import WeightsError, clipped
from nn.initialization import VARIANCES, standard_normal

#: The float types of safetensors that the engines support, as little-endian dtypes.
_DTYPES = {"F32": "<f4", "F64": "<f8"}
#: Upper bound on the header of a safetensors blob with one network's tensors.
MAX_HEADER_BYTES = 4096

_MATRICES = ("W1", "W2", "W3")
_BIASES = ("b1", "b2", "b3")

#: Widths of the layers: (n_features, hidden_1, hidden_2, n_classes).
LayerSizes = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Weights:
    """Three matrices and, if the network has biases, three vectors; all C-contiguous and of one float dtype.

    A network has all three biases or none. Iteration yields the existing arrays, in the order of the attributes.

    Attributes:
        W1: shape (hidden_1, n_features).
        W2: shape (hidden_2, hidden_1).
        W3: shape (n_classes, hidden_2).
        b1: shape (hidden_1,), or None.
        b2: shape (hidden_2,), or None.
        b3: shape (n_classes,), or None.
    """

    W1: NDArray[Any]
    W2: NDArray[Any]
    W3: NDArray[Any]
    b1: NDArray[Any] | None = None
    b2: NDArray[Any] | None = None
    b3: NDArray[Any] | None = None

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter(self.tensors.values())

    @property
    def tensors(self) -> dict[str, NDArray[Any]]:
        """The existing arrays by the names of their attributes: the tensors of a safetensors blob."""
        return {name: array for name, array in vars(self).items() if array is not None}

    @property
    def has_biases(self) -> bool:
        """Whether the network has biases."""
        return self.b1 is not None

    @property
    def is_finite(self) -> bool:
        """Whether no weight and no bias is infinite or NaN. A network that has such a weight cannot recover."""
        return all(bool(np.isfinite(array).all()) for array in self)

    @property
    def layer_sizes(self) -> LayerSizes:
        """The widths of the layers: (n_features, hidden_1, hidden_2, n_classes)."""
        return self.W1.shape[1], self.W1.shape[0], self.W2.shape[0], self.W3.shape[0]


def initial_weights(
    layer_sizes: LayerSizes,
    random_state: np.random.RandomState,
    dtype: str,
    *,
    biases: bool = False,
    initialization: str = "notebook",
    initial_scale: float = 1.0,
) -> Weights:
    """Draw W1, W2 and W3, in this order, in float64, and round them to `dtype`. The bits are the same on every machine.

    By default, these are the weights that the notebook's `initialization()` draws after `np.random.seed(seed)`; but in
    float64, a few differ in the last bit, because `randn` depends on the machine (`nn.initialization`).

    Args:
        layer_sizes: The widths of the layers.
        random_state: The generator.
        dtype: `float32` or `float64`.
        biases: Whether the network has biases. They are zero, and the matrices are the same as without them.
        initialization: The distribution, see `nn.initialization`.
        initial_scale: A factor for all weights.
    """
    shapes = list(zip(layer_sizes[1:], layer_sizes, strict=False))
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    # In one draw, which is faster. Normal schemes take what `randn` would take from the generator.
    scheme = initialization.removesuffix("_uniform")
    uniform, n = scheme != initialization, int(ends[-1])
    drawn = 2.0 * random_state.random_sample(n) - 1.0 if uniform else standard_normal(random_state, n)
    matrices = []
    for (rows, columns), part in zip(shapes, np.split(drawn, ends[:-1]), strict=True):
        variance = VARIANCES[scheme](rows, columns)
        spread = np.sqrt(3.0 * variance if uniform else variance)
        # In place: after each job, the C library would return the memory of a copy to the system.
        part *= spread * initial_scale
        with np.errstate(over="ignore"):
            matrices.append(part.reshape(rows, columns).astype(dtype))
    return Weights(*matrices, *(np.zeros(rows, dtype) for rows, _ in shapes if biases))


def max_blob_bytes(layer_sizes: LayerSizes, dtype: str) -> int:
    """Return the most bytes that the safetensors blob of a network can have, with biases or without."""
    # One column more than the matrices have, for the biases.
    numbers = sum(rows * (columns + 1) for rows, columns in zip(layer_sizes[1:], layer_sizes, strict=False))
    return MAX_HEADER_BYTES + numbers * np.dtype(dtype).itemsize


def to_safetensors(weights: Weights) -> bytes:
    """Return the weights as a safetensors blob with the tensors W1, W2 and W3, in the shapes of `Weights`.

    With biases it has the tensors b1, b2 and b3, too. Equal weights give equal bytes.
    """
    return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in weights.tensors.items()})


def from_safetensors(blob: bytes) -> Weights:
    """Read weights from an untrusted safetensors blob.

    Raises:
        WeightsError: the blob is not intact safetensors, or does not hold exactly the matrices, with or without the
            biases, of one network in one float dtype.
    """
    try:
        # Checked first: what describes tensors takes much more memory once it is parsed.
        if (length := int.from_bytes(blob[:8], "little")) > MAX_HEADER_BYTES:
            raise safetensors.SafetensorError(f"their header has {length} bytes")
        tensors: dict[str, dict[str, Any]] = dict(safetensors.deserialize(blob))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise WeightsError(f"the weights are not intact safetensors: {clipped(' '.join(str(error).split()))}") from None
    if tensors.keys() not in ({*_MATRICES}, {*_MATRICES, *_BIASES}):
        raise WeightsError(
            f"the weights hold the tensors {clipped(str(sorted(tensors)))}; "
            "expected W1, W2 and W3, with or without b1, b2 and b3"
        )
    weights = Weights(**{name: _array(name, tensor) for name, tensor in tensors.items()})
    if len({array.dtype for array in weights}) > 1:
        raise WeightsError("the weights' tensors have different types; expected all F32 or all F64")
    shapes = [weights.tensors[name].shape for name in _MATRICES]
    for before, after, name in zip(shapes, shapes[1:], ("W2", "W3"), strict=False):
        if after[1] != before[0]:
            raise WeightsError(
                f"the weights' {name} has {after[1]} columns; expected {before[0]}, the rows of the matrix before it"
            )
    for name, (rows, _) in zip(_BIASES, shapes, strict=True):
        bias = weights.tensors.get(name)
        if bias is not None and len(bias) != rows:
            raise WeightsError(f"the weights' {name} has {len(bias)} values; expected {rows}, the rows of its matrix")
    return weights


def _array(name: str, tensor: dict[str, Any]) -> NDArray[Any]:
    dtype, shape = _DTYPES.get(tensor["dtype"]), tensor["shape"]
    dimensions = 2 if name in _MATRICES else 1
    if dtype is None:
        raise WeightsError(f"the weights' {name} has the type {tensor['dtype']}; expected F32 or F64")
    if len(shape) != dimensions or 0 in shape:
        expected = "two dimensions, none empty" if dimensions == 2 else "one dimension, not empty"
        raise WeightsError(f"the weights' {name} has the shape {clipped(str(shape))}; expected {expected}")
    # Copied, because an array that shares the bytes of the blob would be read-only and unaligned.
    array: NDArray[Any] = np.frombuffer(tensor["data"], dtype).reshape(shape).copy()
    return array
