"""One cluster for all tests here, made from a clean clone."""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compose import Compose, docker
from tests.support.compose import clone as clone_project
from tests.support.redis_server import require

_FIGURES = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> dict[str, str]:
    """What is measured on the way, in the order of measuring; shown at the end."""
    return pytestconfig.stash.setdefault(_FIGURES, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash.get(_FIGURES, {})
    if figures:
        terminalreporter.section("figures")
    for what, value in figures.items():
        terminalreporter.write_line(f"{what}: {value}")


@pytest.fixture(scope="session")
def engine() -> None:
    # `.ci/run` terminates this when another step fails. The containers must go all the same.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False)
    require(found and found.returncode == 0, "a Docker engine")


@pytest.fixture(scope="session")
def clone(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean clone of the project."""
    return clone_project(tmp_path_factory.mktemp("clone") / "seedsweep")


@pytest.fixture(scope="session")
def built(clone: Path, figures: dict[str, str]) -> Iterator[Compose]:
    """The image, under a tag of its own, which goes away afterwards."""
    project = Compose(clone, "build")
    started = time.monotonic()
    project.run("build")
    figures["docker compose build"] = f"{time.monotonic() - started:.1f} s"
    for image in (project.image, "redis:8-alpine", "python:3.13-slim"):
        size = int(docker("image", "inspect", "--format", "{{.Size}}", image))
        figures[f"image {image.split(':test')[0]}"] = f"{size / 1e6:.0f} MB"
    try:
        yield project
    finally:
        docker("image", "rm", project.image)


@pytest.fixture(scope="session")
def compose(clone: Path, built: Compose, figures: dict[str, str]) -> Iterator[Compose]:
    """Given a cluster of two workers, healthy; afterwards nothing of it is left."""
    with contextlib.closing(Compose(clone, "cluster")) as cluster:
        started = time.monotonic()
        cluster.up(workers=2)
        figures["cold up to healthy, 2 workers"] = f"{time.monotonic() - started:.1f} s"
        one_job = ("--seeds", "99", "--learning-rates", "0.03", "--epochs", "1")
        cluster.once("orchestrator", "sweep", *one_job, "--name", "one-job")
        figures["cold up to the first result, one job on all of MNIST"] = f"{time.monotonic() - started:.1f} s"
        yield cluster
