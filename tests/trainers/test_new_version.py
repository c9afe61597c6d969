"""Two versions of a trainer on one cluster: a job waits for a worker with its own, and rows of both never mix."""

from __future__ import annotations

from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.own_trainer import EXAMPLE_SOURCE, install_source

SOFTMAX = {"SEEDSWEEP_TRAINER": "softmax"}


def test_a_job_waits_for_a_worker_with_its_version(cluster: Cluster, command_line: CommandLine, tmp_path: Path) -> None:
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    for folder, version in ((old, "version = 1"), (new, "version = 2")):
        source = EXAMPLE_SOURCE.replace("version = 1", version)
        assert version in source
        install_source(Path(folder), "softmax", source, "SoftmaxTrainer")
    words = ("--name", "first", "--broker", cluster.server.url)
    grid = ("--trainer", "softmax", "--grid", "learning_rate=0.01,0.1", "--seeds", "0")
    # Given a worker with version 2, and a sweep that began with version 1
    newer = cluster.start_worker(PYTHONPATH=new, **SOFTMAX)
    sweep = command_line.start("sweep", *grid, *words, PYTHONPATH=old)
    newer.wait_until_logged("it needs the trainer softmax, version 1", times=2)
    # When a worker with version 1 is there
    older = cluster.start_worker(PYTHONPATH=old, **SOFTMAX)
    # Then that one trains all jobs, and none has failed
    told, _ = sweep.communicate(timeout=120)
    assert sweep.returncode == 0, told
    assert [(row["status"], row["worker"], row["attempts"]) for row in command_line.rows("first")] == [
        ("succeeded", older.name, 1)
    ] * 2
    # And an orchestrator with version 2 does not go on with the sweep, because its jobs are others
    refused = command_line.run("sweep", "--resume", *words, status=2, PYTHONPATH=new)
    assert "Version 1 of the trainer softmax trained the jobs of this sweep, to other bits" in refused.stderr
    # But trains its own sweeps
    command_line.run("sweep", *grid, "--name", "second", *words[2:], PYTHONPATH=new)
    assert [row["worker"] for row in command_line.rows("second")] == [newer.name] * 2
    assert not {row["job"] for row in command_line.rows("first")} & {row["job"] for row in command_line.rows("second")}
