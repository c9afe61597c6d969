"""What a start does not wait for: each of these Pythons loads no module that its work does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nn.datasets.mnist import load_mnist
from tests.support.paths import ROOT

OPTIONS = "nn.options.network, nn.options.values, nn.options.describe, orchestrator.sweeps.fields"


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        pytest.param("import nn.errors", {"numpy", "numba", "sklearn"}, id="errors"),
        pytest.param(f"import {OPTIONS}", {"numpy", "numba", "sklearn", "celery", "redis"}, id="options"),
        pytest.param(
            "import pathlib, nn.datasets.mnist; nn.datasets.mnist.load_mnist(cache_dir=pathlib.Path(sys.argv[1]))",
            {"sklearn", "scipy"},
            id="a prepared data set",
        ),
    ],
)
def test_it_is_not_imported(program: str, absent: set[str], cache_dir: Path) -> None:
    load_mnist(cache_dir=cache_dir)
    command = [sys.executable, "-c", f"import sys; {program}; print(*sys.modules)", str(cache_dir)]

    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()

    assert "nn" in loaded
    assert not absent & set(loaded)
