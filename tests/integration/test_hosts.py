"""Workers on several hosts, one of which is cut off while it trains."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.hosts import Hosts, HubServer
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess

#: Six jobs of a second or two.
SWEEP = ("--seeds", "0-2", "--learning-rates", "0.01,0.03", "--epochs", "20", "--limit", "20000")


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with contextlib.closing(Hosts("near", "far")) as made:
        yield made


@pytest.fixture
def server(hosts: Hosts, short_path: Path) -> Iterator[HubServer]:
    with HubServer(short_path, hosts) as made:
        yield made


@pytest.fixture
def cluster(hosts: Hosts, server: HubServer, tmp_path: Path, cache_dir: Path) -> Iterator[Cluster]:
    """A worker on each host but the hub."""
    made = Cluster(server, tmp_path, cache_dir, broker_url=server.socket_url, socket_seconds=3.0)
    with contextlib.closing(made):
        for name in hosts.names:
            environment = made.environment | {"CELERY_BROKER_URL": server.url_from(name)}
            made.workers.append(WorkerProcess(name, tmp_path, environment, prefix=hosts.prefix(name)))
        for worker in made.workers:
            worker.wait_until_ready()
        yield made


def running(cluster: Cluster) -> dict[str, list[str]]:
    """Return what each worker that reported within a lease trains."""
    stored = map(json.loads, cluster.server.client().hgetall("seedsweep:workers").values())
    now, lease = time.time(), cluster.settings.lease_seconds
    return {worker["name"]: worker["running"] for worker in stored if now - worker["beat"] < lease}


@pytest.mark.slow(reason="waits until leases of a host that was cut off end")
def test_a_host_that_is_cut_off_costs_nothing_but_time(
    hosts: Hosts, server: HubServer, cluster: Cluster, command_line: CommandLine
) -> None:
    # Given a sweep that both hosts have begun
    sweep = command_line.start("sweep", *SWEEP, "--name", "s", "--broker", server.socket_url)
    began = wait_for(lambda: all(found := running(cluster).values()) and len(found) == 2 and running(cluster), "both")
    [job] = began["far@test"]
    # When one host is cut off, and its job is given to the other
    hosts.cut("far")
    attempts = f"seedsweep:attempts:{job}"
    wait_for(lambda: server.client().hlen(attempts) == 2, "a second attempt at its job", report=cluster.logs)
    assert sweep.poll() is None
    # And the host comes back
    hosts.heal("far")
    output, _ = sweep.communicate(timeout=120)
    # Then the sweep is complete, and each job counted once
    assert sweep.returncode == 0, output
    rows = command_line.rows("s")
    assert len(rows) == len({row["job"] for row in rows}) == 6
    assert {row["status"] for row in rows} == {"succeeded"}
    # And its weights and leaderboard are those of a cluster that nothing happened to
    command_line.run("sweep", *SWEEP, "--name", "undisturbed", "--no-reuse")
    undisturbed = {row["job"]: row["weights_sha256"] for row in command_line.rows("undisturbed")}
    assert {row["job"]: row["weights_sha256"] for row in rows} == undisturbed
    boards = [(command_line.sweep(name) / "leaderboard.json").read_bytes() for name in ("s", "undisturbed")]
    assert boards[0] == boards[1]
    # And both hosts are at work again
    wait_for(lambda: set(running(cluster)) == {"near@test", "far@test"}, "both workers", report=cluster.logs)
    assert server.client().hlen("seedsweep:unacked") == 0
