"""Keeps unit tests to this process, and reads MNIST once for all of them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.idx_files import write_idx_folder
from tests.support.sweep_folders import made

#: What a unit test does not do: it belongs into tests/integration/ if it starts a process or a server.
REFUSED = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "socket.bind"}
#: The unit test that runs now.
_running: list[str] = []


def _refuse(event: str, _arguments: tuple[object, ...]) -> None:
    if event in REFUSED and _running:
        raise RuntimeError(f"{_running[0]} is a unit test and causes {event}; move it to tests/integration/")


# A hook stays for good, so there is one, which looks at what runs.
sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def _stays_in_this_process(request: pytest.FixtureRequest) -> Iterator[None]:
    _running.append(request.node.nodeid)
    yield
    _running.clear()


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    """Twenty small images: what is tested on it holds for any data set."""
    write_idx_folder(tmp_path / "idx")
    return tmp_path / "idx"


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    """The folder of a sweep of two jobs that has just begun."""
    return made(tmp_path)
