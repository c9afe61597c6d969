"""From the folder alone: who trained each job and when, also after faults, and from which sources a sweep was made."""

import os
import socket
import subprocess
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.sweeps.provenance import PACKAGES, provenance
from tests.support.cluster import Cluster
from tests.support.command_line import SMALL, CommandLine, small
from tests.support.paths import ROOT


def history(row: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(record["cause"], record["worker"], record["end"]) for record in row.get("history", [])]


def times(row: dict[str, Any]) -> list[float]:
    return [record[name] for record in row["history"] for name in ("started", "ended")]


def test_each_row_has_its_attempt_with_its_times(command_line: CommandLine) -> None:
    before = time.time()
    command_line.run("sweep", *SMALL, "--name", "a")
    after = time.time()
    rows = command_line.rows("a")
    # One attempt each, of the embedded worker, which is on this machine
    assert [history(row) for row in rows] == [[("first run", row["worker"], "finished")] for row in rows]
    for row in rows:
        started, ended = times(row)
        assert before <= started <= ended <= after
        assert ended - started >= sum(row["epoch_seconds"])
    # A row that is reused has none of its own
    command_line.run("sweep", *SMALL, "--name", "b")
    assert [(row["reused_from"], row.get("history")) for row in command_line.rows("b")] == 4 * [("a", None)]


@pytest.mark.slow(reason="waits for a lease to end in the middle of a sweep")
def test_the_attempts_of_killed_processes_and_workers_have_causes_times_and_ends(
    command_line: CommandLine, cluster: Cluster
) -> None:
    # Given a sweep in whose first job the worker's process is killed, and then its worker, and then another one stops
    process = command_line.start("sweep", *small(seeds="0", epochs="150"), "--name", "a", **cluster.environment)
    first = cluster.start_worker()
    jobs = command_line.description("a")["jobs"]
    cluster.wait_for_state(jobs[0], "PROGRESS")
    first.children()[0].kill()
    first.wait_until_logged(f"[{jobs[0]}]: Attempt 2 (child lost)")
    first.kill()
    second = cluster.start_worker()
    second.wait_until_logged(f"[{jobs[0]}]: Attempt 3 (worker lost)")
    second.stop()
    cluster.start_worker()
    # Then the accounting counts the attempts by cause
    output = command_line.end(process)
    assert "accepted 2, attempts 5 (child lost 1, given back 1, worker lost 1), reused 0" in output
    # And the rows tell who made each, when, and how it ended
    rows = {row["job"]: row for row in command_line.rows("a")}
    assert history(rows[jobs[0]]) == [
        ("first run", "w1@test", "child lost"),
        ("child lost", "w1@test", "worker lost"),
        ("worker lost", "w2@test", "given back"),
        ("given back", "w3@test", "finished"),
    ]
    assert [(cause, end) for cause, _, end in history(rows[jobs[1]])] == [("first run", "finished")]
    for row in rows.values():
        assert times(row) == sorted(times(row))
    assert rows[jobs[0]]["attempts"] == 4
    # And so does the report, from the folder alone.
    command_line.run("report", "a")
    page = (command_line.sweep("a") / "report.html").read_text()
    section = page[page.index('id="accounting"') : page.index('id="model"')]
    assert 'id="chart-timeline"' in section
    for said in (
        "seed 0, learning rate 0.01: child lost after ",
        "seed 0, learning rate 0.01, attempt 2 (child lost): worker lost after ",
        "seed 0, learning rate 0.01, attempt 3 (worker lost): given back after ",
        "seed 0, learning rate 0.01, attempt 4 (given back): finished after ",
    ):
        assert said in section, said


def test_provenance_names_the_checkout_the_host_the_time_and_every_package() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    found = provenance()

    assert set(found.packages) == set(PACKAGES)
    assert all(found.packages.values())
    assert (found.host, found.pid) == (socket.gethostname(), os.getpid())
    assert found.created.endswith("+00:00")
    assert before <= datetime.fromisoformat(found.created) <= datetime.now(UTC)
    if not (ROOT / ".git").exists():
        pytest.skip("the tests run outside a checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.git_commit == head.stdout.strip()
    assert found.git_dirty is not None
