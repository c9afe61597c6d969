"""A sweep goes on, or says why it cannot, when Redis restarts, forgets, fills up, or is hard to reach."""

import signal
from pathlib import Path

import pytest

from orchestrator.cluster.cluster import Cluster as ClusterView
from tests.support.cluster import SLOW_EPOCHS, Cluster
from tests.support.command_line import SMALL, CommandLine, command_line_in, small
from tests.support.output import Output
from tests.support.proxy import Proxy
from tests.support.waiting import wait_for

#: Four jobs that take half a second each, on a worker with slow epochs.
SLOW = small(epochs="5")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> bytes:
    """The leaderboard of the same sweep, run without any disturbance."""
    with command_line_in(tmp_path_factory.mktemp("clean"), cache_dir) as command_line:
        command_line.finished("clean", *SLOW)
        return (command_line.sweep("clean") / "leaderboard.json").read_bytes()


def assert_whole(command_line: CommandLine, name: str, clean: bytes) -> None:
    """Check that a sweep has one row for each of its four jobs, and the undisturbed run's leaderboard to the byte."""
    jobs = [row["job"] for row in command_line.rows(name)]
    assert len(jobs) == len(set(jobs)) == 4
    assert (command_line.sweep(name) / "leaderboard.json").read_bytes() == clean


@pytest.mark.persistent
def test_a_restart_with_persistence_costs_nothing(command_line: CommandLine, cluster: Cluster, clean: bytes) -> None:
    # Given a sweep in its middle, on a server that writes its data
    cluster.start_worker(*SLOW_EPOCHS)
    process = command_line.begin(*SLOW, **cluster.environment)
    # When that restarts, and again after it was killed
    cluster.server.restart(signal.SIGTERM)
    cluster.server.restart(signal.SIGKILL)
    # Then the sweep ends as if nothing had been, with no job trained twice.
    assert "jobs 4, accepted 4, attempts 4, reused 0" in command_line.end(process)
    assert_whole(command_line, "a", clean)


def test_a_restart_without_persistence_is_said_and_made_good(
    command_line: CommandLine, cluster: Cluster, clean: bytes
) -> None:
    # Given a sweep with one row, whose worker has gone: its other jobs are in Redis alone
    worker = cluster.start_worker(*SLOW_EPOCHS)
    output = Output(command_line.begin(*SLOW, **cluster.environment))
    worker.kill()
    left = 4 - len(command_line.rows("a"))
    # When the server comes back empty
    cluster.server.restart(signal.SIGKILL)
    # Then the sweep says how many jobs were lost,
    output.wait_for(f"Redis lost {left} job{'s' if left > 1 else ''}: submitted again")
    # is registered again,
    wait_for(lambda: ClusterView(cluster.settings).registry.manifest("a"), "the registered sweep")
    # and ends well.
    cluster.start_worker(*SLOW_EPOCHS)
    status, text = output.end()
    assert (status, "jobs 4, accepted 4" in text) == (0, True), text
    assert_whole(command_line, "a", clean)


def test_a_full_redis_stops_the_sweep_without_damage(command_line: CommandLine, cluster: Cluster, clean: bytes) -> None:
    # Given a sweep with one row of four
    client = cluster.server.client()
    cluster.start_worker(*SLOW_EPOCHS)
    process = command_line.begin(*SLOW, **cluster.environment)
    # When Redis has no room for more
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", str(2**20))
    # Then the sweep stops, says in one sentence why and what to do, and how to go on.
    output = command_line.end(process, 1)
    (sentence,) = [line for line in output.splitlines() if line.startswith("orchestrator: ")]
    assert f"Redis at {cluster.server.url} is full: it holds " in sentence
    assert "its maxmemory is 1.0 MB; raise that limit" in sentence
    assert "go on with: orchestrator sweep --resume --name a" in output
    assert "Traceback" not in output
    assert 1 <= len(command_line.rows("a")) <= 4
    # When there is room again, the sweep goes on, with the jobs that waited for it.
    client.config_set("maxmemory", "0")
    done = command_line.run("sweep", "--resume", "--name", "a", **cluster.environment)
    assert "finished in an earlier session of this sweep" in done.stdout
    assert_whole(command_line, "a", clean)


def test_a_redis_that_is_full_from_the_start_begins_nothing(command_line: CommandLine, cluster: Cluster) -> None:
    cluster.server.client().config_set("maxmemory", "1")
    output = command_line.run("sweep", *SMALL, "--name", "a", status=1, **cluster.environment)
    assert "is full: it holds " in output.stderr
    assert "Traceback" not in output.stderr
    assert command_line.rows("a") == []
    cluster.server.client().config_set("maxmemory", "0")
    cluster.start_worker()
    command_line.run("sweep", "--resume", "--name", "a", **cluster.environment)


@pytest.mark.slow(reason="waits for a network that is silent")
def test_a_network_that_goes_silent_is_noticed_and_waited_for(
    command_line: CommandLine, cluster: Cluster, proxy: Proxy, clean: bytes
) -> None:
    # Given an orchestrator that reaches Redis through a network of its own
    environment = cluster.environment | {"CELERY_BROKER_URL": proxy.url, "SEEDSWEEP_SOCKET_SECONDS": "2"}
    output = Output(command_line.start("sweep", *SLOW, "--name", "a", **environment))
    cluster.wait_until_queued(4)
    # When that passes nothing more, and closes nothing
    proxy.stall()
    # Then the orchestrator says so when its socket's time is over.
    output.wait_for(f"{proxy.url} does not answer (")
    # When the network passes again, and a worker comes
    cluster.start_worker(*SLOW_EPOCHS)
    proxy.resume()
    # Then the sweep ends well.
    status, text = output.end()
    assert (status, f"{proxy.url} is back, after " in text) == (0, True), text
    assert "jobs 4, accepted 4, attempts 4, reused 0" in text
    assert_whole(command_line, "a", clean)


def test_connections_that_are_cut_or_reset_are_made_anew(
    command_line: CommandLine, cluster: Cluster, proxy: Proxy, clean: bytes
) -> None:
    # Given a sweep in its middle, through a network of its own
    process = command_line.start(
        "sweep", *SLOW, "--name", "a", **cluster.environment | {"CELERY_BROKER_URL": proxy.url}
    )
    cluster.start_worker(*SLOW_EPOCHS)
    for count in (1, 2, 3):
        command_line.wait_for_rows("a", count, process)
        # When Redis closes all connections, its workers' as well, and the network resets the orchestrator's
        for kind in ("normal", "pubsub"):
            cluster.server.client().execute_command("CLIENT", "KILL", "TYPE", kind)
        proxy.reset()
    # Then it ends as if nothing had been.
    assert "jobs 4, accepted 4, attempts 4, reused 0" in command_line.end(process)
    assert_whole(command_line, "a", clean)
