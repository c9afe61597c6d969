"""Fixtures that any test may use: a Redis server, a cluster with real workers, and the command line."""

import contextlib
import gc
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from nn.datasets.mnist import Dataset, load_mnist
from tests.support import launcher
from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine, command_line_in
from tests.support.in_process import InProcess
from tests.support.launcher import Launcher
from tests.support.live_server import Serve, servers
from tests.support.redis_server import RedisServer

# The same examples in every run, so that a failure is one for everybody; no deadline, because machines are shared.
hypothesis.settings.register_profile("everyday", derandomize=True, deadline=None, max_examples=25)
hypothesis.settings.register_profile("thorough", derandomize=True, deadline=None, max_examples=100)
hypothesis.settings.load_profile("thorough" if os.environ.get("CI") == "true" else "everyday")


#: Fixtures of tests that start processes and wait for them.
SLOWEST = {"redis_server", "command_line"}

# Collecting makes a million objects that stay. Each test process would look through them for two seconds.
gc.disable()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the launcher, once for all test processes, which begin after this. Unit tests start nothing."""
    # Nor do tests read the settings of whoever runs them.
    os.environ["XDG_CONFIG_HOME"] = os.devnull
    units = all("tests/unit" in argument for argument in session.config.args)
    if not units and Launcher.VARIABLE not in os.environ:
        session.config.add_cleanup(Launcher().close)
        if session.config.pluginmanager.hasplugin("dsession"):
            # pytest-xdist starts the test processes, after this.
            subprocess.Popen = launcher.Popen


@pytest.hookimpl(trylast=True)  # after those that are not asked for have been left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a slow test that does not say why it is slow, and let those that take long begin first."""
    for item in items:
        for mark in item.iter_markers("slow"):
            if not mark.kwargs.get("reason"):
                raise pytest.UsageError(f"{item.nodeid} is slow and gives no reason")
    # Each of several test processes begins with an equal part of the list, and takes from the ends of the others when
    # it has none left. So each part has its share of the longest tests, of those that wait, of those that compute, and,
    # last, of the unit tests. Every third part computes before it waits, so that the processors are never idle.
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if processes > 1:
        shares: dict[tuple[float, str], list[pytest.Item]] = {}
        for item in items:
            shares.setdefault(_kind(item), []).append(item)
        items.clear()
        for number in range(processes):
            order = ("computes", "waits", "unit") if number % 3 == 2 else ("waits", "computes", "unit")
            for limit in sorted({limit for limit, _ in shares}):
                for share in (shares.get((limit, kind), []) for kind in order):
                    items += share[number * len(share) // processes : (number + 1) * len(share) // processes]


def pytest_collection_finish() -> None:
    """Search for garbage from now on, but not in what was collected."""
    gc.freeze()
    gc.enable()


def _kind(item: pytest.Item) -> tuple[float, str]:
    """Return what is less for tests that take longer, by their own time limits, and what they mostly do."""
    mark = item.get_closest_marker("timeout")
    fixtures = set(getattr(item, "fixturenames", ()))
    waits = "here" not in fixtures and SLOWEST & fixtures
    kind = "waits" if waits else "unit" if item.nodeid.startswith("tests/unit/") else "computes"
    return -float(mark.args[0]) if mark else 0.0, kind


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a short path: a unix socket's path has at most 107 bytes, and pytest's own folders are deep."""
    with tempfile.TemporaryDirectory(prefix="sw-") as folder:
        yield Path(folder)


@pytest.fixture
def redis_server(short_path: Path, request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A real Redis server of this test's own. It forgets its data when it ends, unless the test is `persistent`."""
    with RedisServer(short_path, persistent=request.node.get_closest_marker("persistent") is not None) as server:
        yield server


@pytest.fixture
def second_redis_server(short_path: Path) -> Iterator[RedisServer]:
    """Another real Redis server, which keeps its data over a restart."""
    (short_path / "b").mkdir()
    with RedisServer(short_path / "b", persistent=True) as server:
        yield server
        server.send(signal.SIGCONT)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where prepared data and finished sweeps are kept, once for all tests and their processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def mnist(cache_dir: Path) -> Dataset:
    return load_mnist(cache_dir=cache_dir)


@pytest.fixture
def cluster(redis_server: RedisServer, tmp_path: Path, cache_dir: Path) -> Iterator[Cluster]:
    """A Redis server, on which the test starts workers; all of them end with the test."""
    with contextlib.closing(Cluster(redis_server, tmp_path, cache_dir)) as made:
        yield made


@pytest.fixture
def command_line(tmp_path: Path, cache_dir: Path) -> Iterator[CommandLine]:
    """The command `orchestrator`, with a temporary folder of its own."""
    with command_line_in(tmp_path, cache_dir) as made:
        yield made


@pytest.fixture
def serve(command_line: CommandLine) -> Iterator[Serve]:
    """Starts servers of the sweeps in the command line's folder; all of them end with the test."""
    with servers(command_line) as start:
        yield start


@pytest.fixture
def here(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    """Commands in this process, in a folder of the test's own."""
    return InProcess(command_line, monkeypatch, capsys)
