"""`docker compose` on a clone of what is committed, under a project name, an image tag and ports of a test's own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support.command_line import outside
from tests.support.paths import ROOT
from tests.support.redis_server import free_port


def clone(folder: Path, origin: Path = ROOT) -> Path:
    """Clone the project: what is committed, without what else lies in the working tree."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(origin), str(folder)], check=True)
    return folder


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


class Compose:
    """A cluster made by docker-compose.yml.

    Args:
        folder: A clone of the project.
        name: Tells this project from every other one of the machine.
        files: The compose files, first one first.
        settings: `SEEDSWEEP_...` variables, as `.env` would hold them.
    """

    def __init__(
        self, folder: Path, name: str, *, files: tuple[str, ...] = ("docker-compose.yml",), **settings: str
    ) -> None:
        self.folder = folder
        self.project = f"seedsweep-test-{os.getpid()}-{name}"
        self.image = f"seedsweep:test-{os.getpid()}"
        self.redis_port, self.flower_port, self.report_port = free_port(), free_port(), free_port()
        self._files = [part for file in files for part in ("--file", file)]
        self.environment = outside("SEEDSWEEP_", "CELERY_", "COMPOSE_") | {
            "SEEDSWEEP_IMAGE": self.image,
            "SEEDSWEEP_REDIS_PORT": str(self.redis_port),
            "SEEDSWEEP_FLOWER_PORT": str(self.flower_port),
            "SEEDSWEEP_REPORT_PORT": str(self.report_port),
            "SEEDSWEEP_LEASE_SECONDS": "6",
            "SEEDSWEEP_RESTORE_SECONDS": "1",
            **settings,
        }

    def run(self, *arguments: str, status: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `docker compose`, and check its exit status unless that is None."""
        command = ["docker", "compose", "--project-name", self.project, "--ansi", "never", *self._files, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment | environment, capture_output=True, text=True, timeout=1200,
            check=False,
        )  # fmt: skip
        if status is not None and done.returncode != status:
            logs = "" if arguments[0] == "logs" else self.run("logs", "--tail", "30", status=None).stdout
            raise AssertionError(
                f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}\n{logs}"
            )
        return done

    def up(self, workers: int, *arguments: str) -> None:
        """Start what is missing, and wait until all of it is healthy."""
        scale = f"worker={workers}"
        self.run("up", "--detach", "--no-build", "--wait", "--wait-timeout", "180", "--scale", scale, *arguments)

    def close(self) -> None:
        """Take everything down, and make sure that nothing is left."""
        self.run("--profile", "orchestrator", "down", "--volumes", "--timeout", "30")
        label = f"label=com.docker.compose.project={self.project}"
        for kind in (["ps", "--all"], ["volume", "ls"], ["network", "ls"]):
            assert docker(*kind, "--quiet", "--filter", label) == "", f"docker {kind[0]} still lists something"

    def containers(self, service: str) -> list[dict[str, Any]]:
        """Return the containers of a service as `docker compose ps` describes them."""
        lines = self.run("ps", "--all", "--format", "json", service).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def inspect(self, service: str) -> dict[str, Any]:
        """Return all that Docker knows of a service's first container."""
        found: dict[str, Any] = json.loads(docker("inspect", self.containers(service)[0]["ID"]))[0]
        return found

    def once(self, service: str, *arguments: str, status: int | None = 0, options: tuple[str, ...] = ()) -> str:
        """Run a command in a new container of a service, and return what it printed."""
        done = self.run("run", "--rm", "--no-TTY", *options, service, *arguments, status=status)
        return done.stdout if status == 0 else done.stdout + done.stderr

    def shown(self) -> dict[str, str]:
        """Return what `secrets show` tells a person: three addresses, and how to log in to Flower."""
        lines = self.once("secrets", "show").splitlines()
        shown = {line[:20].strip(): line[20:].strip() for line in lines if line.strip()}
        return shown | {"Flower's password": shown["Flower"].rsplit(" ", 1)[1]}
