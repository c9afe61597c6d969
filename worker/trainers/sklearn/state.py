"""The fitted state of an estimator as safetensors: numbers by name. Reading it runs no code and imports nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from nn.errors import WeightsError

#: The only key of a blob's metadata, because safetensors writes several keys in no fixed order.
METADATA = "seedsweep"
#: Stands for an array that equals the training samples, which the data set's digest identifies.
SAMPLES = "training samples"
#: Deepest nesting of objects; no estimator comes near.
_MAX_DEPTH = 12


@dataclass(frozen=True)
class Leaf:
    """A number, an array of numbers, or a text somewhere in a fitted estimator.

    Attributes:
        name: Its path: `coef_`, `estimators_.3.tree_.nodes.threshold`.
        value: An array of numbers, a number, or a text.
        set: Replaces it; None if it cannot be replaced.
    """

    name: str
    value: Any
    set: Callable[[Any], None] | None


def leaves(owner: Any, prefix: str = "", depth: int = 0) -> Iterator[Leaf]:
    """Yield the fitted state of an estimator, private attributes included, without its parameters."""
    parameters = owner.get_params(deep=False) if hasattr(owner, "get_params") else {}
    for name, value in sorted(vars(owner).items()):
        if name not in parameters:
            yield from _walk(prefix + name, value, partial(setattr, owner, name), depth + 1)


def _walk(name: str, value: Any, replace: Callable[[Any], None] | None, depth: int) -> Iterator[Leaf]:
    if value is None or depth > _MAX_DEPTH:
        return
    if isinstance(value, (bool, int, float, str, np.number, np.bool_)):
        yield Leaf(name, value, replace)
    elif isinstance(value, np.ndarray):
        yield from _array(name, value, replace, depth)
    elif isinstance(value, list) and all(isinstance(each, (int, float, np.number)) for each in value):
        yield Leaf(name, value, replace)
    elif isinstance(value, (list, tuple, dict)):
        yield from _items(name, value, depth)
    elif type(value).__module__.split(".")[0] == "sklearn":
        yield from _object(name, value, depth)


def _array(name: str, value: NDArray[Any], replace: Callable[[Any], None] | None, depth: int) -> Iterator[Leaf]:
    if value.dtype.names:
        for field in value.dtype.names:
            yield from _array(f"{name}.{field}", value[field], None, depth)
    elif value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        yield Leaf(name, value, replace)
    elif value.dtype.kind == "O":
        for index, item in enumerate(value.flat):
            yield from _walk(f"{name}.{index}", item, None, depth + 1)


def _items(name: str, value: Any, depth: int) -> Iterator[Leaf]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        replace = None if isinstance(value, tuple) else partial(value.__setitem__, key)
        yield from _walk(f"{name}.{key}", item, replace, depth + 1)


def _object(name: str, value: Any, depth: int) -> Iterator[Leaf]:
    """Yield what an object of scikit-learn holds: a tree, a loss function, an optimizer, another estimator."""
    if hasattr(value, "__dict__"):
        yield from leaves(value, f"{name}.", depth)
        return
    try:
        state = value.__getstate__()
    except TypeError:  # a compiled class without a state
        return
    if isinstance(state, (dict, tuple)):
        yield from _items(name, _canonical(state) if isinstance(state, dict) else state, depth)


def _canonical(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tree's state without uninitialized memory: scikit-learn leaves one field of the leaves unset."""
    nodes = state.get("nodes")
    if not isinstance(nodes, np.ndarray) or "missing_go_to_left" not in (nodes.dtype.names or ()):
        return state
    cleared = nodes.copy()
    cleared["missing_go_to_left"][nodes["left_child"] == -1] = 0
    return {**state, "nodes": cleared}


# The artifact


def to_artifact(estimator: Any, about: Mapping[str, Any], samples: NDArray[Any]) -> bytes:
    """Return a fitted estimator as a safetensors blob. Equal estimators give equal bytes.

    Args:
        estimator: The estimator.
        about: Further content of the metadata, beside the single numbers and texts, in JSON's types.
        samples: The training samples, which are not stored.
    """
    tensors: dict[str, NDArray[Any]] = {}
    values: dict[str, Any] = {}
    for leaf in leaves(estimator):
        if (
            isinstance(leaf.value, np.ndarray)
            and leaf.value.shape == samples.shape
            and np.array_equal(leaf.value, samples)
        ):
            values[leaf.name] = SAMPLES
        elif isinstance(leaf.value, (np.ndarray, list)):
            tensors[leaf.name] = _contiguous(leaf.value)
        else:
            values[leaf.name] = _plain(leaf.value)
    metadata = {METADATA: json.dumps({**about, "values": values}, sort_keys=True, allow_nan=False)}
    return safetensors.numpy.save(tensors, metadata=metadata)


def _contiguous(value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    return np.ascontiguousarray(array).reshape(array.shape).astype(array.dtype.newbyteorder("<"), copy=False)


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return str(plain) if isinstance(plain, float) and not math.isfinite(plain) else plain


def read_about(blob: bytes) -> dict[str, Any]:
    """Return what an untrusted artifact's metadata says.

    Raises:
        WeightsError: it is not an intact artifact.
    """
    _tensors(blob)
    return _metadata(blob)


def _metadata(blob: bytes) -> dict[str, Any]:
    """Return the metadata of a blob that is intact safetensors."""
    try:
        length = int.from_bytes(blob[:8], "little")
        said = json.loads(json.loads(blob[8 : 8 + length])["__metadata__"][METADATA])
    except (ValueError, KeyError, TypeError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise WeightsError("the bytes do not say what they hold")
    return said


def _tensors(blob: bytes) -> dict[str, NDArray[Any]]:
    try:
        return dict(safetensors.numpy.load(blob))
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"the bytes are not intact safetensors: {error}"[:200]) from None


# The checkpoint


def to_checkpoint(estimator: Any) -> bytes:
    """Return an estimator in training as a safetensors blob.

    Its metadata says which attributes share one array in memory.
    """
    found = {leaf.name: leaf.value for leaf in _settable(estimator)}
    first: dict[Any, str] = {}
    same: dict[str, str] = {}
    for name, value in found.items():
        if isinstance(value, np.ndarray) and value.size:
            other = first.setdefault((value.ctypes.data, value.shape, value.dtype), name)
            if other != name:
                same[name] = other
    metadata = {METADATA: json.dumps(same, sort_keys=True)}
    return safetensors.numpy.save({name: _contiguous(value) for name, value in found.items()}, metadata=metadata)


def resume(estimator: Any, blob: bytes) -> None:
    """Give an estimator the state of another one with the same parameters, from untrusted bytes.

    Args:
        estimator: An estimator that was fitted to a few samples, so that it has all attributes to replace.
        blob: What `to_checkpoint` returned.

    Raises:
        WeightsError: the bytes are not the state of such an estimator.
    """
    # Copied, so that the arrays are writable.
    stored = {name: array.copy() for name, array in _tensors(blob).items()}
    found = list(_settable(estimator))
    if stored.keys() != {leaf.name for leaf in found}:
        raise WeightsError("the checkpoint belongs to another job: it holds other attributes than its estimator has")
    for leaf in found:
        _check_like(leaf, stored[leaf.name])
    for name, other in _metadata(blob).items():
        if not isinstance(other, str) or not stored.keys() >= {name, other}:
            raise WeightsError("the checkpoint names attributes that it does not hold")
        if stored[name].tobytes() != stored[other].tobytes():
            raise WeightsError(f"the checkpoint says that {name} and {other} are one, but they differ")
        stored[name] = stored[other]
    for leaf in found:
        if leaf.set is not None:
            leaf.set(_like(leaf.value, stored[leaf.name]))


def _check_like(leaf: Leaf, array: NDArray[Any]) -> None:
    """Raise `WeightsError` if an array cannot replace a value; a list, such as one of losses, can have any length."""
    expected = np.asarray(leaf.value)
    if isinstance(leaf.value, list):
        is_like = array.ndim == 1
    else:
        is_like = (array.shape, array.dtype) == (expected.shape, expected.dtype)
    if not is_like:
        raise WeightsError(f"the checkpoint belongs to another job: {leaf.name} is {array.dtype} of {array.shape}")


def _settable(estimator: Any) -> Iterator[Leaf]:
    """Yield the numbers that change from epoch to epoch."""
    return (leaf for leaf in leaves(estimator) if leaf.set is not None and not isinstance(leaf.value, str))


def _like(value: Any, array: NDArray[Any]) -> Any:
    if isinstance(value, np.ndarray):
        return array
    if isinstance(value, list):
        return array.tolist()
    return array[()] if isinstance(value, np.generic) else array.item()
