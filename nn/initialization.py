"""How weights start: the variances of the option `initialization`, and draws with the same bits on every machine.

The schemes draw weights around zero; they differ in the variance. A matrix of rows x columns leads from a layer of
`columns` nodes to one of `rows` nodes:

| scheme | variance | source |
|---|---|---|
| `notebook` | 1 / rows | the notebook's code |
| `lecun` | 1 / columns | Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, Efficient BackProp, 1998, section 4.6 |
| `glorot` | 2 / (rows + columns) | X. Glorot and Y. Bengio, AISTATS 2010, equation 12 |
| `he` | 2 / columns | K. He, X. Zhang, S. Ren and J. Sun, ICCV 2015, equation 10 |

These are normal. The `_uniform` form of a scheme has the same variance, and so the limit sqrt(3 * variance); that of
`glorot` is their equation 16.

NumPy's own normal draws differ between machines: `RandomState.randn` takes its logarithm from the C library, and some
compilers fuse its products with its sums. Here, draws and logarithms consist of IEEE operations on arrays. NumPy rounds
each of them, so that no compiler can fuse two.
"""

import functools
from collections.abc import Callable
from decimal import Context, Decimal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Points that are processed at once: their arrays fit in a core's cache.
_BLOCK = 4096
#: Intervals of equal width into which the mantissas, from 1/2 to 1, are divided.
_INTERVALS = 256
#: The upper parts of the tables are multiples of 2**-_UPPER_BITS, so that their sums and products below are exact.
_UPPER_BITS = 42
#: 36 digits of the logarithm of a double determine its rounding to a double.
_CONTEXT = Context(prec=60)
#: The terms of log(1 + r) from r**3 on, the last one first. With |r| < 2**-8.99, the rest is below 2**-84.
_SERIES = (-1 / 8, 1 / 7, -1 / 6, 1 / 5, -1 / 4, 1 / 3)

#: The variance of each scheme, from the rows and columns of a matrix.
VARIANCES: dict[str, Callable[[int, int], float]] = {
    "notebook": lambda rows, _columns: 1.0 / rows,
    "lecun": lambda _rows, columns: 1.0 / columns,
    "glorot": lambda rows, columns: 2.0 / (rows + columns),
    "he": lambda _rows, columns: 2.0 / columns,
}


def standard_normal(random_state: np.random.RandomState, n: int) -> Array:
    """Return n draws, float64, shape (n,), and leave the generator in the state that its `randn(n)` would leave.

    The method is `randn`'s, the polar method (G. Marsaglia and T. A. Bray, SIAM Review 6, 1964): each point (x1, x2) of
    the unit disc, with r2 = x1**2 + x2**2, gives two draws, first f x2 and then f x1, where f = sqrt(-2 log(r2) / r2).
    Here each operation is rounded correctly, the logarithm too. A few draws differ from those of `randn` in the last
    bit.

    Args:
        random_state: The generator. It keeps the second draw of a pair for the next call.
        n: How many draws.
    """
    draws = np.empty(n + 1)
    state = random_state.get_state(legacy=False)
    draws[0], filled = state["gauss"], state["has_gauss"]
    while filled < n:
        pairs = _pairs(*_points(random_state, min((n - filled + 1) // 2, _BLOCK)))
        draws[filled : filled + len(pairs)] = pairs
        filled += len(pairs)
    state = random_state.get_state(legacy=False)
    state["has_gauss"], state["gauss"] = filled - n, float(draws[n]) if filled > n else 0.0
    random_state.set_state(state)
    return draws[:n]


def _points(random_state: np.random.RandomState, n: int) -> Array:
    """Return x1, x2 and r2 of the next n points of the square that are in the disc, shape (3, n)."""
    found = [np.empty((3, 0))]
    # At most as many as are missing, so that the generator stops after the last one that is used.
    while missing := n - sum(each.shape[1] for each in found):
        # Exact: the generator's doubles are multiples of 2**-53.
        points = 2.0 * random_state.random_sample(2 * missing) - 1.0
        x1, x2 = points[::2], points[1::2]
        r2 = x1 * x1 + x2 * x2
        inside = np.flatnonzero((r2 < 1.0) & (r2 != 0.0))
        found.append(np.array([x1[inside], x2[inside], r2[inside]]))
    return np.concatenate(found, axis=1)


def _pairs(x1: Array, x2: Array, r2: Array) -> Array:
    """Return the draws of these points, two for each, in order."""
    factor = np.sqrt(-2.0 * log(r2) / r2)
    draws = np.empty(2 * len(r2))
    draws[::2], draws[1::2] = factor * x2, factor * x1
    return draws


def log(x: Array) -> Array:
    """Return the double nearest to the natural logarithm of each x.

    For a mantissa m and its interval's factor c, m c = 1 + r with |r| < 2**-8.99, and so
    log x = exponent * log 2 - log c + log(1 + r) (P. T. P. Tang, ACM Transactions on Mathematical Software 16, 1990).
    All terms that matter have a lower part, so that the error of the sum is below 2**-76, and below 2**-67 of the sum.
    If an error of that size could change the rounding (Ziv's test), the logarithm is computed to 60 digits.

    Args:
        x: float64, shape (n,), each greater than 0 and less than 1.
    """
    factors, uppers, lowers, ln2_upper, ln2_lower = _tables()
    mantissa, exponent = np.frexp(x)
    interval = (mantissa * (2 * _INTERVALS)).astype(np.intp) - _INTERVALS
    factor = factors[interval]
    leading = _leading_bits(mantissa)
    # Exact, like both of its products: r is the sum of two doubles.
    r, r_lower = _sum(leading * factor - 1.0, (mantissa - leading) * factor)
    # Half the square of r is a sum of two doubles, too: the square of its leading bits is exact.
    a = _leading_bits(r)
    b = r - a
    half_square, half_square_lower = 0.5 * a * a, (a + 0.5 * b) * b + r * r_lower
    total, rest = _sum(exponent * ln2_upper + uppers[interval], r)
    total, more = _sum(total, -half_square)
    constants = exponent * ln2_lower + lowers[interval]
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
def _tables() -> tuple[Array, Array, Array, float, float]:
    """Return for each interval a factor c, and -log c as the sum of two floats; then log 2 likewise.

    c has at most 21 bits. It is 1 in the last interval, so that logarithms of numbers near 1 are accurate, too.
    """
    middles = (np.arange(_INTERVALS) + (_INTERVALS + 0.5)) / (2 * _INTERVALS)
    factor = np.rint(2.0**20 / middles) / 2.0**20
    factor[-1] = 1.0
    upper, lower = zip(*(_two_parts(-Decimal(float(c)).ln(_CONTEXT)) for c in factor), strict=True)
    return factor, np.array(upper), np.array(lower), *_two_parts(Decimal(2).ln(_CONTEXT))


def _two_parts(value: Decimal) -> tuple[float, float]:
    upper = int(_CONTEXT.multiply(value, Decimal(2**_UPPER_BITS))) / 2**_UPPER_BITS
    return upper, float(_CONTEXT.subtract(value, Decimal(upper)))
