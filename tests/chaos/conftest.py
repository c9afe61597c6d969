"""Runs as many plans as `SEEDS` says, or the one of `SEED`, and sums them up at the end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.arena.oracle import SWEEPS, CleanRun, clean_run
from tests.chaos.summary import REPORTS, render, summarize_session
from tests.support.redis_server import require

_SUMMARIZE = pytest.StashKey[bool]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        one = os.environ.get("SEED")
        first = int(os.environ.get("FIRST_SEED", "0"))
        seeds = [int(one)] if one else range(first, first + int(os.environ.get("SEEDS", "20")))
        metafunc.parametrize("seed", seeds)


@pytest.fixture(scope="session")
def reports(pytestconfig: pytest.Config) -> Path:
    """Where this session's histories go; the session before is forgotten."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    pytestconfig.stash[_SUMMARIZE] = True
    return REPORTS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash.get(_SUMMARIZE, False):
        summary = summarize_session()
        (REPORTS / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        terminalreporter.section("chaos")
        terminalreporter.write_line(render(summary))
        terminalreporter.write_line(f"Histories: {REPORTS}. To repeat one run: SEED=17 make chaos")


@pytest.fixture(scope="session")
def clean_runs(cache_dir: Path) -> dict[bool, CleanRun]:
    """Both sweeps, trained in this process alone."""
    return {shuffled: clean_run(specification, cache_dir) for shuffled, specification in SWEEPS.items()}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that can be filled without harm."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], check=False).returncode
    )
    require(mounted, "the right to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
