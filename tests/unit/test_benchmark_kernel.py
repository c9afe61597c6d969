"""The benchmark's command runs, and rows that do the same computation end at the same accuracy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.mark.slow(reason="runs a benchmark")
@pytest.mark.process
def test_the_kernels_benchmark_trains_the_same_network_in_every_row(tmp_path: Path) -> None:
    # When the benchmark is run for a moment
    figures_file = tmp_path / "kernel.json"
    command = [sys.executable, "benchmarks/kernel.py", "--samples", "300", "--rounds", "1", "--json", str(figures_file)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr

    # Then there is a row for everything that is installed, and a line for the rest
    figures = json.loads(figures_file.read_text())
    accuracy = {row["name"]: row["validation_accuracy"] for row in figures["rows"]}
    for name in [*accuracy, *figures["not_installed"]]:
        assert name in run.stdout

    # And backpropagation in the order of the rows gives the same network, whatever does it
    same = ("compiled, float32", "compiled, float64", "NumPy + BLAS ger, float32", "plain NumPy, float64")
    assert {round(accuracy[name], 3) for name in same} == {round(accuracy["plain NumPy, float32"], 3)}
    notebook = {accuracy[name] for name in accuracy if name.startswith("notebook's rule")}
    assert len(notebook) == 1
