"""`orchestrator leaderboard`: what it reads, what it prints, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.main import run
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.boards import ended, jobs_of
from tests.support.command_line import CommandLine, small
from tests.support.known import known

SWEEP = small(seeds="0-2")


@pytest.fixture
def swept(command_line: CommandLine) -> CommandLine:
    """Three seeds and two learning rates, finished."""
    command_line.finished("a", *SWEEP)
    return command_line


#: Runs `orchestrator leaderboard` with these words in this process, and returns what it prints.
Asked = Callable[..., str]


@pytest.fixture
def asked(swept: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asked:
    monkeypatch.chdir(swept.folder)
    monkeypatch.setenv("COLUMNS", "120")

    def ask(*words: str, status: int = 0) -> str:
        assert run(["leaderboard", *words]) == status
        printed, complained = capsys.readouterr()
        assert "" in (printed, complained)
        return printed or complained

    return ask


def content(folder: Path) -> dict[str, tuple[bytes, float]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime) for path in folder.iterdir() if path.is_file()}


def test_it_says_what_the_sweep_said_and_writes_nothing(swept: CommandLine) -> None:
    before = content(swept.sweep("a"))
    # Nobody may write into the folder.
    swept.sweep("a").chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        done = swept.run("leaderboard", "a")
        by_path = swept.run("leaderboard", "runs/a")
        as_json = swept.run("leaderboard", "a", "--json")
        as_csv = swept.run("leaderboard", "a", "--csv")
    finally:
        swept.sweep("a").chmod(stat.S_IRWXU)

    # The verdict comes first, then what all have in common, then the table.
    verdict, common, *_ = done.stdout.splitlines()
    assert re.match(r"Use learning rate 0\.\d\d: it beats|Undecided: learning rate 0\.\d\d ranks first", verdict)
    assert common.startswith("In common: network 784-128-64-10, epochs 2, ")
    assert "rank   learning rate     n    mean" in done.stdout
    assert "jobs 6, accepted 6," in done.stdout
    assert (done.stderr, by_path.stdout) == ("", done.stdout)
    # JSON and CSV are those of the folder, which is as it was.
    assert json.loads(as_json.stdout) == json.loads(before["leaderboard.json"][0])
    assert as_csv.stdout.encode() == before["leaderboard.csv"][0]
    assert content(swept.sweep("a")) == before
    assert json.loads(as_json.stdout)["verdict"]["sentence"] == verdict
    # So does the function.
    result = Sweep.read(SweepFolder(swept.folder / "runs", "a"))
    assert (result.name, result.leaderboard.verdict.sentence, result.accounting.accepted) == ("a", verdict, 6)


def test_the_answers_of_real_jobs_give_an_interval_on_new_samples(swept: CommandLine) -> None:
    for row in json.loads((swept.sweep("a") / "leaderboard.json").read_text())["rows"]:
        assert row["low_new"] <= row["low"] < row["mean"] < row["high"] <= row["high_new"]


def test_rows_are_chosen_sorted_and_cut(asked: Asked) -> None:
    def rows(*words: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(asked("a", "--csv", *words))))

    # One of two configurations, about which there is nothing to choose
    (only,) = rows("--where", "learning_rate=0.03")
    assert (only["rank"], only["n"], "learning_rate" in only) == ("1", "3", False)
    assert len(rows("--where", "learning-rate=0.03", "--where", "learning_rate=0.01")) == 2
    assert [row["n"] for row in rows("--where", "seed=1", "--where", "seed=2")] == ["2", "2"]
    assert [row["learning_rate"] for row in rows("--sort", "learning_rate")] == ["0.01", "0.03"]
    assert [row["rank"] for row in rows("--top", "1")] == ["1"]
    # The verdict of what is shown in part is the whole one.
    whole, cut = (asked("a", *words).split("\n")[0] for words in ((), ("--top", "1")))
    assert whole == cut
    # In Markdown it is one table.
    lines = asked("a", "--markdown").splitlines()
    assert lines[0].startswith("**")
    assert sum(line.startswith("|") for line in lines) == 4


def test_every_job_has_a_row(asked: Asked) -> None:
    told = json.loads(asked("a", "--by", "job", "--json"))["rows"]
    scores = [row["score"] for row in told]
    assert (len(told), scores) == (6, sorted(scores, reverse=True))
    assert told[0].keys() == {"rank", "options", "seed", "status", "score", "weights_sha256"}
    assert "owes its place to its seed" in asked("a", "--by", "job", "--top", "2")
    assert len(asked("a", "--by", "job", "--csv", "--top", "2").splitlines()) == 3


def test_the_metric_can_be_that_of_other_epochs(asked: Asked) -> None:
    told = asked("a", "--metric", "mean-2", "--wide")
    assert "Validation accuracy averaged over the last 2 epochs, in %" in told
    assert "honest" in told


def test_a_sweep_that_runs_is_read_without_its_lock(swept: CommandLine) -> None:
    # Given a sweep with five of its six rows, on which another process works
    swept_folder, results = SweepFolder(swept.folder / "runs", "a"), swept.sweep("a") / "results.jsonl"
    (swept.sweep("a") / "leaderboard.json").unlink()
    results.write_text("".join(results.read_text().splitlines(keepends=True)[:5]))

    with swept_folder.exclusive():
        done = swept.run("leaderboard", "a")

    assert done.stdout.splitlines()[0].endswith("Of 6 jobs, 1 has no result yet.")
    assert " 2/3 " in done.stdout
    assert not (swept.sweep("a") / "leaderboard.json").exists()


def test_a_sweep_that_was_cancelled_or_has_nothing_is_said_plainly(swept: CommandLine, asked: Asked) -> None:
    results = swept.sweep("a") / "results.jsonl"
    jobs = SweepFolder(swept.folder / "runs", "a").manifest().jobs_by_key()
    for outcome, sentence in (
        (None, "No job has a result. Of 6 jobs, 6 have no result yet."),
        ("cancelled", "No job has a result. Of 6 jobs, 6 were cancelled."),
        ("diverged", "All jobs that have a result diverged: no configuration can be recommended."),
    ):
        rows = [ended(job, outcome) for job in jobs.values()]
        results.write_text("".join(row.line() for row in rows if row is not None))
        assert asked("a", status=1).splitlines()[0] == sentence


def test_damaged_and_foreign_rows_count_as_missing(swept: CommandLine, asked: Asked) -> None:
    results = swept.sweep("a") / "results.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    foreign = known(ended(next(iter(jobs_of(1, 0.5).values())), 0.99))
    # A torn line, garbage, a row of another sweep, and one whose score has another job's options
    results.write_text(
        foreign.line() + "\0\xff{]\n" + "".join(lines[:2]) + lines[2].replace("0.01", "0.03") + lines[3][:99]
    )
    assert "Of 6 jobs, 4 have no result yet." in asked("a").splitlines()[0]


#: Words after `leaderboard`, and the sentence.
BAD = {
    "none": "There is no sweep 'none': neither a sweep folder nor a name in runs",
    "a --output=": "--output is ''; allowed: the path of a folder",
    "a --metric loss": "--metric is 'loss'; allowed: last, best, or mean-K with K from 1 to 100000 epochs",
    "a --metric mean-3": "--metric is 'mean-3'; allowed: at most mean-2: a job of the sweep has 2 epochs",
    "a --by seed": "--by is 'seed'; allowed: configuration or job",
    "a --sort speed": "--sort is 'speed'; allowed: one of rank, n, mean, p_best, diverged, failed, cancelled, std, or "
    "an option that varies (learning_rate)",
    "a --top 0": "--top is '0'; allowed: an integer from 1 to 100000",
    "a --top 1_0": "--top is '1_0'; allowed: an integer from 1 to 100000",
    "a --csv --json": "--json is given; allowed: nothing together with --csv",
    "a --by job --sort n": "--sort is 'n'; allowed: nothing together with --by job, which sorts by the score",
    "a --json --wide": "--wide is given; allowed: a table of configurations: the others have all columns",
    "a --where learning_rate=0.5": "--where is 'learning_rate=0.5'; allowed: learning_rate=0.01 or 0.03, as in the "
    "sweep a",
    "a --where colour=1": "--where is 'colour=1'; allowed: NAME=VALUE, where NAME is what varies in the sweep a: seed "
    "or learning_rate",
    "a --where learning_rate=0.01 --where 0:0.03": "--where is 'learning_rate=0.01 0:0.03'; allowed: words that fit a "
    "job of the sweep a together; each fits some",
}


def test_bad_input_is_one_sentence(swept: CommandLine, asked: Asked) -> None:
    for words, sentence in BAD.items():
        assert asked(*words.split(), status=2) == f"orchestrator: {sentence}\n"
    # So are folders that hold no sweep.
    (swept.folder / "runs" / "empty").mkdir()
    assert "There is no sweep 'empty'" in asked("empty", status=2)
    (swept.sweep("a") / "sweep.json").write_text('{"name": "a"}')
    assert "does not describe a sweep" in asked("a", status=2)
    if os.getuid():
        (swept.sweep("a") / "sweep.json").chmod(0)
        assert "cannot be read" in asked("a", status=2)


def test_scipy_is_imported_when_it_is_needed() -> None:
    rooms = ["intervals", "images", "pairs", "comparison", "best", "honest", "race"]
    imports = "; ".join(f"import orchestrator.analysis.statistics.{room}" for room in rooms)
    code = f"import sys; {imports}; print('scipy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
