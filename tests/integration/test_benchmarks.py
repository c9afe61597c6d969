"""The benchmarks run at their smallest size, and their figures add up."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from tests.support.paths import ROOT

Run = Callable[..., tuple[dict[str, Any], str]]
PARTS = ("training", "start: the command", "start: the cluster", "between jobs", "waiting at the end", "finish")


@pytest.fixture
def run(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a benchmark with these words; return its figures, and what it printed."""
    monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", str(cache_dir))

    def of(name: str, words: str) -> tuple[dict[str, Any], str]:
        command = [sys.executable, f"benchmarks/{name}.py", *words.split(), "--json", str(tmp_path / "figures.json")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / "figures.json").read_text()), done.stdout

    return of


@pytest.mark.slow(reason="runs a benchmark")
def test_the_kernels_benchmark_trains_the_same_network_in_every_row(run: Run) -> None:
    figures, printed = run("kernel", "--samples 300 --rounds 1")

    # There is a row for everything that is installed, and a line for the rest
    accuracy = {row["name"]: row["validation_accuracy"] for row in figures["rows"]}
    for name in [*accuracy, *figures["not_installed"]]:
        assert name in printed
    # And backpropagation in the order of the rows gives the same network, whatever does it
    same = ("compiled, float32", "compiled, float64", "NumPy + BLAS ger, float32", "plain NumPy, float64")
    assert {round(accuracy[name], 3) for name in same} == {round(accuracy["plain NumPy, float32"], 3)}
    assert len({accuracy[name] for name in accuracy if name.startswith("notebook's rule")}) == 1


@pytest.mark.slow(reason="runs a benchmark")
def test_the_shares_of_a_sweeps_time_add_up(run: Run) -> None:
    figures, printed = run("sweep", "--seeds 0-1 --epochs 2 --limit 1000 --starts 2")

    sweep = figures["sweep"]
    assert sum(sweep[part] for part in PARTS) == pytest.approx(sweep["cores"] * sweep["wall"])
    assert sweep["ratio"] == pytest.approx(sweep["cores"] * sweep["wall"] / sweep["training"])
    assert figures["help"]["ratio"] == figures["help"]["seconds"] / figures["help"]["bare_seconds"]
    assert all(part in printed for part in PARTS)


@pytest.mark.slow(reason="runs a benchmark")
def test_the_benchmark_of_trainers(run: Run) -> None:
    figures, printed = run("trainers", "--rounds 3 --limit 500 --sweeps 1 --jobs 2 4")

    assert figures["quartiles"][0] <= figures["ratio"] <= figures["quartiles"][1]
    assert len(figures["seconds"]) == 2
    assert "A job that trains nothing: " in printed


@pytest.mark.slow(reason="runs a benchmark")
def test_the_benchmark_of_other_tools_counts_every_point(run: Run) -> None:
    words = "--jobs 8 --nothing 10 --killed 8 --patience 60 --only seedsweep joblib ray"

    figures, printed = run("peers", words)

    for part, rows in figures.items():
        assert rows["ray"] == {"failed": "not installed"}
        assert rows["joblib"]["never"] == rows["seedsweep"]["never"] == 0, part
    # A killed process ends joblib's program; Seedsweep trains the point again, in the same command.
    assert (figures["worker"]["joblib"]["outcome"], figures["worker"]["seedsweep"]["outcome"]) == ("stops", "goes on")
    assert "| Ray Tune | not installed |" in printed


def test_the_share_of_the_noise_that_is_the_validation_sets_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from validation_noise import validation_noise

    # Two seeds, four images: the accuracies are 1 and 1/2, of variance 1/8. Two images differ between the seeds,
    # each with variance 1/2: their mean over four images is 1/4, of which a fourth is the accuracy's.
    found = validation_noise(np.array([[1, 1, 1, 1], [1, 1, 0, 0]], dtype=bool))
    assert found is not None
    assert (found.share, found.sd_seeds, found.sd_images) == pytest.approx((0.5, math.sqrt(1 / 8), 0.25))
    # The share's interval is that of the variance: scaled by quantiles of the chi-squared distribution.
    low, high = (scipy.stats.chi2.ppf(tail, 1) for tail in (0.025, 0.975))
    assert (found.interval.low, found.interval.high) == pytest.approx((0.5 * low, min(1, 0.5 * high)))
    # Accuracies that differ by less than the images' noise are all noise.
    found = validation_noise(np.array([[1, 1, 0, 0], [0, 0, 1, 0]], dtype=bool))
    assert found is not None
    assert found.share == 1
    # Without seeds or noise there is no share.
    assert [validation_noise(np.ones((n, 5), dtype=bool)) for n in (1, 3)] == [None, None]
    assert validation_noise() is None


@pytest.mark.slow(reason="runs a benchmark")
def test_the_benchmark_of_the_report(run: Run) -> None:
    figures, printed = run("report", "--rounds 1 --largest 20")
    assert list(figures) == ["20", "extras"]
    assert figures["20"]["bytes"] > 10_000
    assert figures["20"]["making"]["ratio"] > 1
    if shutil.which("chromium"):
        assert figures["20"]["showing"]["paint_ms"] > 0
    assert "    20 jobs " in printed
