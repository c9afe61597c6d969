"""A server that tests share which attach no worker to it."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.cluster import Cluster, running_cluster
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="session")
def server_of_this_process() -> Iterator[RedisServer]:
    """A real Redis server for all tests of this process."""
    with tempfile.TemporaryDirectory(prefix="sw-") as folder, RedisServer(Path(folder)) as server:
        yield server


@pytest.fixture
def shared_server(server_of_this_process: RedisServer) -> RedisServer:
    """A real Redis server, empty and as it was started. A test that stops it or starts a worker needs its own.

    A test may change its limits; the next test finds them lifted.
    """
    client = server_of_this_process.client()
    client.execute_command("REPLICAOF", "NO", "ONE")
    for name, value in {"min-replicas-to-write": "0", "maxmemory": "0", "maxmemory-policy": "noeviction"}.items():
        client.config_set(name, value)
    client.flushall()
    return server_of_this_process


@pytest.fixture
def client(shared_server: RedisServer) -> redis.Redis:
    return shared_server.client()


@pytest.fixture
def shared_cluster(shared_server: RedisServer, tmp_path: Path, cache_dir: Path) -> Iterator[Cluster]:
    """A cluster without workers on the shared server."""
    with contextlib.closing(Cluster(shared_server, tmp_path, cache_dir)) as made:
        yield made


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Cluster]:
    """A cluster whose worker the tests of a module share: it has to live through every one of them."""
    with running_cluster(tmp_path_factory.mktemp("serving"), cache_dir) as made:
        made.start_worker()
        yield made


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    """A network of its own in front of the test's server."""
    with contextlib.closing(Proxy(redis_server.port).start()) as made:
        yield made
