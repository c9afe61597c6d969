"""MNIST, read once for all unit tests, and a small data set beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nn.datasets.mnist import Dataset, load_mnist
from tests.support.idx_files import write_idx_folder


@pytest.fixture(scope="session")
def mnist(cache_dir: Path) -> Dataset:
    return load_mnist(cache_dir=cache_dir)


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    """Twenty small images: what is tested on it holds for any data set."""
    write_idx_folder(tmp_path / "idx")
    return tmp_path / "idx"
