"""Group-sequential boundaries: the level of a test at each look, so that all looks together keep one level."""

import functools
from itertools import accumulate, repeat, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: The first look, in seeds, and how many times as many the next one has.
FIRST_LOOK = 5
GROWTH = 1.5
#: More seeds than a sweep can have.
MOST_SEEDS = 10_000_000
#: The share of what is left of alpha that each look spends.
SPENT = 0.2
#: Points of the numerical integration, and how far it goes, in standard deviations.
POINTS = 60
REACH = 8.0
#: Steps of Newton's method, which converges in fewer.
STEPS = 12


_looks = accumulate(repeat(GROWTH), lambda n, growth: round(n * growth + 1e-9), initial=FIRST_LOOK)
#: The numbers of seeds at which comparisons look: 5, 8, 12, 18, 27, 41, ... They depend on nothing.
LOOKS = np.array(list(takewhile(lambda n: n <= MOST_SEEDS, _looks)))


def looks_made(n: NDArray[Any]) -> NDArray[np.int64]:
    """Return how many looks `n` seeds allow; 0 for fewer than `FIRST_LOOK`."""
    return np.asarray(np.searchsorted(LOOKS, n, side="right"))


@functools.lru_cache(maxsize=64)
def levels(alpha: float) -> Floats:
    """Return the level of a one-sided test at each of `LOOKS`, by which all looks together reject with at most `alpha`.

    Look k spends `SPENT * (1 - SPENT)**(k - 1)` of alpha: an error spending function (Lan and DeMets, Biometrika 70,
    1983) that never ends. Its level follows from the joint normal law of nested means, whose correlation is
    sqrt(n[k - 1] / n[k]): what it spends is the probability to reject now and not at the look before. This is at
    least the probability that this look is the first to reject. For Student's t, the same levels serve (Jennison and
    Turnbull, Group Sequential Methods, 2000, section 4.4).

    Returns:
        shape (n_looks,).
    """
    # Not as an attribute of NumPy, which stays without it if this first import is interrupted.
    from numpy.polynomial.legendre import leggauss
    from scipy.special import ndtr, ndtri

    nodes, weights = leggauss(POINTS)
    bounds: list[float] = []
    for k, n in enumerate(LOOKS):
        share = alpha * SPENT * (1 - SPENT) ** k
        bound = -float(ndtri(share))
        if bounds:
            correlation = np.sqrt(LOOKS[k - 1] / n)
            for _ in range(STEPS):
                z = np.append(bound + REACH / 2 * (nodes + 1), bound)
                spent = np.exp(-(z**2) / 2) * ndtr((bounds[-1] - correlation * z) / np.sqrt(1 - correlation**2))
                bound += (REACH / 2 * float(weights @ spent[:-1]) - np.sqrt(2 * np.pi) * share) / float(spent[-1])
        bounds.append(float(bound))
    found = np.asarray(ndtr(-np.array(bounds)))
    found.flags.writeable = False  # The cache returns this array to all callers.
    return found
