"""Random search: every configuration is drawn independently of the others and of their results.

It is what J. Bergstra and Y. Bengio compare with grids: "Random Search for Hyper-Parameter Optimization", Journal of
Machine Learning Research 13 (2012).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from orchestrator.sweeps.axes.ranges import RefusedError
from orchestrator.sweeps.samplers.space import Point, Space, range_of

#: Draws for each configuration that is wanted: enough to find the last one of 100,000 with near certainty.
_TRIES = 100


def draw(space: Space, count: int, seed: int, *, is_integer: Callable[[str], bool]) -> tuple[Point, ...]:
    """Draw different configurations: a value of a list with equal probability, a number of a range by its kind.

    The stream is that of `random.Random(seed).random()`, which Python keeps from version to version. A configuration
    takes one number of it per option, in the order of the space; configurations that come again are passed over.

    Args:
        space: The values of each option.
        count: The number of configurations.
        seed: The seed of the stream.
        is_integer: Returns whether an option is an integer.

    Raises:
        RefusedError: the space has fewer configurations.
    """
    stream = random.Random(seed)
    drawn: dict[tuple[Any, ...], Point] = {}
    for _ in range(_TRIES * (count + 10)):
        point = {name: _value(values, stream.random(), integers=is_integer(name)) for name, values in space.items()}
        drawn.setdefault(tuple(point.values()), point)
        if len(drawn) == count:
            return tuple(drawn.values())
    raise RefusedError(f"at most {len(drawn)}, the number of configurations that the options allow")


def _value(values: tuple[Any, ...], share: float, *, integers: bool) -> Any:
    bounds = range_of(values)
    return values[int(share * len(values))] if bounds is None else bounds.at(share, integers=integers)
