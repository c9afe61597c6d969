"""Where a trainer runs: the kind of CPU, and the versions of what it computes with."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@cache
def environment(packages: tuple[str, ...]) -> str:
    """Return one line that names the CPU, Python, and packages. Two that are alike should train to the same bits.

    Args:
        packages: The names of the distributions that matter.
    """
    versions = [f"{name} {_version(name)}" for name in packages]
    return ", ".join([_cpu(), f"Python {platform.python_version()}", *versions])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.processor() or 'an unknown CPU'} ({platform.machine()})"
