"""A cluster on a Redis server that is closed as in production."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.secured_server import SecuredServer


@pytest.fixture(scope="module")
def secured_server() -> Iterator[SecuredServer]:
    """A Redis server that knows the cluster's roles and nobody else (but the test)."""
    with tempfile.TemporaryDirectory(prefix="sec-") as folder:
        server = SecuredServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
def secured_cluster(
    secured_server: SecuredServer, tmp_path_factory: pytest.TempPathFactory, cache_dir: Path
) -> Iterator[Cluster]:
    """A cluster whose workers use their own role; the tests of a module share them."""
    folder = tmp_path_factory.mktemp("secured")
    made = Cluster(secured_server, folder, cache_dir, broker_url=secured_server.url_for("worker"))
    try:
        yield made
    finally:
        made.close()
