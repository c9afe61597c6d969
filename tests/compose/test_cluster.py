"""The cluster of docker-compose.yml, used as its user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.compose.conftest import Compose

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

SMALL = ("--seeds", "0-2", "--learning-rates", "0.01,0.1", "--epochs", "2", "--limit", "2000")


def hashes(sweep: dict[str, Any], folder: Path | None = None) -> dict[str, str]:
    """Return the weights' hash of every job, by job key."""
    assert sweep["accounting"]["failed"] == 0
    rows = (Path(folder or sweep["folder"]) / "results.jsonl").read_text().splitlines()
    return {row["job"]: row["weights_sha256"] for row in map(json.loads, rows)}


def host_sweep(*arguments: str, output: Path, broker: str | None = None) -> dict[str, Any]:
    """Run this host's own `orchestrator sweep`."""
    command = [str(Path(sys.executable).with_name("orchestrator")), "sweep", *arguments, "--output", str(output), "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CELERY_")}
    if broker:
        environment["CELERY_BROKER_URL"] = broker
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_every_service_is_healthy(compose: Compose) -> None:
    for service, count in {"redis": 1, "worker": 2, "flower": 1}.items():
        states = [(c["State"], c["Health"]) for c in compose.containers(service)]
        assert states == [("running", "healthy")] * count


def test_building_again_changes_nothing(compose: Compose) -> None:
    inspect = ["docker", "image", "inspect", "--format", "{{.Id}}", "seedsweep:latest"]
    before = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout
    compose.run("build")
    assert subprocess.run(inspect, capture_output=True, text=True, check=True).stdout == before


def test_a_sweep_from_inside_and_one_from_the_host_agree_with_the_embedded_cluster(
    compose: Compose, tmp_path: Path
) -> None:
    # When the same sweep runs from inside the cluster, from this host, and on the embedded cluster
    inside = compose.orchestrator("sweep", *SMALL, "--name", "inside")
    rows = compose.run("run", "--rm", "--no-TTY", "--entrypoint", "cat", "orchestrator", "/runs/runs/inside/results.jsonl")
    broker = compose.secrets()["orchestrator broker"]
    host = host_sweep(*SMALL, "--name", "host", "--no-reuse", output=tmp_path, broker=broker)
    embedded = host_sweep(*SMALL, "--name", "embedded", "--no-reuse", output=tmp_path)
    # Then every job has the same weights, and the leaderboards are the same bytes.
    assert inside["accounting"]["accepted"] == 6
    inside_hashes = {row["job"]: row["weights_sha256"] for row in map(json.loads, rows.stdout.splitlines())}
    assert inside_hashes == hashes(host) == hashes(embedded)
    assert (tmp_path / "host" / "leaderboard.json").read_bytes() == (tmp_path / "embedded" / "leaderboard.json").read_bytes()


def test_a_killed_worker_container_costs_nothing_but_time(compose: Compose, tmp_path: Path) -> None:
    # Given a sweep that two workers have begun
    arguments = ("--seeds", "10-15", "--learning-rates", "0.03", "--epochs", "40", "--limit", "20000")
    broker = compose.secrets()["orchestrator broker"]
    command = [str(Path(sys.executable).with_name("orchestrator")), "sweep", *arguments, "--name", "killed"]
    command += ["--output", str(tmp_path), "--broker", broker, "--json"]
    sweep = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    victim = compose.containers("worker")[0]["Name"]
    time.sleep(4)
    assert sweep.poll() is None, sweep.communicate()
    # When one of them is killed, and the cluster is scaled to four
    subprocess.run(["docker", "kill", victim], check=True, capture_output=True)
    compose.run("up", "--detach", "--wait", "--scale", "worker=4", "--no-recreate")
    out, err = sweep.communicate(timeout=300)
    # Then every job has one row, and the weights are those of an undisturbed run.
    assert sweep.returncode == 0, err
    assert len(compose.containers("worker")) == 4
    undisturbed = host_sweep(*arguments, "--name", "undisturbed", "--no-reuse", output=tmp_path)
    killed = json.loads(out)
    assert killed["accounting"]["accepted"] == 6
    assert hashes(killed) == hashes(undisturbed)
