"""Outputs of every kind: few characters, a full disk, a reader that goes, a pipe; a sweep's folder on a full disk."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import OutputError
from tests.support import launcher
from tests.support.command_line import QUICK, SMALL, CommandLine, small
from tests.support.disks import fill, small_disk
from tests.support.sweep_folders import JOBS, made, row
from tests.support.terminal import plain


@pytest.mark.slow(reason="trains a sweep for each encoding")
def test_an_output_that_knows_few_characters_costs_no_result(command_line: CommandLine) -> None:
    # Given a folder whose name is no text, and an output for ASCII alone
    name = os.fsdecode(b"caf\xe9")
    for encoding in ("ascii", "utf-8"):
        done = command_line.run("sweep", *SMALL, "--output", name, "--name", encoding, PYTHONIOENCODING=encoding)
        assert f"Results: caf\\udce9/{encoding} (leaderboard.csv" in done.stdout
        done = command_line.run("show", f"{name}/{encoding}", "0:0.01", PYTHONIOENCODING=encoding)
        assert "Learning curve" in done.stdout
        done = command_line.run("show", name, "0:0.01", PYTHONIOENCODING=encoding, status=2)
        assert "There is no sweep 'caf\\udce9'" in done.stderr


@pytest.mark.slow(reason="starts a command for each way to lose an output")
def test_what_an_output_does_not_take_is_told_in_one_sentence(command_line: CommandLine) -> None:
    command_line.finished("a", *QUICK)
    for arguments in (
        ("show", "a", "7:0.03"), ("show", "a", "7:0.03", "--json"), ("sweep", "--help"), ("--version",),
        ("verify", "a", "--json"), ("sweep", "--resume", "--name", "a", "--json"),
    ):  # fmt: skip
        for encoding in ("utf-8", "ascii"):
            with Path("/dev/full").open("w") as full:
                done = subprocess.run(
                    command_line.command(*arguments), cwd=command_line.folder, stdout=full, stderr=subprocess.PIPE,
                    env=command_line.environment | {"PYTHONIOENCODING": encoding}, text=True, check=False,
                )  # fmt: skip
            last = done.stderr.splitlines()[-1]
            assert (done.returncode, last) == (
                1, "orchestrator: Standard output cannot be written: No space left on device",
            )  # fmt: skip
            assert "Traceback" not in done.stderr
            assert "Exception" not in done.stderr
    # What standard error does not take costs nothing.
    with Path("/dev/full").open("w") as full:
        again = subprocess.run(
            command_line.command("sweep", "--resume", "--name", "a", "--json"), cwd=command_line.folder, stderr=full,
            stdout=subprocess.PIPE, env=command_line.environment, check=True,
        )  # fmt: skip
    assert json.loads(again.stdout)["name"] == "a"
    assert command_line.nothing_is_left()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "a", "7:0.03", "--json"), ""),
        (("sweep", "--help"), ""),
        (
            ("sweep", *small(epochs="100"), "--name", "b"),
            r"\d of 4 jobs are kept in runs/b; go on with: orchestrator sweep --resume --name b\n",
        ),
    ],
    ids=["show", "help", "sweep"],
)
def test_a_command_whose_reader_goes_ends_without_a_word_but_how_to_go_on(
    command_line: CommandLine, arguments: tuple[str, ...], told: str
) -> None:
    command_line.finished("a", *QUICK)
    # Given a pipe that is closed at once, or, by the reader of a sweep, after its first byte
    process = launcher.Popen(
        command_line.command(*arguments), cwd=command_line.folder, env=command_line.environment,
        # What Python itself says at its end, only Python can show.
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, forks=bool(told),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    if told:
        process.stdout.read(1)
    process.stdout.close()
    assert re.fullmatch(told, process.stderr.read().decode())
    assert process.wait(timeout=30) == 141
    process.stderr.close()
    assert command_line.nothing_is_left()


def test_a_closed_output_is_no_error(command_line: CommandLine) -> None:
    command_line.finished("a", *QUICK)
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *command_line.command("leaderboard", "a", "--csv")]
    done = subprocess.run(closed, cwd=command_line.folder, env=command_line.environment, stderr=-1, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("command", "kept", "hidden"),
    [("leaderboard a", "interval", "n, P(best), regret"), ("list", "finished", "size, changed")],
)
def test_a_narrow_terminal_says_which_columns_it_leaves_out(
    command_line: CommandLine, command: str, kept: str, hidden: str
) -> None:
    command_line.finished("a", *small(seeds="0-4", learning_rates="0.03,0.031"))
    terminal = command_line.on_terminal(*command.split(), columns=50)
    shown = plain(terminal.read_to_end())
    told = re.search(r"Left out, because the terminal is narrow: ([^.]*)\.\s--json\shas", shown)
    assert told is not None, shown
    table, left_out = shown[: told.start()], " ".join(told[1].split()).split(", ")
    assert kept in table
    assert set(hidden.split(", ")) <= set(left_out)
    # No word is broken, and what explains a column is left out with it.
    assert not any(f" {each} " in table or f"\n{each}:" in table for each in left_out), table


@pytest.fixture
def disk(command_line: CommandLine) -> Iterator[Path]:
    """The folder `runs` on a disk of 1 MiB: enough for the weights of two jobs, 437 kB each, and not for three."""
    with small_disk(command_line.folder / "runs", 1) as made:
        yield made


def test_a_full_disk_ends_the_sweep_with_what_it_had(command_line: CommandLine, disk: Path) -> None:
    # When a sweep fills the disk
    done = command_line.run("sweep", *SMALL, "--name", "a", "--workers", "1", status=1)
    # Then it says so in one sentence, and how to go on,
    message, how_to_go_on = done.stderr.splitlines()
    assert message == "orchestrator: The output folder runs/a cannot be written: No space left on device"
    assert how_to_go_on == "2 of 4 jobs are kept in runs/a; go on with: orchestrator sweep --resume --name a"
    # the rows that it had are whole, with their weights, and nothing half written is there.
    rows = command_line.rows("a")
    assert sorted(path.name for path in (disk / "a").rglob("*") if path.is_file() and path.suffix != ".log") == sorted(
        ["sweep.json", "results.jsonl", *(f"{row['weights_sha256']}.safetensors" for row in rows)]
    )
    assert len(rows) == 2
    # When there is room again, the sweep goes on.
    subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
    done = command_line.run("sweep", "--resume", "--name", "a")
    assert "2 were finished in an earlier session of this sweep" in done.stdout
    assert "jobs 4, accepted 4, attempts 4" in done.stdout


def test_a_row_that_does_not_fit_leaves_no_part_of_it(disk: Path) -> None:
    # Given a folder with a row, whose disk was then filled to the last byte
    folder = made(disk, "a", JOBS[0])
    before = (folder.path / "results.jsonl").read_bytes()
    fill(disk / "filler")
    assert shutil.disk_usage(disk).free == 0
    # When a row is added that does not fit into what is left of the file's last block, then all is as it was.
    with pytest.raises(OutputError, match="No space left on device"):
        folder.append(row(JOBS[1]).model_copy(update={"error": "x" * 10_000}))
    assert (folder.path / "results.jsonl").read_bytes() == before
