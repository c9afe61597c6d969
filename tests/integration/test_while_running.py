"""What one asks before sweeps run: what would be trained, and how much that is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.connect import Place
from orchestrator.commands.forecast import tell_if_long
from orchestrator.running.session import Session
from tests.support.command_line import SMALL, CommandLine, small
from tests.support.in_process import InProcess
from tests.support.sweep_folders import BY_KEY, filled, made, row
from tests.support.sweeps import sweep_of
from worker.settings import load_settings


def asked(runs: InProcess | CommandLine, *words: str, **environment: str) -> dict[str, Any]:
    """Return the JSON that a command prints."""
    done = runs.run(*words, "--json", **environment)  # type: ignore[arg-type]
    printed: dict[str, Any] = json.loads(done.out if hasattr(done, "out") else done.stdout)
    return printed


def test_a_dry_run_says_what_would_be_trained_and_begins_nothing(here: InProcess) -> None:
    told = here.run("sweep", *SMALL, "--dry-run").out
    assert "2 configurations, 4 jobs: 0 kept, 0 reused and 4 to train; time and disk cannot be estimated" in told
    assert not here.runs.exists()
    here.command_line.finished("a", *SMALL)
    before = (here.runs / "a" / "sweep.json").read_bytes()
    # 200 times the jobs of twice the epochs
    told = asked(here, "sweep", *small(seeds="0-99", epochs="4"), "--workers", "1", "--dry-run")
    seconds = [row["epoch_seconds"] for row in here.command_line.rows("a")]
    mean = sum(map(sum, seconds)) / 8
    assert (told["jobs"], told["kept"], told["reused"], told["train"]) == (200, 0, 0, 200)
    assert told["seconds"] == pytest.approx(200 * 4 * mean, rel=0.5)
    size = sum(file.stat().st_size for file in (here.runs / "a" / "weights").iterdir()) / 4
    assert 200 * size < told["bytes"] < 210 * size
    assert asked(here, "sweep", *small(seeds="0-2"), "--keep-weights", "none", "--dry-run")["bytes"] < size
    assert asked(here, "sweep", *small(seeds="0-2"), "--no-reuse", "--dry-run")["reused"] == 0
    # Only the further epochs are trained.
    longer = asked(here, "extend", "a", "--epochs", "4", "--workers", "1", "--dry-run")
    assert (longer["jobs"], longer["kept"], longer["reused"], longer["train"]) == (8, 4, 0, 4)
    assert longer["seconds"] == pytest.approx(4 * 2 * mean, rel=0.5)
    confirmed = here.run("confirm", "a", "--top", "1", "--fresh", "3", "--dry-run").out
    assert confirmed.startswith("a: 2 configurations, 7 jobs: 4 kept, 0 reused and 3 to train; about ")
    two = sweep_of(seeds=(0, 1), learning_rates=(0.01, 0.03), epochs=1)
    filled(here.runs, two, lambda job: row(job, scores=(0.5 + job.seed / 10,)), name="b")
    decided = here.run("decide", "b", "--within", "0.0001", "--budget", "300", "--dry-run").out
    assert "at most 304 jobs: " in decided
    assert (here.runs / "a" / "sweep.json").read_bytes() == before
    assert sorted(path.name for path in here.runs.iterdir()) == ["a", "b"]


def test_much_to_train_is_said_before_it_begins(tmp_path: Path) -> None:
    folder, said = made(tmp_path), []
    session = Session(folder, folder.manifest(), dict(BY_KEY), Place(load_settings(), workers=1))
    tell_if_long(session, 200, said.append)
    assert said == []
    tell_if_long(session, 201, said.append)
    assert said[0].startswith("This is much: 201 jobs; time and disk cannot be estimated, because no such job")
