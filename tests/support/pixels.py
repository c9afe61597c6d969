"""The way back from samples to the images that they were."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.samples import Samples


def to_bytes(samples: Samples) -> NDArray[Any]:
    """Return the images, shape (n_samples, n_features), that `pack_bytes` packed."""
    # Every k / 255 in float32, times 255, is nearer to k than to any other whole number.
    levels = np.rint(samples.values * np.float32(255)).astype(np.uint8)
    return replace(samples, values=levels).to_dense()
