"""Runs as many plans as `SEEDS` says, or the one of `SEED`, and sums them up at the end.

Several processes may share the runs (`make chaos` starts some): each run has a server and workers of its own, and
leaves its history under its seed, so that all are summed up together.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.arena.oracle import CleanRun, clean_run
from tests.chaos.arena.workload import KINDS, Kind
from tests.chaos.summary import REPORTS, never_struck, render, summarize_session
from tests.support import disks
from tests.support.own_trainer import install_example
from worker.trainers import registry

#: The name of the test that carries out a plan.
_RUN = "::test_a_sweep_survives["


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        one = os.environ.get("SEED")
        first = int(os.environ.get("FIRST_SEED", "0"))
        seeds = [int(one)] if one else range(first, first + int(os.environ.get("SEEDS", "20")))
        metafunc.parametrize("seed", seeds)


@pytest.fixture(scope="session")
def reports(testrun_uid: str) -> Path:
    """Where this session's histories go; the first of its processes removes those of the session before."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    with REPORTS.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        session = REPORTS / "session"
        if not session.exists() or session.read_text() != testrun_uid:
            shutil.rmtree(REPORTS)
            REPORTS.mkdir()
            session.write_text(testrun_uid)
    return REPORTS


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a long session in which some kind of fault never struck: its figures would say nothing of it."""
    if _has_run(session.config) and never_struck(summarize_session()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not _has_run(config):
        return
    summary = summarize_session()
    (REPORTS / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    terminalreporter.section("chaos")
    terminalreporter.write_line(render(summary))
    if missing := never_struck(summary):
        terminalreporter.write_line(f"FAILED: of {summary['runs']} runs, none was struck by: {', '.join(missing)}")
    terminalreporter.write_line(f"Histories: {REPORTS}. To repeat one run: SEED=17 make chaos")


def _has_run(config: pytest.Config) -> bool:
    """Return whether this process reports on runs: of several processes, the one that started the others."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or config.option.collectonly:
        return False
    return any(_RUN in getattr(report, "nodeid", "") for found in reporter.stats.values() for report in found)


@pytest.fixture(scope="session")
def example(cache_dir: Path) -> Iterator[None]:
    """The trainer of `examples/own_trainer/`, installed for this process and all that it starts."""
    folder = cache_dir / "own-trainer"
    with (cache_dir / "own-trainer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        install_example(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        registry._entries.cache_clear()
        yield


@pytest.fixture(scope="session")
def clean_runs(example: None, cache_dir: Path) -> dict[Kind, CleanRun]:
    """Every sweep, trained without a queue, by the first process that needs them."""
    with (cache_dir / "clean.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return {kind: clean_run(kind, cache_dir) for kind in KINDS}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that can be filled without harm."""
    with disks.small_disk(tmp_path / "small", 8) as made:
        yield made
