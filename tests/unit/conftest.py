"""The data set, read once for all unit tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from nn.datasets.mnist import Dataset, load_mnist


@pytest.fixture(scope="session")
def mnist(cache_dir: Path) -> Dataset:
    return load_mnist(cache_dir=cache_dir)
