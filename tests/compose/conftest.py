"""A real cluster from docker-compose.yml, under a project name, ports and volumes of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Compose:
    """`docker compose` with this test's project and settings."""

    project: str
    environment: dict[str, str]

    def run(self, *arguments: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", "--project-name", self.project, "--ansi", "never", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def containers(self, service: str) -> list[dict[str, Any]]:
        lines = self.run("ps", "--all", "--format", "json", service).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def orchestrator(self, *arguments: str) -> dict[str, Any]:
        done = self.run("run", "--rm", "--no-TTY", "orchestrator", *arguments, "--json")
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def secrets(self) -> dict[str, str]:
        """Return what `secrets show` tells a person: the two broker URLs and Flower's password."""
        lines = self.run("run", "--rm", "--no-TTY", "secrets", "show").stdout.splitlines()
        shown = {line[:20].strip(): line[20:].strip() for line in lines if line.strip()}
        return shown | {"flower password": shown["Flower"].rsplit(" ", 1)[1]}


@pytest.fixture(scope="session")
def docker() -> None:
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        return
    if os.environ.get("CI"):
        pytest.fail("no Docker engine answers, and CI must run this test")
    pytest.skip("no Docker engine answers")


@pytest.fixture(scope="session")
def compose(docker: None) -> Iterator[Compose]:
    """Given a cluster of two workers, healthy; afterwards nothing of it is left."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDSWEEP_", "CELERY_"))}
    environment |= {
        "SEEDSWEEP_REDIS_PORT": str(free_port()),
        "SEEDSWEEP_FLOWER_PORT": str(free_port()),
        "SEEDSWEEP_WORKER_CPUS": "1",
        "SEEDSWEEP_LEASE_SECONDS": "6",
        "SEEDSWEEP_RESTORE_SECONDS": "1",
    }
    cluster = Compose(f"seedsweep-test-{os.getpid()}", environment)
    try:
        cluster.run("build", timeout=1200)
        started = time.monotonic()
        cluster.run("up", "--detach", "--wait", "--wait-timeout", "180", "--scale", "worker=2")
        print(f"\nup to healthy: {time.monotonic() - started:.1f} s")
        yield cluster
    finally:
        cluster.run("--profile", "orchestrator", "down", "--volumes", "--timeout", "20", check=False)
    label = f"label=com.docker.compose.project={cluster.project}"
    for kind in (["ps", "--all"], ["volume", "ls"], ["network", "ls"]):
        left = subprocess.run(
            ["docker", *kind, "--quiet", "--filter", label], capture_output=True, text=True, check=True
        )
        assert left.stdout == "", f"docker {kind[0]} still lists {left.stdout}"
