"""Fixtures that any test may use: a Redis server, a cluster with real workers, and the command line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.redis_server import RedisServer

# The same examples in every run, so that a failure is one for everybody; no deadline, because machines are shared.
hypothesis.settings.register_profile("seedsweep", derandomize=True, deadline=None)
hypothesis.settings.load_profile("seedsweep")

#: The fixtures that start the server under test.
SERVERS = {"redis_server", "persistent_redis_server", "secured_server", "server", "hosts"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses the server under test, and refuse a slow one that does not say why it is slow."""
    for item in items:
        for mark in item.iter_markers("slow"):
            if not mark.kwargs.get("reason"):
                raise pytest.UsageError(f"{item.nodeid} is slow and gives no reason")
        if isinstance(item, pytest.Function) and SERVERS.intersection(item.fixturenames):
            item.add_marker("queue")
            item.add_marker("process")
    # The longest first, so that no test process is left with it at the end.
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a short path: a unix socket's path has at most 107 bytes, and pytest's own folders are deep."""
    with tempfile.TemporaryDirectory(prefix="sw-") as folder:
        yield Path(folder)


@pytest.fixture
def redis_server(short_path: Path) -> Iterator[RedisServer]:
    """A real Redis server of this test's own, which forgets its data when it ends."""
    server = RedisServer(short_path)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def persistent_redis_server(short_path: Path) -> Iterator[RedisServer]:
    """A real Redis server of this test's own, which keeps its data over a restart."""
    server = RedisServer(short_path, persistent=True)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where prepared data and finished sweeps are kept, once for all tests and their processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def cluster(redis_server: RedisServer, tmp_path: Path, cache_dir: Path) -> Iterator[Cluster]:
    """A Redis server, on which the test starts workers; all of them end with the test."""
    made = Cluster(redis_server, tmp_path, cache_dir)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def command_line(tmp_path: Path, cache_dir: Path) -> Iterator[CommandLine]:
    """The command `orchestrator`, with a temporary folder of its own."""
    with tempfile.TemporaryDirectory(prefix="cl-") as temporary:
        made = CommandLine(tmp_path, Path(temporary), cache_dir)
        try:
            yield made
        finally:
            made.close()
