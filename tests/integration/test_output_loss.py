"""An output folder that can no longer be written in the middle of a sweep: one sentence, and nothing torn."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import OutputError
from tests.support.command_line import SMALL, CommandLine
from tests.support.disks import fill, small_disk
from tests.support.sweep_folders import JOBS, made, row


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
