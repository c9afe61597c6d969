"""Labelled samples in compressed sparse rows, the only format of data that the engines take."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Samples:
    """Rows of features, each with a class index. Only nonzero features are stored, in ascending order.

    A selection of rows shares the entries of all.

    Attributes:
        spans: int64, shape (n_samples, 2). Row i has the entries `spans[i, 0]:spans[i, 1]`.
        indices: uint16 or int32, shape (n_entries,). The feature of each entry.
        values: float32 or float64, shape (n_entries,). The value of each entry.
        labels: int64, shape (n_samples,). The class index of each row, from 0.
        n_features: The number of features of a row, zeros included.
        n_classes: The number of classes; at least, and by default, one more than the largest label.
    """

    spans: NDArray[np.int64]
    indices: NDArray[Any]
    values: NDArray[Any]
    labels: NDArray[np.int64]
    n_features: int
    n_classes: int = 0

    def __post_init__(self) -> None:
        for name in ("spans", "indices", "values", "labels"):
            # Plain, contiguous and read-only, so that one compiled kernel serves memory maps and new arrays.
            view = np.ascontiguousarray(getattr(self, name)).view(np.ndarray)
            view.setflags(write=False)
            object.__setattr__(self, name, view)
        object.__setattr__(self, "n_classes", max(self.n_classes, int(self.labels.max(initial=-1)) + 1))

    @functools.cached_property
    def index_range(self) -> tuple[int, int]:
        """The lowest and the highest of `indices`; 0 and -1 if there are none."""
        return (int(self.indices.min()), int(self.indices.max())) if len(self.indices) else (0, -1)

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, n: int | None) -> Samples:
        """Return the first `n` rows, or all rows if `n` is None or larger."""
        return self if n is None or n >= len(self) else self.rows(slice(n))

    def rows(self, chosen: slice | NDArray[np.int64]) -> Samples:
        """Return some rows, by a slice or by their indices, without copying their entries."""
        selection = replace(self, spans=self.spans[chosen], labels=self.labels[chosen])
        # The entries are the same: they are looked through once.
        vars(selection)["index_range"] = self.index_range
        return selection

    def dense(self, row: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return one row as a dense vector, shape (n_features,)."""
        x = np.zeros(self.n_features, dtype)
        entries = slice(*self.spans[row])
        x[self.indices[entries]] = self.values[entries]
        return x

    def to_dense(self) -> NDArray[Any]:
        """Return all rows as a dense matrix, shape (n_samples, n_features), in the dtype of the values."""
        dense = np.zeros((len(self), self.n_features), self.values.dtype)
        for row, (start, stop) in zip(dense, self.spans, strict=True):
            row[self.indices[start:stop]] = self.values[start:stop]
        return dense


def pack_bytes(images: NDArray[np.uint8], labels: NDArray[Any]) -> Samples:
    """Pack images of bytes, shape (n, n_features), as float32 in [0, 1]: `(images / 255).astype("float32")`."""
    packed = pack(images, labels)
    levels = (np.arange(256) / 255).astype(np.float32)
    return replace(packed, values=levels[packed.values])


def pack(X: Any, labels: NDArray[Any], n_classes: int = 0) -> Samples:
    """Pack rows of features, keeping their dtype.

    Args:
        X: A NumPy array or SciPy sparse array of finite numbers, shape (n_samples, n_features).
        labels: The class index of each row, from 0, shape (n_samples,).
        n_classes: The number of classes, as in `Samples`.
    """
    n_features = X.shape[1]
    # 16-bit indices halve the memory traffic of 32-bit ones, and few data sets are too wide for them.
    kind = np.uint16 if n_features <= 2**16 else np.int32
    if isinstance(X, np.ndarray):
        rows = np.ascontiguousarray(X)
        stored = rows != 0
        indptr: NDArray[Any] = np.concatenate([[0], np.cumsum(np.count_nonzero(stored, axis=1))])
        # No array of positions in all of X: with 8 bytes for each entry, it would take more memory than the rest.
        indices, values = np.broadcast_to(np.arange(n_features, dtype=kind), rows.shape)[stored], rows[stored]
    else:
        X = X.tocsr(copy=True)
        X.sum_duplicates()
        X.eliminate_zeros()
        indptr, indices, values = X.indptr, X.indices, X.data
    indices = indices.astype(kind, copy=False)
    spans = np.stack((indptr[:-1], indptr[1:]), axis=1)
    return Samples(spans.astype(np.int64), indices, values, np.asarray(labels, np.int64), n_features, n_classes)
