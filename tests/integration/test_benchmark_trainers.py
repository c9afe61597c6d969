"""The benchmark of trainers runs: the same weights both ways, and a trainer that trains nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.mark.slow(reason="runs a benchmark")
def test_the_benchmark_of_trainers(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(cache_dir))
    words = ["--rounds", "3", "--limit", "500", "--sweeps", "1", "--jobs", "2", "4", "--json", str(tmp_path / "f.json")]

    run = subprocess.run(
        [sys.executable, "benchmarks/trainers.py", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["quartiles"][0] <= figures["ratio"] <= figures["quartiles"][1]
    assert len(figures["seconds"]) == 2
    assert "A job that trains nothing: " in run.stdout


def test_the_figures_are_those_within_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import trainers

    figures = trainers.summarize({"alone": [1.0, 2.0, 4.0], "through": [2.0, 3.0, 4.0]}, [0.001, 0.003, 0.002])

    assert figures["ratio"] == 1.5
    assert figures["job_of_nothing_ms"] == 2.0
