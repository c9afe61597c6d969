"""A cluster on a Redis server that is closed as in production."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.secured_server import SecuredServer


@pytest.fixture(scope="module")
def secured_server() -> Iterator[SecuredServer]:
    """A Redis server that knows the cluster's roles and nobody else (but the test)."""
    with tempfile.TemporaryDirectory(prefix="sec-") as folder, SecuredServer(Path(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def secured_cluster(
    secured_server: SecuredServer, tmp_path_factory: pytest.TempPathFactory, cache_dir: Path
) -> Iterator[Cluster]:
    """A cluster whose workers use their own role; the tests of a module share them."""
    folder = tmp_path_factory.mktemp("secured")
    broker = secured_server.url_for("worker")
    with contextlib.closing(Cluster(secured_server, folder, cache_dir, broker_url=broker)) as made:
        yield made
