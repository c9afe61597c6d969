"""Workers on several hosts, one of which is cut off while it trains."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.cluster import Cluster
from tests.support.command_line import CommandLine
from tests.support.redis_server import RedisServer, require
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess

#: Six jobs of a second or two.
SWEEP = ("--seeds", "0-2", "--learning-rates", "0.01,0.03", "--epochs", "20", "--limit", "20000")


def ip(*arguments: str, check: bool = True) -> bool:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.returncode == 0


class Hosts:
    """A hub, and hosts that reach it and nothing else. Needs root; nothing of the machine's own network changes.

    Args:
        names: The hosts' names, a few letters each.
    """

    def __init__(self, *names: str) -> None:
        require(shutil.which("ip") and os.geteuid() == 0, "root with iproute2, for network namespaces")
        self.names = names
        self._tag = f"sw{os.getpid()}"
        require(ip("netns", "add", self._namespace("hub"), check=False), "the right to make network namespaces")
        self._in("hub", "link", "set", "lo", "up")
        for number, name in enumerate(names, start=1):
            ip("netns", "add", self._namespace(name))
            self._in(name, "link", "set", "lo", "up")
            ends = (f"to-{name}", "eth0")
            self._in(
                "hub", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1], "netns", self._namespace(name)
            )
            for host, end, last in (("hub", ends[0], 1), (name, ends[1], 2)):
                self._in(host, "address", "add", f"192.168.{number}.{last}/24", "dev", end)
                self._in(host, "link", "set", end, "up")

    def prefix(self, name: str) -> tuple[str, ...]:
        """Return what a command begins with that runs on a host."""
        return ("ip", "netns", "exec", self._namespace(name))

    def hub_address(self, name: str) -> str:
        """Return the address at which a host reaches the hub."""
        return f"192.168.{1 + self.names.index(name)}.1"

    def plug(self, name: str, state: str) -> None:
        """Pull a host's plug out of the hub ("down": packets are lost, and nobody is told), or put it back ("up")."""
        self._in("hub", "link", "set", f"to-{name}", state)

    def close(self) -> None:
        for name in ("hub", *self.names):
            ip("netns", "delete", self._namespace(name), check=False)

    def _namespace(self, name: str) -> str:
        return f"{self._tag}-{name}"

    def _in(self, name: str, *arguments: str) -> None:
        ip("-netns", self._namespace(name), *arguments)


class HubServer(RedisServer):
    """A server on the hub, for every host; the test reaches it through its unix socket."""

    def __init__(self, folder: Path, hosts: Hosts) -> None:
        options = {"bind": "0.0.0.0", "protected-mode": "no"}  # noqa: S104 - of the hub, which nothing else reaches
        super().__init__(folder, options=options, prefix=hosts.prefix("hub"))

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket))


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
            environment = made.environment | {"CELERY_BROKER_URL": f"redis://{hosts.hub_address(name)}:{server.port}/0"}
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
    hosts.plug("far", "down")
    attempts = f"seedsweep:attempts:{job}"
    wait_for(lambda: server.client().hlen(attempts) == 2, "a second attempt at its job", report=cluster.logs)
    assert sweep.poll() is None
    # And the host comes back
    hosts.plug("far", "up")
    # Then the sweep is complete, and each job counted once
    command_line.end(sweep)
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
