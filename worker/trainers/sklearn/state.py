"""The fitted state of an estimator as safetensors: numbers by name. Reading it runs no code and imports nothing."""

import contextlib
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
from nn.files import json_values

#: The only key of a blob's metadata, because safetensors writes several keys in no fixed order.
METADATA = "seedsweep"
#: Stands for an array that equals the training samples, which the data set's digest identifies.
SAMPLES = "training samples"
#: Most bytes and JSON values in which a blob names its arrays and single values, which take up to 200 bytes each when
#: they are read. A tree of a boosted model needs 1.5 kB and 112 values: 10,000 trees fit.
MAX_HEADER, MAX_VALUES = 2**24, 9 * 2**17
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


def leaves(value: Any, name: str = "", replace: Callable[[Any], None] | None = None, depth: int = 0) -> Iterator[Leaf]:
    """Yield the fitted state of an estimator, private attributes included, without its parameters."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, np.ndarray):
        is_leaf = value.dtype.kind in "biuf" and value.dtype.itemsize <= 8
    elif isinstance(value, list):
        is_leaf = all(isinstance(each, (int, float, np.number)) for each in value)
    else:
        is_leaf = isinstance(value, (bool, int, float, str, np.number, np.bool_))
    if is_leaf:
        yield Leaf(name, value, replace)
        return
    for key, part, replace_part in _parts(value):
        yield from leaves(part, f"{name}.{key}" if name else key, replace_part, depth + 1)


def _parts(value: Any) -> Iterator[tuple[Any, Any, Callable[[Any], None] | None]]:
    """Yield what an array, a collection or an object of scikit-learn holds: its name, its value, and what replaces it.

    Such objects are a tree, a loss function, an optimizer, another estimator.
    """
    if isinstance(value, np.ndarray):
        yield from ((field, value[field], None) for field in value.dtype.names or ())
        if value.dtype.kind == "O":
            yield from ((index, item, None) for index, item in enumerate(value.flat))
    elif isinstance(value, (list, tuple, dict)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield key, item, None if isinstance(value, tuple) else partial(value.__setitem__, key)
    elif type(value).__module__.split(".")[0] == "sklearn" and hasattr(value, "__dict__"):
        parameters = value.get_params(deep=False) if hasattr(value, "get_params") else {}
        for name in sorted(vars(value).keys() - parameters):
            yield name, vars(value)[name], partial(setattr, value, name)
    elif type(value).__module__.split(".")[0] == "sklearn":
        with contextlib.suppress(TypeError):  # a compiled class without a state
            yield from _parts(_canonical(value.__getstate__()))


def _canonical(state: Any) -> Any:
    """Return a tree's state without uninitialized memory: scikit-learn leaves one field of the leaves unset."""
    nodes = state.get("nodes") if isinstance(state, dict) else None
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
    tensors: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for leaf in leaves(estimator):
        if isinstance(leaf.value, np.ndarray) and np.array_equal(leaf.value, samples):
            values[leaf.name] = SAMPLES
        elif isinstance(leaf.value, (np.ndarray, list)):
            tensors[leaf.name] = leaf.value
        else:
            value = leaf.value.item() if isinstance(leaf.value, np.generic) else leaf.value
            values[leaf.name] = str(value) if isinstance(value, float) and not math.isfinite(value) else value
    return _blob(tensors, {**about, "values": values})


def _blob(tensors: Mapping[str, Any], said: Mapping[str, Any]) -> bytes:
    little = {}
    for name, value in tensors.items():
        array = np.asarray(value)
        contiguous = np.ascontiguousarray(array).reshape(array.shape)
        little[name] = contiguous.astype(array.dtype.newbyteorder("<"), copy=False)
    return safetensors.numpy.save(little, {METADATA: json.dumps(said, sort_keys=True, allow_nan=False)})


def sizes(blob: bytes) -> Iterator[tuple[int, int, str]]:
    """Yield how much of an untrusted blob names what it holds: the number, the most that is allowed, and of what."""
    yield int.from_bytes(blob[:8], "little"), MAX_HEADER, "bytes of names"
    yield json_values(_names(blob)), MAX_VALUES, "names and values"


def _names(blob: bytes) -> bytes:
    return blob[8 : 8 + int.from_bytes(blob[:8], "little")]


def read(blob: bytes, load: Callable[[bytes], Any] = safetensors.deserialize) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays of an untrusted blob as `load` does, and what its metadata says.

    Raises:
        WeightsError: it is not intact, or has no metadata.
    """
    try:
        for size, most, what in sizes(blob):
            if size > most:
                raise ValueError(f"they have {size} {what}; allowed: at most {most}")
        said = None
        # Before the arrays are made: what is parsed for it takes as much memory.
        with contextlib.suppress(KeyError, TypeError):
            said = json.loads(json.loads(_names(blob))["__metadata__"][METADATA])
        tensors = dict(load(blob))
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise WeightsError(f"the bytes are not intact safetensors: {error}"[:200]) from None
    if not isinstance(said, dict):
        raise WeightsError("the bytes do not say what they hold")
    return tensors, said


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
    return _blob(found, same)


def resume(estimator: Any, blob: bytes) -> None:
    """Give an estimator the state of another one with the same parameters, from untrusted bytes.

    Args:
        estimator: An estimator that was fitted to a few samples, so that it has all attributes to replace.
        blob: What `to_checkpoint` returned.

    Raises:
        WeightsError: the bytes are not the state of such an estimator.
    """
    tensors, same = read(blob, safetensors.numpy.load)
    # Copied, so that the arrays are writable.
    stored = {name: array.copy() for name, array in tensors.items()}
    found = list(_settable(estimator))
    if stored.keys() != {leaf.name for leaf in found}:
        raise WeightsError("the checkpoint belongs to another job: it holds other attributes than its estimator has")
    for name, other in same.items():
        if not isinstance(other, str) or not stored.keys() >= {name, other}:
            raise WeightsError("the checkpoint names attributes that it does not hold")
        if stored[name].tobytes() != stored[other].tobytes():
            raise WeightsError(f"the checkpoint says that {name} and {other} are one, but they differ")
        stored[name] = stored[other]
    for leaf in found:
        if leaf.set is not None:
            leaf.set(_like(leaf, stored[leaf.name]))


def _settable(estimator: Any) -> Iterator[Leaf]:
    """Yield the numbers that change from epoch to epoch."""
    return (leaf for leaf in leaves(estimator) if leaf.set is not None and not isinstance(leaf.value, str))


def _like(leaf: Leaf, array: NDArray[Any]) -> Any:
    """Return an array as the value that it replaces; a list, such as one of losses, can have any length."""
    value, expected = leaf.value, np.asarray(leaf.value)
    is_list = isinstance(value, list)
    if array.ndim != 1 if is_list else (array.shape, array.dtype) != (expected.shape, expected.dtype):
        raise WeightsError(f"the checkpoint belongs to another job: {leaf.name} is {array.dtype} of {array.shape}")
    if is_list:
        return array.tolist()
    if isinstance(value, np.ndarray):
        return array
    return array[()] if isinstance(value, np.generic) else array.item()
