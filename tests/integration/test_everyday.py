"""What one does with sweeps every day: list, name, note, rename and remove them, and see what runs."""

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

import seedsweep
from orchestrator.analysis.summary import summary
from orchestrator.analysis.sweep import Sweep
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import Sweeps
from orchestrator.live.pages import Pages
from tests.support.command_line import CommandLine, small
from tests.support.in_process import InProcess
from tests.support.sweep_folders import JOBS, made, row

SWEEP = small(seeds="0-2")


@pytest.fixture
def swept(here: InProcess, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """A finished sweep `first` of six jobs, which changed last, and `second`, of which one of two jobs has ended."""
    made(here.runs, "second").append(row(JOBS[0]))
    here.command_line.finished("first", *SWEEP)
    (here.runs / "first" / "leaderboard.json").touch()
    monkeypatch.setenv("COLUMNS", "120")
    return here


def test_the_list_says_how_each_sweep_stands(swept: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = swept.run("list").out.splitlines()
    first, second = (line.split() for line in lines[3:5])
    assert (first[0], first[3:6], second[0], second[3:6]) == (
        "first", ["UTC", "finished", "6/6"], "second", ["UTC", "interrupted", "1/2"]
    )  # fmt: skip
    assert datetime.fromisoformat(" ".join(first[1:3])).date() == datetime.now(UTC).date()
    listed = swept.asked("list")["sweeps"]
    assert [each["name"] for each in listed] == ["first", "second"]
    assert listed[0]["sentence"] == swept.command_line.board("first")["verdict"]["sentence"]
    assert listed[0]["size"] == sum(file.stat().st_size for file in (swept.runs / "first").rglob("*") if file.is_file())
    assert [each.name for each in seedsweep.summaries(swept.runs)] == ["first", "second"]
    assert swept.run("list", "--output", "none").out == "There is no sweep in none yet\n"
    assert swept.run("status", "--output", "x" * 300).out == "No sweep runs\n"
    # No row of a sweep that has ended is read.
    told = summary(swept.runs / "first")
    monkeypatch.setattr(Sweep, "read", None)
    assert summary(swept.runs / "first") == told


def test_a_list_reads_the_rows_of_a_sweep_that_goes_on(swept: InProcess) -> None:
    results = Path(swept.runs / "first" / "results.jsonl")
    results.write_text("".join(results.read_text().splitlines(keepends=True)[:4]))
    assert (summary(swept.runs / "first").done, summary(swept.runs / "first").state) == (4, "interrupted")


def test_a_sweep_is_named_by_name_path_or_last_or_not_at_all(swept: InProcess, tmp_path: Path) -> None:
    job = ("seed=0", "learning_rate=0.03")
    told = swept.run("show", "first", *job).out
    for name in ("runs/first", "./runs/first/", str(swept.runs / "first"), "last"):
        assert swept.run("show", name, *job).out == told
    for words in (job, ("last", "--output", str(swept.runs), *job)):
        assert swept.run("show", *words).out == told
    # The best job, in another folder
    away = swept.runs.rename(tmp_path / "away")
    best = swept.run("show", "--output", str(away)).out
    assert best.startswith("job ") and "of first: " in best  # noqa: PT018
    assert best.splitlines()[0].split()[1] in swept.run("show", "away/first", "--json").out
    weights = Path(swept.run("weights", "--output", str(away)).out.strip())
    assert weights.stem in swept.run("show", "away/first", "--json").out
    assert swept.refused("extend", "away/first", "--seeds", "0").startswith("--seeds is '0'; allowed: seeds that")
    assert swept.refused("verify", "away/second", "seed=9").startswith("the job is 'seed=9'")
    assert seedsweep.open(output=away).name == "first"


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("leaderboard frist", "neither a sweep folder nor a name in runs (did you mean first?)"),
        ("extend runs/secnd --seeds 2", "nor a name in runs (did you mean second?)"),
        ("lederboard first", "No such command: lederboard (did you mean leaderboard?)"),
        ("fly", "No such command: fly (orchestrator --help lists them)"),
    ],
)
def test_near_names_are_offered(swept: InProcess, words: str, end: str) -> None:
    assert swept.refused(*words.split()).endswith(f"{end}\n")


def test_a_note_is_shown_wherever_the_sweep_is(swept: InProcess) -> None:
    said = swept.run("note", "second", "Does <b> help?").out
    assert said == "The note of runs/second is now: Does <b> help?\n"
    lines = swept.run("list").out.splitlines()
    assert next(line for line in lines if "second" in line).endswith("Does <b> help?")
    # The order is that of the last changes of results.
    assert swept.asked("note", "first", "why") == {"name": "first", "note": "why"}
    listed = swept.asked("list")["sweeps"]
    assert [(each["name"], each["note"]) for each in listed] == [("first", "why"), ("second", "Does <b> help?")]
    assert "Does &lt;b&gt; help?" in swept.page("second")
    index = Pages(Sweeps(swept.runs)).index(listed, 0, partial=False)
    assert "Does &lt;b&gt; help?" in gzip.decompress(index.body).decode()
    version = Sweeps(swept.runs).versions("first")
    assert swept.run("note", "first", "").out == "runs/first has no note any more\n"
    assert not (swept.runs / "first" / "note.txt").exists()
    assert Sweeps(swept.runs).versions("first") != version
    version = Sweeps(swept.runs).versions("first")
    os.utime(swept.runs / "first" / "weights")
    assert Sweeps(swept.runs).versions("first") != version
    said = "TEXT is 'a\\nb'; allowed: one line of at most 500 characters\n"
    assert swept.refused("note", "first", "a\nb") == said
    assert swept.refused("note", "first", "a" * 501).startswith("TEXT is one of 501 characters; allowed: ")


def test_weights_are_pruned_and_trained_again(swept: InProcess) -> None:
    board, files = swept.run("leaderboard", "first").out, (swept.runs / "first" / "weights").glob
    # Weights of a job without a row: it may be withdrawn or damaged.
    other = swept.runs / "first" / "weights" / f"{'0' * 64}.safetensors"
    other.write_bytes(bytes(8))
    sizes = {file.stem: file.stat().st_size for file in files("*")}
    pruned = swept.asked("prune", "first", "--keep-weights", "best:1")
    freed = sum(sizes.values()) - sum(file.stat().st_size for file in files("*"))
    assert (pruned["bytes"], pruned["bytes_of_others"], len(sizes)) == (freed, 8, 7)
    # The best of each configuration stay, and a session goes on without the others.
    assert len(list(files("*"))) == 3
    best = swept.run("weights", "first").out.strip()
    assert "jobs 6, accepted 6" in swept.run("sweep", "--resume", "--name", "first").out
    told = swept.run("prune", "first", "--keep-weights", "none").out
    assert told.endswith(" keeps none from now on, and 0 kB that no row of its jobs names, as after undo\n")
    assert (swept.run("leaderboard", "first").out, list(files("*"))) == (board, [other])
    assert swept.run("weights", "first").out.strip() == best == swept.asked("weights", "first")["path"]


def test_a_renamed_sweep_has_its_new_name_everywhere(swept: InProcess) -> None:
    swept.page("first")
    assert swept.refused("mv", "first", "second") == "NEW is 'second'; allowed: a name that nothing in runs has\n"
    assert swept.refused("mv", "first", "../up").startswith("NEW is '../up'; allowed: up to 100 letters")
    assert swept.asked("mv", "first", "other") == {"name": "other", "folder": "runs/other"}
    assert sorted(path.name for path in swept.runs.iterdir()) == ["other", "second"]
    assert "other" in swept.run("list").out
    assert " of other: " in swept.run("show", "other").out
    assert swept.asked("leaderboard", "other")
    assert "<bdi>other</bdi>" in (swept.runs / "other" / "report.html").read_text()
    assert "as the sweep other began" in swept.refused("sweep", "--resume", "--name", "other", "--epochs", "9")
    # It goes on as before.
    swept.run("extend", "other", "--seeds", "3", "--workers", "1")
    again = seedsweep.open("other").rename("again")
    assert (again.name, again.accounting.accepted) == ("again", 8)


def test_a_sweep_is_removed_whole_or_not_at_all(swept: InProcess) -> None:
    assert swept.refused("rm", "first") == "--yes is missing; allowed: --yes, because there is no terminal to ask\n"
    with SweepFolder(swept.runs, "second").exclusive():
        said = swept.refused("rm", "second", "--yes")
        assert said.startswith("Another process is running the sweep second in runs/second: process ")
        others = ("mv second third", "rm first second", "extend second --seeds 9", "confirm second")
        assert {swept.refused(*each.split()) for each in others} == {said}
    kept = "Nothing is removed of first and second"
    for answer, status, told in (("\n", 1, kept), ("\4", 1, kept), ("y\n", 0, "Removed runs/second")):
        assert (swept.runs / "first").is_dir()
        terminal = swept.command_line.on_terminal("rm", "runs/first", "second", columns=200)
        assert "Remove runs/first (" in terminal.read_until("[y/N]")
        terminal.type(answer)
        assert told in terminal.read_to_end()
        assert terminal.process.wait() == status
    assert list(swept.runs.iterdir()) == []
    for name in ("a", "b"):
        made(swept.runs, name)
    assert swept.asked("rm", "a", "runs/b", "--yes") == {"removed": ["runs/a", "runs/b"]}


def test_a_sweep_whose_folder_is_removed_ends_with_the_truth(command_line: CommandLine) -> None:
    running = command_line.begin(*small(epochs="60", seeds="0-9"), "--workers", "1", name="gone")
    # At once: a row that is just written would keep `rmtree` from its end. Another sweep takes the name.
    command_line.sweep("gone").rename(command_line.folder / "away")
    other = made(command_line.folder / "runs", "gone")
    told = command_line.end(running, status=1).splitlines()
    assert told[-2:] == [
        "orchestrator: The folder runs/gone was moved or removed while the sweep ran",
        "Nothing is kept in runs/gone, which was removed or damaged meanwhile",
    ]
    assert not (other.path / "results.jsonl").exists()
