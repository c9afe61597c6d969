"""The cluster that somebody names is the cluster that is used, whatever the environment says."""

from __future__ import annotations

from tests.support.cluster import Cluster
from tests.support.command_line import QUICK, CommandLine
from tests.support.redis_server import free_port


def nowhere() -> str:
    """Return the address of a server that is not there."""
    return f"redis://127.0.0.1:{free_port()}/0"


def test_the_option_wins_over_the_environment(cluster: Cluster, command_line: CommandLine) -> None:
    # Given an environment that names a cluster which is not there
    elsewhere = dict.fromkeys(("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "CELERY_BROKER_READ_URL"), nowhere())
    cluster.start_worker()
    # When a sweep names another one
    command_line.run("sweep", *QUICK, "--name", "s", "--broker", cluster.server.url, **elsewhere)
    # Then it runs there, messages and results alike
    assert [(row["status"], row["worker"]) for row in command_line.rows("s")] == [("succeeded", "w1@test")]


def test_an_embedded_cluster_is_its_own_whatever_the_environment_says(command_line: CommandLine) -> None:
    names = ("CELERY_RESULT_BACKEND", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")
    elsewhere = dict.fromkeys(names, nowhere())
    # A variable that is empty is not set.
    command_line.run("sweep", *QUICK, "--name", "s", CELERY_BROKER_URL="", SEEDSWEEP_DATA="", **elsewhere)
    assert [row["status"] for row in command_line.rows("s")] == ["succeeded"]
