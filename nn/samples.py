"""Labelled samples in compressed sparse rows: the one form in which the engines take data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a plain, contiguous, read-only view: memory maps and fresh arrays then share one compiled kernel."""
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.setflags(write=False)
    return view


@dataclass(frozen=True)
class Samples:
    """Rows of features with a class index each. Only nonzero features are stored; their order is ascending.

    Attributes:
        indptr: int64, shape (n_samples + 1,). Row i holds the entries `indptr[i]:indptr[i + 1]`.
        indices: uint16 or int32, shape (n_entries,). The feature of each entry.
        values: float32 or float64, shape (n_entries,). The value of each entry.
        labels: int64, shape (n_samples,). The class index of each row, from 0.
        n_features: How many features a row has.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[Any]
    values: NDArray[Any]
    labels: NDArray[np.int64]
    n_features: int

    def __post_init__(self) -> None:
        for name in ("indptr", "indices", "values", "labels"):
            object.__setattr__(self, name, _read_only(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, n: int | None) -> Samples:
        """Return the first `n` rows without copying their entries; all of them for None or a larger `n`."""
        if n is None or n >= len(self):
            return self
        end = int(self.indptr[n])
        return Samples(self.indptr[: n + 1], self.indices[:end], self.values[:end], self.labels[:n], self.n_features)

    def dense(self, row: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return one row with its zeros, shape (n_features,)."""
        x = np.zeros(self.n_features, dtype)
        entries = slice(self.indptr[row], self.indptr[row + 1])
        x[self.indices[entries]] = self.values[entries]
        return x
