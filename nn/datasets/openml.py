"""Downloads MNIST from OpenML as the notebook does."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nn.errors import DatasetError


def fetch(data_home: Path | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the images, shape (n, 784), and the labels, shape (n,), of OpenML's `mnist_784`, version 1.

    Args:
        data_home: The folder in which scikit-learn caches downloads; None downloads each time.

    Raises:
        DatasetError: OpenML cannot be reached, or its answer is not a table of digits.
    """
    from sklearn.datasets import fetch_openml

    try:
        with warnings.catch_warnings():
            # scikit-learn warns before each retry; the error below says the same.
            warnings.simplefilter("ignore")
            bunch = fetch_openml(
                "mnist_784",
                version=1,
                as_frame=False,
                parser="liac-arff",  # the only one that does not need pandas
                data_home=data_home,
                cache=data_home is not None,
                n_retries=1,
            )
        images, labels = np.asarray(bunch.data), np.asarray(bunch.target).astype(np.float64)
    # A broken connection, a proxy's error page or a truncated cache can raise anything in a parser.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise DatasetError(f"mnist_784 cannot be fetched from OpenML: {reason}") from error
    return _to_bytes("pixel", images), _to_bytes("label", labels)


def _to_bytes(name: str, values: NDArray[np.float64]) -> NDArray[np.uint8]:
    with np.errstate(invalid="ignore"):
        exact = values.astype(np.uint8)
    if not np.array_equal(exact, values):
        raise DatasetError(f"mnist_784 from OpenML has a {name} that is not a whole number from 0 to 255")
    return exact
