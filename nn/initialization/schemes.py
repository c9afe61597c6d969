"""How weights start: the schemes of the option `initialization`.

Each one draws weights around zero; they differ in the variance. For a matrix of rows x columns, rows being the width of
the layer that it leads to and columns that of the layer before:

| scheme | variance | source |
|---|---|---|
| `notebook` | 1 / rows | the notebook's code |
| `lecun` | 1 / columns | Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, Efficient BackProp, 1998, section 4.6 |
| `glorot` | 2 / (rows + columns) | X. Glorot and Y. Bengio, AISTATS 2010, equation 12 |
| `he` | 2 / columns | K. He, X. Zhang, S. Ren and J. Sun, ICCV 2015, equation 10 |

These are normal. The `_uniform` form of a scheme has the same variance, and so the limit sqrt(3 * variance); that of
`glorot` is their equation 16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from nn.initialization.gaussian import standard_normal

Array = NDArray[np.float64]

_UNIFORM = "_uniform"
_VARIANCES: dict[str, Callable[[int, int], float]] = {
    "notebook": lambda rows, _columns: 1.0 / rows,
    "lecun": lambda _rows, columns: 1.0 / columns,
    "glorot": lambda rows, columns: 2.0 / (rows + columns),
    "he": lambda _rows, columns: 2.0 / columns,
}


def draw_matrices(
    shapes: Iterable[tuple[int, int]], random_state: np.random.RandomState, *, initialization: str, initial_scale: float
) -> list[Array]:
    """Draw matrices, one after the other, from one generator.

    Args:
        shapes: Rows and columns of each matrix.
        random_state: The generator. Normal schemes take what `randn` would take from it, uniform ones what
            `random_sample` takes: one number in [0, 1) for each weight.
        initialization: A scheme.
        initial_scale: A factor for all weights.
    """
    kind = initialization.removesuffix(_UNIFORM)
    uniform = kind != initialization
    shapes = list(shapes)
    sizes = [rows * columns for rows, columns in shapes]
    # All at once, which takes less time.
    drawn = 2.0 * random_state.random_sample(sum(sizes)) - 1.0 if uniform else standard_normal(random_state, sum(sizes))
    matrices = []
    for (rows, columns), part in zip(shapes, np.split(drawn, np.cumsum(sizes)[:-1]), strict=True):
        variance = _VARIANCES[kind](rows, columns)
        spread = np.sqrt(3.0 * variance if uniform else variance)
        matrices.append(part.reshape(rows, columns) * (spread * initial_scale))
    return matrices
