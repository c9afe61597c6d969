"""Compiles the kernel's functions for one shape, and caches the machine code on disk for the next process."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding
import numba
import numpy as np
from numba import njit, types

from nn.errors import InvalidInputError
from nn.kernel.epoch import make_backprop_epoch, make_notebook_epoch, make_probabilities

#: Holds NUMBA_CPU_NAME and other settings; untyped.
_config: Any = numba.config
_log = logging.getLogger(__name__)


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
        function = make_backprop_epoch(*shape.sizes, scalar, objective, biases=shape.biases)
    labels = order = _read_only("int64")
    return _compile(function, f"epoch_{objective}", shape, labels, order, _numba_type(shape.dtype))


@functools.cache
def probabilities(shape: Shape) -> Callable[..., None]:
    """Return the compiled forward pass."""
    function = make_probabilities(*shape.sizes, np.dtype(shape.dtype).type, biases=shape.biases)
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
        function.__qualname__ = f"{kind}_{'_'.join(map(str, shape.sizes))}_{_fingerprint(str(arguments))}"
        compiled = jit(cache=True)(function)
        place = compiled.stats.cache_path or place
        compiled.compile(arguments)
    except Exception as error:
        # Without a writable folder, on a full disk or with a damaged file, only the cache is lost: compile anyway.
        _log.warning("Cannot keep compiled code in %s, so that each start compiles again: %s", place, error)
        compiled = jit()(function)
        compiled.compile(arguments)
    compiled.disable_compile()
    return compiled


def _fingerprint(arguments: str) -> str:
    return hashlib.sha256(f"{arguments} {_environment()}".encode()).hexdigest()[:16]


@functools.cache
def _environment() -> str:
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return f"{numba.__version__} {llvmlite.__version__} {_target()} {hashlib.sha256(sources).hexdigest()}"


def _target() -> tuple[Any, ...]:
    """Return the CPU that the code is compiled for: from numba's two variables, or else this host's."""
    chosen = (_config.CPU_NAME, _config.CPU_FEATURES)
    if None not in chosen:
        return chosen
    features = sorted(llvmlite.binding.get_host_cpu_features().items())
    return (*chosen, llvmlite.binding.get_host_cpu_name(), features)
