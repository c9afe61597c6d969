"""The notebook's `fetch_openml`, through scikit-learn's own reader on a prepared folder, without network."""

from __future__ import annotations

import shutil
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nn.datasets import idx
from nn.datasets.mnist import BUNDLED, MNIST_DIGEST, Dataset, content_digest, dataset_digest, load_mnist
from nn.errors import DatasetError
from tests.support.datasets import same_data
from tests.support.openml_cache import write_openml_cache

#: Images as bytes, and their labels.
Some = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy that is not there: whatever is not in the prepared folder cannot be had.
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    # An earlier test that opened a URL has left an opener that read these variables before.
    monkeypatch.setattr(urllib.request, "_opener", None)
    # Between two attempts, scikit-learn waits for a second.
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.mark.slow(reason="parses all 70,000 images as text")
def test_it_is_the_bundled_data(mnist: Dataset, tmp_path: Path) -> None:
    # Given all of MNIST as OpenML has it
    write_openml_cache(tmp_path / "openml", *idx.read_folder(BUNDLED))

    fetched = load_mnist("openml", cache_dir=tmp_path)

    assert same_data(fetched, mnist)
    # And once it is known to be MNIST, it is not parsed again
    shutil.rmtree(tmp_path / "openml" / "openml")
    assert dataset_digest("openml", cache_dir=tmp_path) == MNIST_DIGEST
    assert same_data(load_mnist("openml", cache_dir=tmp_path), mnist)


@pytest.fixture
def some() -> Some:
    """A few images that are not MNIST's, and their labels."""
    random = np.random.RandomState(0)
    return random.randint(0, 256, (20, 784)).astype(np.uint8), random.randint(0, 10, 20).astype(np.uint8)


def test_other_bytes_are_refused(some: Some, tmp_path: Path) -> None:
    write_openml_cache(tmp_path / "openml", *some)
    digest = content_digest(*some)

    for ask in (load_mnist, dataset_digest):
        with pytest.raises(DatasetError, match=f"OpenML is not MNIST: its digest is {digest}; expected {MNIST_DIGEST}"):
            ask("openml", cache_dir=tmp_path)


@pytest.mark.parametrize("pixel", [-1, 256])
def test_pixels_that_are_no_bytes_are_refused(some: Some, tmp_path: Path, pixel: int) -> None:
    images, labels = some[0].astype(np.int64), some[1]
    images[3, 5] = pixel
    write_openml_cache(tmp_path / "openml", images, labels)

    with pytest.raises(DatasetError, match="has a pixel that is not a whole number from 0 to 255"):
        load_mnist("openml", cache_dir=tmp_path)


@pytest.mark.parametrize("cached", [True, False])
def test_no_network_is_one_sentence(tmp_path: Path, cached: bool) -> None:
    with pytest.raises(DatasetError, match=r"^mnist_784 cannot be fetched from OpenML: URLError: .*refused.*$"):
        load_mnist("openml", cache_dir=tmp_path if cached else None)


def test_damaged_download_is_one_sentence(some: Some, tmp_path: Path) -> None:
    write_openml_cache(tmp_path / "openml", *some)
    (arff,) = tmp_path.rglob("*.arff.gz")
    arff.write_bytes(arff.read_bytes()[:-100])

    with pytest.raises(DatasetError, match=r"^mnist_784 cannot be fetched from OpenML: .+$"):
        load_mnist("openml", cache_dir=tmp_path)
