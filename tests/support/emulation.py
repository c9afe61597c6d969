"""Other CPUs, emulated by qemu: ARM64 with Debian's Python and the locked packages, and x86-64 without FMA."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import redis_server
from tests.support.paths import ROOT

#: The platforms of the wheels that Debian's ARM64 can run, newest first.
_WHEELS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
#: What the packages need besides Debian's smallest system.
_DEBIAN_PACKAGES = "python3,libstdc++6,libgomp1"


def require(*programs: str) -> None:
    """Skip the test if a program is not installed; in CI, fail it."""
    for program in programs:
        redis_server.require(shutil.which(program), f"{program} (Debian's qemu-user and debootstrap)")


class Arm64:
    """An emulated ARM64 machine with Python. It can fork, but not start programs.

    Args:
        folder: Where Debian and the packages are installed: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        require("qemu-aarch64", "debootstrap")
        self._root, self._packages = folder / "root", folder / "packages"
        self._install_debian()
        (self._python,) = (self._root / "usr/bin").glob("python3.??")
        self._install_packages()

    def run(self, *arguments: str, **environment: str) -> str:
        """Run Python, with our sources and the packages to import from, and return what it printed."""
        return _output(
            ["qemu-aarch64", "-L", str(self._root), str(self._python), *arguments],
            {"PYTHONPATH": f"{ROOT}:{self._packages}", **environment},
        )

    def _install_debian(self) -> None:
        suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
        options = ("--arch=arm64", "--variant=minbase", "--foreign", f"--include={_DEBIAN_PACKAGES}")
        _output(["debootstrap", *options, suite, str(self._root)])
        # Unpacked only: configuring the packages would start programs.
        for package in sorted((self._root / "var/cache/apt/archives").glob("*.deb")):
            _output(["dpkg-deb", "--extract", str(package), str(self._root)])

    def _install_packages(self) -> None:
        """Install every pinned package from a wheel: a package without one for ARM64, or without its hash, fails."""
        platforms = [word for name in _WHEELS for word in ("--platform", name)]
        options = (
            "--only-binary=:all:", "--no-deps", "--no-compile", "--require-hashes", "--quiet",
            "--disable-pip-version-check",
        )  # fmt: skip
        version = self._python.name.removeprefix("python")
        requirements = ("--requirement", str(ROOT / "requirements.txt"))
        _output([
            sys.executable, "-m", "pip", "install", *options, *platforms, "--python-version", version,
            "--target", str(self._packages), *requirements,
        ])  # fmt: skip


def _output(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | (environment or {}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (
        f"{command[0]} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    )
    return done.stdout
