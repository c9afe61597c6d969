"""The compiled engine: stochastic gradient descent with one update per sample, and the same bits on every CPU.

`nn.reference` defines in plain NumPy what it computes. `nn.kernel.epoch` has the loop over the samples and the steps of
one layer, `nn.kernel.vectors` the vector instructions. The machine code for a shape is cached on disk for the next
process.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding
import numba
import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from nn.errors import InvalidInputError
from nn.files import digest, is_guarded, is_private
from nn.kernel.epoch import ROWS, make_backprop_epoch, make_notebook_epoch, make_probabilities, padded
from nn.kernel.vectors import ALIGNMENT
from nn.options.network import DTYPES, check_biases, check_options
from nn.samples import Samples
from nn.weights import LayerSizes, Weights

#: Holds NUMBA_CPU_NAME and other settings; untyped.
_config: Any = numba.config
_log = logging.getLogger(__name__)

#: Widest layer. The stack of the calling thread, which keeps the activations, has room for this many.
MAX_LAYER_SIZE = 65_536


class CompiledEngine:
    """Trains by backpropagation, or by the notebook's rule, in compiled code.

    Args:
        weights: The initial weights, all float32 or all float64; copied.
        loss: `cross_entropy` or `sum_of_squares`.
        rule: `backprop`, or `notebook`, for which the loss does not matter.

    Raises:
        InvalidInputError: the loss, the rule or the dtype is unknown, a layer has more than `MAX_LAYER_SIZE` nodes, or
            the weights have biases and the rule has none.
    """

    def __init__(self, weights: Weights, *, loss: str, rule: str = "backprop") -> None:
        check_options(loss=loss, rule=rule)
        check_biases(rule, weights.has_biases)
        self._objective = loss if rule == "backprop" else rule
        self._dtype = weights.W1.dtype.name
        self._n_features = weights.W1.shape[1]
        self._sizes = (len(weights.W1), len(weights.W2), len(weights.W3))
        if any(array.dtype.name != self._dtype for array in weights) or self._dtype not in DTYPES:
            raise InvalidInputError(
                "dtype", ", ".join(array.dtype.name for array in weights), f"{' or '.join(DTYPES)} for all weights"
            )
        if max(self._sizes) > MAX_LAYER_SIZE:
            raise InvalidInputError("layer sizes", self._sizes, f"at most {MAX_LAYER_SIZE} nodes in a layer")
        self._biases = weights.has_biases
        self._W = (_padded_copy(weights.W1.T, 1), _padded_copy(weights.W2, ROWS), _padded_copy(weights.W3, ROWS))
        self._b = tuple(
            None if b is None else _padded_copy(b.reshape(1, size), 1)
            for b, size in zip((weights.b1, weights.b2, weights.b3), self._sizes, strict=True)
        )

    def train_epoch(self, samples: Samples, learning_rate: float, order: NDArray[np.int64] | None = None) -> None:
        """Update the weights once for every sample; see `nn.training.Engine`.

        Raises:
            InvalidInputError: an index of a feature, class or row is out of range. The weights are unchanged.
        """
        self._check(samples)
        if order is None:
            order = np.arange(len(samples))
        order = np.require(order, np.int64, ["C", "A"])
        _check_range("order", order, len(samples))
        _check_range("label", samples.labels, self._sizes[2])
        train = epoch(self._objective, self._shape(samples))
        rate = np.dtype(self._dtype).type(learning_rate)
        train(*self._W, *self._b, *_entries(samples), samples.labels, order, rate)

    def predict_proba(self, samples: Samples) -> NDArray[Any]:
        """Return the probability of each class; see `nn.training.Engine`.

        Raises:
            InvalidInputError: an index of a feature is out of range.
        """
        self._check(samples)
        result = np.empty((len(samples), self._sizes[2]), self._dtype)
        predict = probabilities(self._shape(samples))
        predict(*self._W, *self._b, *_entries(samples), result)
        return result

    def weights(self) -> Weights:
        """Return a copy of the weights in the shapes of `Weights`. All NaNs have the same bits."""
        n1, n2, n3 = self._sizes
        W1, W2, W3 = self._W
        public = Weights(
            # `ascontiguousarray` copies nothing for a single feature.
            np.array(W1.reshape(self._n_features, -1)[:, :n1].T, order="C"),
            W2.reshape(-1, padded(n1))[:n2, :n1].copy(),
            W3.reshape(-1, padded(n2))[:n3, :n2].copy(),
            *(None if b is None else b[:size].copy() for b, size in zip(self._b, self._sizes, strict=True)),
        )
        for array in public:
            # Which of two NaNs an instruction propagates depends on the CPU; the bits of a result must not.
            array[np.isnan(array)] = np.nan
        return public

    def _shape(self, samples: Samples) -> Shape:
        dtypes = self._dtype, samples.indices.dtype.name, samples.values.dtype.name
        return Shape(self._sizes, *dtypes, self._biases)

    def _check(self, samples: Samples) -> None:
        """Check every index, because compiled code does not and would read or write outside its arrays."""
        if samples.n_features != self._n_features:
            raise InvalidInputError(
                "n_features", samples.n_features, f"{self._n_features}, as many as the network has inputs"
            )
        spans, n_entries = samples.spans, min(len(samples.indices), len(samples.values))
        if spans.shape != (len(samples), 2) or np.any(spans < 0) or np.any(spans[:, 1] < spans[:, 0]):
            raise InvalidInputError("spans", spans.tolist(), "a start and an end for every sample, ascending")
        if spans.max(initial=0) > n_entries:
            raise InvalidInputError("spans", int(spans.max()), f"ends up to {n_entries}, the number of entries")
        lowest, highest = samples.index_range
        if lowest < 0 or highest >= self._n_features:
            _check_range("index", samples.indices, self._n_features)


def warm_up(layer_sizes: LayerSizes, *, dtype: str, objective: str, biases: bool = False) -> None:
    """Compile, or load from numba's cache, the code that trains on packed bytes, such as MNIST's.

    Processes that are forked afterwards share the code. The objective is a loss, or `notebook` for that rule.
    """
    _, n1, n2, n3 = layer_sizes
    shape = Shape((n1, n2, n3), dtype, "uint16", "float32", biases)
    epoch(objective, shape)
    probabilities(shape)


def _padded_copy(matrix: NDArray[Any], multiple: int) -> NDArray[Any]:
    """Return a flat, aligned copy. Zeros pad each row to whole vectors, and zero rows pad the rows to a `multiple`."""
    rows, columns = matrix.shape
    shape = (-(-rows // multiple) * multiple, padded(columns))
    size = shape[0] * shape[1]
    memory = np.zeros(size * matrix.itemsize + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    flat: NDArray[Any] = memory[start : start + size * matrix.itemsize].view(matrix.dtype)
    flat.reshape(shape)[:rows, :columns] = matrix
    return flat


def _check_range(name: str, values: NDArray[Any], end: int) -> None:
    if len(values) and (values.min() < 0 or values.max() >= end):
        first = values[(values < 0) | (values >= end)][0]
        raise InvalidInputError(name, int(first), f"0 to {end - 1}")


def _entries(samples: Samples) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    return samples.spans.reshape(-1), samples.indices, samples.values


class Shape(NamedTuple):
    """What the code is compiled for: widths of the three layers, dtypes of weights and samples, and biases or none."""

    sizes: tuple[int, int, int]
    dtype: str
    index_dtype: str
    value_dtype: str
    biases: bool


@functools.cache
def epoch(objective: str, shape: Shape) -> Callable[..., None]:
    """Return the compiled epoch of training for an objective: a loss, or `notebook`, which has no biases."""
    scalar = np.dtype(shape.dtype).type
    if objective == "notebook":
        function = make_notebook_epoch(*shape.sizes, scalar)
    else:
        function = make_backprop_epoch(*shape.sizes, scalar, objective)
    labels = order = _read_only("int64")
    return _compile(function, f"epoch_{objective}", shape, labels, order, _numba_type(shape.dtype))


@functools.cache
def probabilities(shape: Shape) -> Callable[..., None]:
    """Return the compiled forward pass."""
    function = make_probabilities(*shape.sizes, np.dtype(shape.dtype).type)
    return _compile(function, "probabilities", shape, types.Array(_numba_type(shape.dtype), 2, "C"))


def _numba_type(dtype: str) -> Any:
    return numba.from_dtype(np.dtype(dtype))


def _read_only(dtype: str) -> Any:
    return types.Array(_numba_type(dtype), 1, "C", readonly=True)


def _compile(function: Callable[..., None], kind: str, shape: Shape, *further: Any) -> Callable[..., None]:
    """Compile a function of weights, biases, samples and `further` types."""
    if _config.DISABLE_JIT:
        raise InvalidInputError("NUMBA_DISABLE_JIT", _config.DISABLE_JIT, "0, or the engine that is not compiled")
    weights = types.Array(_numba_type(shape.dtype), 1, "C")
    bias = weights if shape.biases else types.none
    entries = _read_only("int64"), _read_only(shape.index_dtype), _read_only(shape.value_dtype)
    arguments = (weights, weights, weights, bias, bias, bias, *entries, *further)
    jit = functools.partial(njit, error_model="numpy", nogil=True)
    place = "any folder"
    try:
        # numba names cached files after the function and checks only that function's own source file for changes. A
        # unique name for each shape, CPU and version of all sources keeps them apart, even with concurrent writers.
        version = digest(f"{arguments} {_environment()}".encode())[:16]
        function.__qualname__ = f"{kind}_{'_'.join(map(str, shape.sizes))}_{version}"
        compiled = jit(cache=True)(function)
        place = compiled.stats.cache_path or place
        if not _is_trusted(Path(place), function.__qualname__):
            raise PermissionError("others may change what is there; remove it")
        compiled.compile(arguments)
    except Exception as error:
        # Without a folder of one's own, on a full disk or with a damaged file, only the cache is lost: compile anyway.
        _log.warning("Cannot keep compiled code in %s, so that each start compiles again: %s", place, error)
        compiled = jit()(function)
        compiled.compile(arguments)
    compiled.disable_compile()
    return compiled


def _is_trusted(cache: Path, name: str) -> bool:
    """Return whether nobody else can have written what numba unpickles from a folder for a function of this name."""
    source = Path(__file__)
    beside, owner = cache.is_relative_to(source.parent), source.stat().st_uid
    if beside and not is_private(source, 0, owner):
        # Whoever can write to the sources needs no cache.
        return True
    # Not through a link, which may lead elsewhere when numba follows it.
    files = [cache, *cache.glob(f"*{name}*")]
    is_own = all(is_private(each, 0, owner) and not each.is_symlink() for each in files)
    return is_own and (beside or is_guarded(cache))


@functools.cache
def _environment() -> str:
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return f"{numba.__version__} {llvmlite.__version__} {_target()} {digest(sources)}"


def _target() -> tuple[Any, ...]:
    """Return the CPU that the code is compiled for: from numba's two variables, or else this host's."""
    chosen = (_config.CPU_NAME, _config.CPU_FEATURES)
    if None not in chosen:
        return chosen
    features = sorted(llvmlite.binding.get_host_cpu_features().items())
    return (*chosen, llvmlite.binding.get_host_cpu_name(), features)
