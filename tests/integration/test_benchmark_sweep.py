"""The sweep's benchmark runs, and its shares add up to the whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PARTS = ("training", "start: the command", "start: the cluster", "between jobs", "waiting at the end", "finish")


@pytest.mark.slow(reason="runs a benchmark")
def test_the_shares_of_a_sweeps_time_add_up(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(cache_dir))
    figures_file = tmp_path / "sweep.json"
    small = ["--seeds", "0-1", "--epochs", "2", "--limit", "1000"]
    command = [sys.executable, "benchmarks/sweep.py", *small, "--starts", "2", "--json", str(figures_file)]

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    figures = json.loads(figures_file.read_text())
    sweep = figures["sweep"]
    assert sum(sweep[part] for part in PARTS) == pytest.approx(sweep["cores"] * sweep["wall"])
    assert sweep["ratio"] == pytest.approx(sweep["cores"] * sweep["wall"] / sweep["training"])
    assert figures["help"]["ratio"] == figures["help"]["seconds"] / figures["help"]["bare_seconds"]
    assert all(part in run.stdout for part in PARTS)


def test_a_sweep_worked_out_by_hand_is_split_as_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import sweep

    # The cluster begins at 1. One core trains from 2 to 5 and from 6 to 9, the other from 3 to 7; the end is at 10.
    figures = sweep.split([(2.0, 5.0), (6.0, 9.0), (3.0, 7.0)], cores=2, wall=10.0, begun=1.0)

    assert {part: figures[part] for part in PARTS} == {
        "training": 10.0,
        "start: the command": 2.0,
        "start: the cluster": 3.0,
        "between jobs": 1.0,
        "waiting at the end": 2.0,
        "finish": 2.0,
    }
    assert figures["ratio"] == 2.0
