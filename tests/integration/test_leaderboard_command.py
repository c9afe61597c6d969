"""`orchestrator leaderboard`: what it reads and what it prints."""

import csv
import io
import json
import re
import stat
from pathlib import Path

import pytest

from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.boards import ended, jobs_of
from tests.support.command_line import CommandLine, small
from tests.support.in_process import InProcess
from tests.support.known import known

SWEEP = small(seeds="0-2")


@pytest.fixture
def swept(here: InProcess, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """Three seeds and two learning rates, finished."""
    here.command_line.finished("a", *SWEEP)
    monkeypatch.setenv("COLUMNS", "120")
    return here


def content(folder: Path) -> dict[str, tuple[bytes, float]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime) for path in folder.iterdir() if path.is_file()}


def test_it_says_what_the_sweep_said_and_writes_nothing(command_line: CommandLine) -> None:
    command_line.finished("a", *SWEEP)
    folder = command_line.sweep("a")
    before = content(folder)
    # Nobody may write into the folder.
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        done = command_line.run("leaderboard", "a")
        by_path, as_json, as_csv = (
            command_line.run("leaderboard", *words).stdout for words in (("runs/a",), ("a", "--json"), ("a", "--csv"))
        )
    finally:
        folder.chmod(stat.S_IRWXU)

    # The verdict comes first, then what all have in common, then the table.
    verdict, common, *_ = done.stdout.splitlines()
    assert re.match(r"(Use|Undecided, seeds are too few to compare:) learning rate 0\.\d\d", verdict)
    assert common.startswith("In common: network 784-128-64-10, epochs 2, ")
    assert "rank   learning rate     n    mean" in done.stdout
    assert "jobs 6, accepted 6," in done.stdout
    assert (done.stderr, by_path) == ("", done.stdout)
    # JSON and CSV are those of the folder, which is as it was.
    board = json.loads(as_json)
    assert board == json.loads(before["leaderboard.json"][0])
    assert as_csv.encode() == before["leaderboard.csv"][0]
    assert content(folder) == before
    assert board["verdict"]["sentence"] == verdict
    # The answers of real jobs give an interval on new samples.
    for row in board["rows"]:
        assert row["low_new"] <= row["low"] < row["mean"] < row["high"] <= row["high_new"]


def test_rows_are_chosen_sorted_and_cut(swept: InProcess) -> None:
    def rows(*words: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(swept.run("leaderboard", "a", "--csv", *words).out)))

    # One of two configurations, about which there is nothing to choose
    (only,) = rows("--where", "learning_rate=0.03")
    assert (only["rank"], only["n"], "learning_rate" in only) == ("1", "3", False)
    assert len(rows("--where", "learning-rate=0.03", "--where", "learning_rate=0.01")) == 2
    assert [row["learning_rate"] for row in rows("--sort", "learning_rate")] == ["0.01", "0.03"]
    assert [row["rank"] for row in rows("--top", "1")] == ["1"]
    # The verdict of what is shown in part is the whole one.
    whole, cut = (swept.run("leaderboard", "a", *words).out.split("\n")[0] for words in ((), ("--top", "1")))
    assert whole == cut
    # Every job may have a row instead.
    told = swept.asked("leaderboard", "a", "--by", "job")["rows"]
    assert len(told) == 6
    assert told[0].keys() == {"rank", "options", "seed", "status", "score", "weights_sha256"}
    assert [row["seed"] for row in rows("--by", "job", "--top", "2")] == [str(row["seed"]) for row in told[:2]]
    # In Markdown it is one table.
    lines = swept.run("leaderboard", "a", "--markdown").out.splitlines()
    assert lines[0].startswith("**")
    assert sum(line.startswith("|") for line in lines) == 4
    # The metric can be that of other epochs.
    told = swept.run("leaderboard", "a", "--metric", "mean-2", "--wide").out
    assert "Validation accuracy averaged over the last 2 epochs, in %" in told
    assert "honest" in told


def test_a_sweep_that_runs_is_read_without_its_lock(swept: InProcess) -> None:
    # Given a sweep with five of its six rows, on which another process works
    folder, results = SweepFolder(swept.runs, "a"), swept.runs / "a" / "results.jsonl"
    (folder.path / "leaderboard.json").unlink()
    results.write_text("".join(results.read_text().splitlines(keepends=True)[:5]))

    with folder.exclusive():
        told = swept.run("leaderboard", "a").out

    assert told.splitlines()[0].endswith("Of 6 jobs, 1 has no result yet.")
    assert " 2/3 " in told
    assert not (folder.path / "leaderboard.json").exists()


def test_what_a_sweep_lacks_is_said(swept: InProcess) -> None:
    results = swept.runs / "a" / "results.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("")
    assert swept.run("leaderboard", "a", status=1).out.startswith("No job has a result. Of 6 jobs, 6 have no result ye")
    # A torn line, garbage, a row of another sweep, and one whose score has another job's options count as missing.
    foreign = known(ended(next(iter(jobs_of(1, 0.5).values())), 0.99)).line()
    swapped = lines[2].replace("0.01", "0.03")
    results.write_text(foreign + "\0\xff{]\n" + "".join(lines[:2]) + swapped + lines[3][:99])
    assert "Of 6 jobs, 4 have no result yet." in swept.run("leaderboard", "a").out.splitlines()[0]
