"""The benchmark of the report runs: sizes, times, and what the extras bring."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.mark.slow(reason="runs a benchmark")
def test_the_benchmark_of_the_report(tmp_path: Path) -> None:
    words = ["--rounds", "1", "--largest", "20", "--json", str(tmp_path / "f.json")]

    run = subprocess.run(
        [sys.executable, "benchmarks/report.py", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
    figures = json.loads((tmp_path / "f.json").read_text())
    assert list(figures) == ["20", "extras"]
    assert figures["20"]["bytes"] > 10_000
    assert figures["20"]["making"]["ratio"] > 1
    if shutil.which("chromium"):
        assert figures["20"]["showing"]["paint_ms"] > 0
    assert "    20 jobs " in run.stdout


def test_an_extra_brings_what_seedsweep_does_not_need_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import report_packages

    found = report_packages.brought("report")

    pinned = [
        {line.partition("==")[0] for line in (ROOT / name).read_text().splitlines() if "==" in line}
        for name in ("requirements.txt", "requirements-report.txt")
    ]
    assert found is not None
    assert set(found) == pinned[1] - pinned[0]
    assert all(size > 10_000 for size in found.values())
    assert report_packages.brought("parquet").keys() == {"pyarrow"}
    monkeypatch.setattr(report_packages, "_bytes", lambda _: report_packages.distribution("no-such-package"))
    assert report_packages.brought("report") is None
