"""The broker that somebody names is the broker that is used, whatever the environment says."""

from __future__ import annotations

from tests.support.cluster import Cluster
from tests.support.command_line import SMALL, CommandLine
from tests.support.redis_server import free_port


def test_the_option_wins_over_the_environment(cluster: Cluster, command_line: CommandLine) -> None:
    # Given an environment that names a server which is not there
    elsewhere = f"redis://127.0.0.1:{free_port()}/0"
    cluster.start_worker()
    # When a sweep names another one
    command_line.run("sweep", *SMALL, "--name", "s", "--broker", cluster.server.url, CELERY_BROKER_URL=elsewhere)
    # Then it runs there, messages and results alike
    assert [row["status"] for row in command_line.rows("s")] == ["succeeded"] * 4
