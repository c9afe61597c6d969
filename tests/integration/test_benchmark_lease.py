"""The benchmark of the lease runs, and compares every row with the first one of the same round."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.mark.slow(reason="runs a benchmark")
def test_the_benchmark_of_the_lease_compares_within_a_round(tmp_path: Path) -> None:
    figures_file = tmp_path / "lease.json"
    command = [sys.executable, "benchmarks/lease.py", "--rounds", "2", "--jobs", "1", "--epochs", "2", "--limit", "500"]
    run = subprocess.run(
        [*command, "--json", str(figures_file)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr

    first, *others = json.loads(figures_file.read_text())["rows"]
    assert first["percent_of_each_round"] == [0.0, 0.0]
    assert len(others) == 2
    for row in others:
        assert row["percent"] == pytest.approx(sum(row["percent_of_each_round"]) / 2)
        assert row["least"] <= row["percent"] <= row["most"]
