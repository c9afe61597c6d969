"""Compiles the kernel's functions for one shape, and caches the machine code on disk for the next process."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from numba import njit, types

from nn.errors import InvalidInputError
from nn.kernel.epoch import make_backprop_epoch, make_notebook_epoch, make_probabilities

#: Holds NUMBA_CPU_NAME and other settings; untyped.
_config: Any = numba.config
_log = logging.getLogger(__name__)

Sizes = tuple[int, int, int]


@functools.cache
def epoch(
    objective: str, sizes: Sizes, dtype: str, index_dtype: str, value_dtype: str, *, biases: bool
) -> Callable[..., None]:
    """Return the compiled epoch of training for an objective: a loss, or `notebook`, which has no biases."""
    scalar = np.dtype(dtype).type
    if objective == "notebook":
        function = make_notebook_epoch(*sizes, scalar)
    else:
        function = make_backprop_epoch(*sizes, scalar, objective, biases=biases)
    labels = order = _read_only("int64")
    given = _weights_and_samples(dtype, index_dtype, value_dtype, biases=biases)
    arguments = (*given, labels, order, _numba_type(dtype))
    return _compile(function, f"epoch_{objective}", sizes, arguments)


@functools.cache
def probabilities(sizes: Sizes, dtype: str, index_dtype: str, value_dtype: str, *, biases: bool) -> Callable[..., None]:
    """Return the compiled forward pass."""
    function = make_probabilities(*sizes, np.dtype(dtype).type, biases=biases)
    filled = types.Array(_numba_type(dtype), 2, "C")
    arguments = (*_weights_and_samples(dtype, index_dtype, value_dtype, biases=biases), filled)
    return _compile(function, "probabilities", sizes, arguments)


def _numba_type(dtype: str) -> Any:
    return numba.from_dtype(np.dtype(dtype))


def _read_only(dtype: str) -> Any:
    return types.Array(_numba_type(dtype), 1, "C", readonly=True)


def _weights_and_samples(dtype: str, index_dtype: str, value_dtype: str, *, biases: bool) -> tuple[Any, ...]:
    weights = types.Array(_numba_type(dtype), 1, "C")
    bias = weights if biases else types.none
    entries = _read_only("int64"), _read_only(index_dtype), _read_only(value_dtype)
    return weights, weights, weights, bias, bias, bias, *entries


def _compile(function: Callable[..., None], kind: str, sizes: Sizes, arguments: tuple[Any, ...]) -> Callable[..., None]:
    if _config.DISABLE_JIT:
        raise InvalidInputError("NUMBA_DISABLE_JIT", _config.DISABLE_JIT, "0, or the engine that is not compiled")
    jit = functools.partial(njit, error_model="numpy", nogil=True)
    place = "any folder"
    try:
        # numba names cached files after the function and checks only that function's own source file for changes. A
        # unique name for each shape, CPU and version of all sources keeps them apart, even with concurrent writers.
        function.__qualname__ = f"{kind}_{'_'.join(map(str, sizes))}_{_fingerprint(str(arguments))}"
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
