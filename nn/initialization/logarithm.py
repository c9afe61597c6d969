"""The natural logarithm, correctly rounded, from IEEE operations alone: the C library's differs between machines.

NumPy rounds each operation on arrays, so no compiler can fuse two of them.
"""

from __future__ import annotations

import functools
from decimal import Context, Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: As many intervals of equal width divide the mantissas, which go from 1/2 to 1.
_INTERVALS = 256
#: The upper parts of the tables are multiples of 2**-_UPPER_BITS, so that their sums and products below are exact.
_UPPER_BITS = 42
#: The logarithm of a double has to be known to 36 digits before its rounding to a double is known.
_CONTEXT = Context(prec=60)
#: The terms of log(1 + r) from r**3 on, the last one first. With |r| < 2**-8.99, the rest is below 2**-84.
_SERIES = (-1 / 8, 1 / 7, -1 / 6, 1 / 5, -1 / 4, 1 / 3)


class _Tables(NamedTuple):
    """For each interval a factor c, and -log c as the sum of two floats; log 2 likewise.

    c has at most 21 bits. It is 1 in the last interval, so that logarithms of numbers near 1 are accurate, too.
    """

    factor: Array
    upper: Array
    lower: Array
    ln2_upper: float
    ln2_lower: float


def log(x: Array) -> Array:
    """Return the double nearest to the natural logarithm of each x.

    For a mantissa m and its interval's factor c, m c = 1 + r with |r| < 2**-8.99, and so
    log x = exponent * log 2 - log c + log(1 + r) (P. T. P. Tang, ACM Transactions on Mathematical Software 16, 1990).
    All terms that matter have a lower part, so that the sum is wrong by less than 2**-76, and by less than 2**-67 of
    itself. Where an error of that size could change the rounding (Ziv's test), the logarithm is computed to 60 digits.

    Args:
        x: float64, shape (n,), each greater than 0 and less than 1.
    """
    tables = _tables()
    mantissa, exponent = np.frexp(x)
    interval = (mantissa * (2 * _INTERVALS)).astype(np.intp) - _INTERVALS
    factor = tables.factor[interval]
    leading = _leading_bits(mantissa)
    # Exact, like both of its products: r is the sum of two doubles.
    r, r_lower = _sum(leading * factor - 1.0, (mantissa - leading) * factor)
    # The square of r, halved, likewise: that of its leading bits is exact.
    a = _leading_bits(r)
    b = r - a
    half_square, half_square_lower = 0.5 * a * a, (a + 0.5 * b) * b + r * r_lower
    total, rest = _sum(exponent * tables.ln2_upper + tables.upper[interval], r)
    total, more = _sum(total, -half_square)
    constants = exponent * tables.ln2_lower + tables.lower[interval]
    rest = (((rest + more) + constants) + (r_lower - half_square_lower)) + _cubic(r)
    error = np.minimum(np.abs(total) * 2.0**-67, 2.0**-76)
    result: Array = total + (rest - error)
    for index in np.flatnonzero(result != total + (rest + error)):
        result[index] = float(Decimal(float(x[index])).ln(_CONTEXT))
    return result


def _sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return a + b rounded, and what the rounding left out (D. E. Knuth, The Art of Computer Programming 2, 4.2.2)."""
    total = a + b
    rounded = total - a
    return total, (a - (total - rounded)) + (b - rounded)


def _leading_bits(x: Array) -> Array:
    """Return x without the last 27 of its 53 bits: the square of the rest is exact."""
    leading: Array = (x.view(np.uint64) & np.uint64(2**64 - 2**27)).view(np.float64)
    return leading


def _cubic(r: Array) -> Array:
    """Return log(1 + r) - r + r**2 / 2."""
    series = np.full_like(r, _SERIES[0])
    for coefficient in _SERIES[1:]:
        series *= r
        series += coefficient
    return series * (r * r * r)


@functools.cache
def _tables() -> _Tables:
    middles = (np.arange(_INTERVALS) + (_INTERVALS + 0.5)) / (2 * _INTERVALS)
    factor = np.rint(2.0**20 / middles) / 2.0**20
    factor[-1] = 1.0
    upper, lower = zip(*(_two_parts(-Decimal(float(c)).ln(_CONTEXT)) for c in factor), strict=True)
    return _Tables(factor, np.array(upper), np.array(lower), *_two_parts(Decimal(2).ln(_CONTEXT)))


def _two_parts(value: Decimal) -> tuple[float, float]:
    upper = int(_CONTEXT.multiply(value, Decimal(2**_UPPER_BITS))) / 2**_UPPER_BITS
    return upper, float(_CONTEXT.subtract(value, Decimal(upper)))
