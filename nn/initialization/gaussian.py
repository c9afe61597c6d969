"""Standard normal draws: NumPy's polar method, with the same bits on every machine.

`RandomState.randn` takes its logarithm from the C library, and some compilers fuse its products with its sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nn.initialization.logarithm import log

Array = NDArray[np.float64]

#: Points that are worked on at once: their arrays fit in a core's cache.
_BLOCK = 4096


def standard_normal(random_state: np.random.RandomState, n: int) -> Array:
    """Return n draws, float64, shape (n,), and leave the generator in the state that its `randn(n)` would leave.

    The method is `randn`'s, the polar method (G. Marsaglia and T. A. Bray, SIAM Review 6, 1964): each point (x1, x2) of
    the unit disc, with r2 = x1**2 + x2**2, gives two draws, first f x2 and then f x1, where f = sqrt(-2 log(r2) / r2).
    Here each operation is rounded correctly, the logarithm too. A few draws differ from those of `randn` in the last
    bit.

    Args:
        random_state: The generator. Of each pair of draws, it keeps the one that nobody has asked for yet.
        n: How many draws.
    """
    draws = np.empty(n + 1)
    state = random_state.get_state(legacy=False)
    draws[0], filled = state["gauss"], state["has_gauss"]
    while filled < n:
        # Never more points than are missing, so that the generator stops behind the last one that is used.
        pairs = _pairs(random_state, min((n - filled + 1) // 2, _BLOCK))
        draws[filled : filled + len(pairs)] = pairs
        filled += len(pairs)
    state = random_state.get_state(legacy=False)
    state["has_gauss"], state["gauss"] = filled - n, float(draws[n]) if filled > n else 0.0
    random_state.set_state(state)
    return draws[:n]


def _pairs(random_state: np.random.RandomState, n_points: int) -> Array:
    """Return the draws of the next points of the square, two for each that is in the disc, in order."""
    uniform = random_state.random_sample((n_points, 2))
    # Exact: the generator's doubles are multiples of 2**-53.
    x1, x2 = 2.0 * uniform[:, 0] - 1.0, 2.0 * uniform[:, 1] - 1.0
    r2 = x1 * x1 + x2 * x2
    inside = np.flatnonzero((r2 < 1.0) & (r2 != 0.0))
    r2 = r2[inside]
    factor = np.sqrt(-2.0 * log(r2) / r2)
    return np.stack((factor * x2[inside], factor * x1[inside]), axis=1).ravel()
