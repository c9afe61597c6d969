"""The commands that a report shows: each is planned by the real command line, and gives the jobs of its row."""

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nn.errors import SeedsweepError, printable
from orchestrator.analysis.selection import pick
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli import sweep as command
from orchestrator.cli.main import run
from orchestrator.commands.sweep import SweepPlan
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.report.contents import reproduce
from tests.support.boards import trained


def planned(*words: str) -> SweepPlan:
    """Return the plan of `orchestrator sweep` with these words."""
    real, plans = command.make_plan, []

    def plan_only(*arguments: Any, **options: Any) -> SweepPlan:
        plans.append(real(*arguments, **options))
        raise SeedsweepError("It has its plan")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "make_plan", plan_only)
        assert run(["sweep", *words]) == 2
    assert plans, words
    return plans[0]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    monkeypatch.chdir(tmp_path)


def sweep_of(output: Path, *words: str) -> Sweep:
    """Return a sweep that was planned and not begun: its jobs have no results."""
    plan = planned(*words, "--name", "a")
    folder = SweepFolder(output, "a")
    with folder.exclusive(plan.manifest):
        return Sweep.read(folder)


def words_of(command: str) -> list[str]:
    words = shlex.split(command)
    assert words[0] == "orchestrator"
    return words[1:]


SWEEPS = {
    "learning rates": "--seeds 0-2 --learning-rates 0.003,0.1",
    "defaults that vary": "--seeds 3,1,7-8 --epochs 10,5 --learning-rates 1e-05 --no-shuffle --shuffle",
    "pairs": "--hidden 32,16 --hidden 64,32 --biases --limit 500 --test-size 50 --split seed",
    "drawn": "--sampler random --samples 4 --learning-rates log:0.001..0.1 --initial-scale 0.5,2",
    "words": "--loss cross_entropy,sum_of_squares --dtype float64 --initialization he,glorot_uniform",
    "none": "--limit none,700 --epochs 2",
    "sklearn": "--trainer sklearn --set estimator=SGDClassifier --grid alpha=0.0001,0.001 --set penalty=none",
}


@pytest.mark.parametrize("kind", SWEEPS)
def test_each_command_trains_the_jobs_of_its_row(kind: str, tmp_path: Path) -> None:
    snapshot = sweep_of(tmp_path / "runs", *SWEEPS[kind].split())

    rows = reproduce.configurations(snapshot)

    # Each configuration's command gives its jobs, and all commands together give every job once
    derived = [list(planned(*words_of(row.train or "")[1:]).jobs) for row in rows]
    assert sorted(key for keys in derived for key in keys) == sorted(snapshot.jobs)
    for row, keys, standing in zip(rows, derived, snapshot.leaderboard.standings, strict=True):
        assert "--no-reuse" in (row.train or "")
        assert sorted(snapshot.jobs[key].seed for key in keys) == sorted(entry.seed for entry in standing.jobs)
        for name, value in standing.options.items():
            assert {getattr(snapshot.jobs[key].options, name) for key in keys} == {value}
    # Each job's command gives that job
    singles = [list(planned(*words_of(job.train or "")[1:]).jobs) for job in reproduce.jobs(snapshot)[:2]]
    assert all(len(keys) == 1 and keys[0] in snapshot.jobs for keys in singles)


def test_the_words_of_verify_pick_the_jobs_of_their_row(tmp_path: Path) -> None:
    # Given a sweep whose jobs have results
    words = "--seeds 0-1 --learning-rates 0.1,0.1000001 --hidden 32,16 --hidden 16,8 --epochs 2"
    snapshot = sweep_of(tmp_path / "runs", *words.split())
    for job in snapshot.jobs.values():
        snapshot.folder.append(trained(job, 0.5))

    ended = Sweep.read(snapshot.folder)

    # Then the words of a configuration pick its jobs, and those of a job it alone
    rows = reproduce.configurations(ended)
    assert len(rows) == 4
    for row in rows:
        command, name, *picking, every = words_of(row.verify or "")
        assert (command, name, every) == ("verify", "a", "--all")
        assert sorted(pick("a", snapshot.jobs, picking)) == sorted(planned(*words_of(row.train or "")[1:]).jobs)
    for each in reproduce.jobs(ended):
        (key,) = pick("a", snapshot.jobs, words_of(each.verify or "")[2:])
        assert [key] == list(planned(*words_of(each.train or "")[1:]).jobs)


def test_jobs_of_another_version_get_no_command(tmp_path: Path) -> None:
    snapshot = sweep_of(tmp_path / "runs", "--seeds", "0", "--learning-rates", "0.1", "--dtype", "float64")
    before = {job.at(1).key: job.at(1) for job in snapshot.jobs.values()}

    earlier = replace(snapshot, jobs=before)

    assert [(row.train, row.verify) for row in reproduce.configurations(earlier)] == [(None, None)]
    assert reproduce.why_not(earlier).startswith("another version trained it")


def test_a_shell_reads_back_what_was_quoted() -> None:
    hostile = ["a b", "it's", "$(touch x)", "`x`", "\x1b[31m\n", "\u202eabc\\'", "<b>", "-x", "", "\U0001f600 é"]
    line = reproduce.shell("printf", "%s\\0", *hostile)

    read = subprocess.run(["bash", "-c", line], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}).stdout

    assert read.decode().split("\0")[:-1] == hostile
    assert printable(line) == line
