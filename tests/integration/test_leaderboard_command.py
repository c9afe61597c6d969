"""`orchestrator leaderboard`: what it reads, what it prints, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
from pathlib import Path

import pytest

from orchestrator.commands.answers.leaderboard import leaderboard
from orchestrator.folder.results_log import ResultsLog
from orchestrator.folder.sweep_folder import SweepFolder
from tests.support.boards import ended, jobs_of
from tests.support.command_line import CommandLine, small

SWEEP = small(seeds="0-2")


@pytest.fixture
def swept(command_line: CommandLine) -> CommandLine:
    """Three seeds and two learning rates, finished."""
    command_line.finished("a", *SWEEP)
    return command_line


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
    result = leaderboard(SweepFolder(swept.folder / "runs", "a"))
    assert (result.name, result.leaderboard.verdict.sentence, result.accounting.accepted) == ("a", verdict, 6)


def test_the_answers_of_real_jobs_give_an_interval_on_new_samples(swept: CommandLine) -> None:
    for row in json.loads((swept.sweep("a") / "leaderboard.json").read_text())["rows"]:
        assert row["low_new"] <= row["low"] < row["mean"] < row["high"] <= row["high_new"]


def test_rows_are_chosen_sorted_and_cut(swept: CommandLine) -> None:
    def rows(*words: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(swept.run("leaderboard", "a", "--csv", *words).stdout)))

    # One of two configurations, about which there is nothing to choose
    (only,) = rows("--where", "learning_rate=0.03")
    assert (only["rank"], only["n"], "learning_rate" in only) == ("1", "3", False)
    assert len(rows("--where", "learning-rate=0.03", "--where", "learning_rate=0.01")) == 2
    assert [row["n"] for row in rows("--where", "seed=1", "--where", "seed=2")] == ["2", "2"]
    assert [row["learning_rate"] for row in rows("--sort", "learning_rate")] == ["0.01", "0.03"]
    assert [row["rank"] for row in rows("--top", "1")] == ["1"]
    # The verdict of what is shown in part is the whole one.
    whole, cut = (swept.run("leaderboard", "a", *words).stdout.split("\n")[0] for words in ((), ("--top", "1")))
    assert whole == cut


def test_every_job_has_a_row(swept: CommandLine) -> None:
    told = json.loads(swept.run("leaderboard", "a", "--by", "job", "--json").stdout)["rows"]
    scores = [row["score"] for row in told]
    assert (len(told), scores) == (6, sorted(scores, reverse=True))
    assert told[0].keys() == {"rank", "options", "seed", "status", "score", "weights_sha256"}
    assert "owes its place to its seed" in swept.run("leaderboard", "a", "--by", "job", "--top", "2").stdout
    assert len(swept.run("leaderboard", "a", "--by", "job", "--csv", "--top", "2").stdout.splitlines()) == 3


def test_the_metric_can_be_that_of_other_epochs(swept: CommandLine) -> None:
    done = swept.run("leaderboard", "a", "--metric", "mean-2", "--wide")
    assert "Validation accuracy averaged over the last 2 epochs, in %" in done.stdout
    assert "honest" in done.stdout
    done = swept.run("leaderboard", "a", "--metric", "mean-3", status=2)
    assert done.stderr == (
        "orchestrator: --metric is 'mean-3'; allowed: at most mean-2: a job of the sweep has 2 epochs\n"
    )


def test_markdown_is_one_table(swept: CommandLine) -> None:
    lines = swept.run("leaderboard", "a", "--markdown").stdout.splitlines()
    assert lines[0].startswith("**")
    assert sum(line.startswith("|") for line in lines) == 4


def test_a_sweep_that_runs_is_read_without_its_lock(command_line: CommandLine) -> None:
    words = (
        "--seeds",
        "0",
        "--learning-rates",
        "0.01,0.03,0.05",
        "--epochs",
        "200",
        "--limit",
        "3000",
        "--workers",
        "1",
    )
    process = command_line.start("sweep", *words, "--name", "a")
    command_line.wait_for_rows("a", 1, process)

    done = command_line.run("leaderboard", "a")

    assert re.search(r"Of 3 jobs, [12] (has|have) no result yet\.", done.stdout.splitlines()[0])
    assert re.search(r" 0/1 ", done.stdout)
    assert not (command_line.sweep("a") / "leaderboard.json").exists()
    process.terminate()
    process.communicate(timeout=60)


def test_a_sweep_that_was_cancelled_or_has_nothing_is_said_plainly(swept: CommandLine) -> None:
    results = swept.sweep("a") / "results.jsonl"
    jobs = SweepFolder(swept.folder / "runs", "a").manifest().jobs_by_key()
    results.unlink()
    done = swept.run("leaderboard", "a", status=1)
    assert done.stdout.splitlines()[0] == "No job has a result. Of 6 jobs, 6 have no result yet."
    log = ResultsLog(results)
    for job in jobs.values():
        row = ended(job, "cancelled")
        assert row is not None
        log.append(row)
    done = swept.run("leaderboard", "a", status=1)
    assert done.stdout.splitlines()[0] == "No job has a result. Of 6 jobs, 6 were cancelled."
    results.unlink()
    for job in jobs.values():
        row = ended(job, "diverged")
        assert row is not None
        log.append(row)
    done = swept.run("leaderboard", "a", status=1)
    assert done.stdout.startswith("All jobs that have a result diverged: no configuration can be recommended.\n")


def test_damaged_and_foreign_rows_count_as_missing(swept: CommandLine) -> None:
    results = swept.sweep("a") / "results.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    foreign = ended(next(iter(jobs_of(1, 0.5).values())), 0.99)
    assert foreign is not None
    # A torn line, garbage, a row of another sweep, and one whose score has another job's options
    results.write_text(
        foreign.line() + "\0\xff{]\n" + "".join(lines[:2]) + lines[2].replace("0.01", "0.03") + lines[3][:99]
    )
    done = swept.run("leaderboard", "a")
    assert "Of 6 jobs, 4 have no result yet." in done.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("none", "There is no sweep 'none': neither a sweep folder nor a name in runs"),
        ("a --output=", "--output is ''; allowed: the path of a folder"),
        ("a --metric loss", "--metric is 'loss'; allowed: last, best, or mean-K with K from 1 to 100000 epochs"),
        ("a --by seed", "--by is 'seed'; allowed: configuration or job"),
        (
            "a --sort speed",
            "--sort is 'speed'; allowed: one of rank, n, mean, p_best, diverged, failed, cancelled, std, or an option "
            "that varies (learning_rate)",
        ),
        ("a --top 0", "--top is '0'; allowed: an integer from 1 to 100000"),
        ("a --top 1_0", "--top is '1_0'; allowed: an integer from 1 to 100000"),
        ("a --csv --json", "--json is given; allowed: nothing together with --csv"),
        ("a --by job --sort n", "--sort is 'n'; allowed: nothing together with --by job, which sorts by the score"),
        ("a --json --wide", "--wide is given; allowed: a table of configurations: the others have all columns"),
        (
            "a --where learning_rate=0.5",
            "--where is 'learning_rate=0.5'; allowed: learning_rate=0.01 or 0.03, as in the sweep a",
        ),
        (
            "a --where colour=1",
            "--where is 'colour=1'; allowed: NAME=VALUE, where NAME is what varies in the sweep a: seed or "
            "learning_rate",
        ),
        (
            "a --where learning_rate=0.01 --where 0:0.03",
            "--where is 'learning_rate=0.01 0:0.03'; allowed: words that fit a job of the sweep a together; each fits "
            "some",
        ),
    ],
)
def test_bad_input_is_one_sentence(swept: CommandLine, words: str, sentence: str) -> None:
    done = swept.run("leaderboard", *words.split(), status=2)
    assert (done.stdout, done.stderr) == ("", f"orchestrator: {sentence}\n")


def test_folders_that_are_no_sweep_are_refused(swept: CommandLine) -> None:
    (swept.folder / "runs" / "empty").mkdir()
    assert "There is no sweep 'empty'" in swept.run("leaderboard", "empty", status=2).stderr
    (swept.sweep("a") / "sweep.json").write_text('{"name": "a"}')
    assert "does not describe a sweep" in swept.run("leaderboard", "a", status=2).stderr
    if os.getuid():
        (swept.sweep("a") / "sweep.json").chmod(0)
        assert "cannot be read" in swept.run("leaderboard", "a", status=2).stderr
