"""The arrays of a data set, whatever its class, by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

#: Objects that are looked at, at most.
_MAX_OBJECTS = 10_000


def arrays_of(data: object) -> Mapping[str, str]:
    """Return the SHA-256 of every NumPy array that is found in an object's attributes, lists and dictionaries."""
    return dict(_arrays_of(data, "data", set()))


def _arrays_of(value: object, path: str, seen: set[int]) -> Iterator[tuple[str, str]]:
    import numpy as np

    if id(value) in seen or len(seen) > _MAX_OBJECTS:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        if not value.dtype.hasobject:
            yield path, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from _arrays_of(each, f"{path}[{number}]", seen)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _arrays_of(each, f"{path}[{name!r}]", seen)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        for name, each in vars(value).items():
            yield from _arrays_of(each, f"{path}.{name}", seen)
