"""Real processes are killed at random instants; what is left must be what a clean run leaves."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from tests.chaos.arena.oracle import CleanRun
from tests.chaos.arena.workload import Kind
from tests.chaos.checker.checker import check
from tests.chaos.checker.recovery import recoveries
from tests.chaos.history import History
from tests.chaos.plan import make_plan
from tests.chaos.runner import run

#: A run ends by itself after its bounds, unless the machine has no time for it.
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


def test_a_sweep_survives(
    seed: int,
    clean_runs: dict[Kind, CleanRun],
    reports: Path,
    short_path: Path,
    cache_dir: Path,
    request: pytest.FixtureRequest,
) -> None:
    plan = make_plan(seed)
    clean = clean_runs[plan.kind]
    history = History(reports / f"{seed}.jsonl")
    output = request.getfixturevalue("small_disk" if plan.has("fill the disk") else "tmp_path")

    seen = run(plan, clean, short_path, output, cache_dir, history)

    violations = check(seen, clean)
    for recovery in recoveries(seen.events, forgets=seen.lost_messages):
        history.add("recovery", **dataclasses.asdict(recovery))
    history.add(
        "checked",
        jobs=len(clean.jobs),
        attempts=sum(len(attempts) for attempts in seen.attempts.values()),
        submitted_again=seen.submitted_again,
        violations=[[violation.kind, violation.text] for violation in violations],
    )
    if violations:
        kept = reports / f"{seed}-logs"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        for log in short_path.glob("*.log"):
            shutil.copy(log, kept)
        told = "\n".join(f"{violation.kind}: {violation.text}" for violation in violations)
        pytest.fail(f"seed {seed} ({history.path}, logs in {kept}):\n{told}", pytrace=False)
