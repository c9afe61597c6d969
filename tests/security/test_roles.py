"""Each role has the rights that its work takes, and what it was not given is refused by Redis itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.cluster import Cluster
from tests.support.command_line import SMALL, CommandLine, small
from tests.support.flower_process import FlowerProcess
from tests.support.paths import ROOT
from tests.support.secured_server import SecuredServer
from tests.support.waiting import wait_for

#: Jobs that run for seconds, so that something can happen to them.
LONG = ("--seeds", "0-1", "--learning-rates", "0.02", "--epochs", "40", "--limit", "5000")

#: Jobs that do not end before somebody has cancelled them, however busy the machine is.
ENDLESS = (*LONG[:-3], "4000", *LONG[-2:])


def celery(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=os.environ | cluster.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow(reason="runs everything that a cluster does")
def test_the_cluster_does_all_its_work_without_one_refusal(
    secured_cluster: Cluster, secured_server: SecuredServer, command_line: CommandLine, tmp_path: Path
) -> None:
    # Only what is refused from here on counts
    secured_server.denials()
    # Given workers that talk to each other, and Flower, each in its role
    workers = [secured_cluster.start_worker(sociable=True, ready=False) for _ in range(2)]
    with FlowerProcess(tmp_path, secured_server.url_for("flower")) as flower:
        for worker in workers:
            worker.wait_until_ready()
        # When a sweep runs, twice
        broker = ("--broker", secured_server.url_for("orchestrator"))
        command_line.run("sweep", *SMALL, "--name", "first", *broker)
        command_line.run("sweep", *SMALL, "--name", "second", *broker, SEEDSWEEP_ARTIFACT_BYTES="0")
        # And goes on for more epochs, from checkpoints that the orchestrator makes
        command_line.run("extend", "second", "--epochs", "3", *broker)
        # And rows are checked, of a sweep that the cluster knows and of one that it does not
        command_line.run("sweep", *small(seeds="7"), "--name", "local")
        for name in ("first", "local"):
            command_line.run("verify", name, *broker)
        # And one during which a worker loses a process, another is killed and started again, and the first one stopped
        sweep = command_line.start("sweep", *LONG, "--name", "disturbed", *broker)
        wait_for(lambda: secured_server.client().hlen("seedsweep:unacked") == 2, "two jobs in training")
        workers[0].children()[0].kill()
        workers[1].signal_all(signal.SIGKILL)
        secured_cluster.start_worker(name="w2", sociable=True).wait_until_logged("w2@test ready.", times=2)
        wait_for(lambda: secured_server.client().keys("seedsweep:attempts:*"), "the jobs' attempts")
        assert workers[0].stop() == 0
        assert sweep.wait(timeout=120) == 0, sweep.communicate()[0]
        # And one is cancelled
        cancelled = command_line.start("sweep", *ENDLESS, "--name", "cancelled", *broker)
        wait_for(lambda: secured_server.client().hlen("seedsweep:unacked") == 1, "a job in training")
        command_line.run("cancel", "cancelled", *broker)
        assert cancelled.wait(timeout=60) != 0
        # And somebody looks at every page of Flower, asks for the workers' health, and drains one
        first = next(iter(flower.tasks("SUCCESS")))
        pages = ("/", "/workers", "/worker/w2@test", "/tasks", f"/task/{first}", "/broker", "/metrics")
        apis = ("/api/workers?refresh=1", "/api/queues/length", f"/api/task/info/{first}", f"/api/task/result/{first}")
        for page in (*pages, *apis):
            assert flower.get(page)[0] == 200, page
        health = celery(secured_cluster, "worker.health")
        assert health.returncode == 0, health.stdout + health.stderr
        for command in (["inspect", "stats"], ["control", "cancel_consumer", "seedsweep"]):
            assert celery(secured_cluster, "celery", "-A", "worker", *command).returncode == 0
        # Then Redis refused nothing, and nobody dropped what another one sent
        assert secured_server.denials() == []
        assert "Dropped a message" not in secured_cluster.logs() + flower.text()


KEY = "0" * 64
#: What no role may do: look into the server, change it, or touch what others keep there.
FORBIDDEN_TO_ALL = [
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "maxmemory", "1"),
    ("ACL", "LIST"),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("SHUTDOWN",),
    ("REPLICAOF", "127.0.0.1", "1"),
    ("MODULE", "LIST"),
    ("MONITOR",),
    ("SAVE",),
    ("CLIENT", "LIST"),
    ("CLIENT", "KILL", "ID", "1"),
    ("FUNCTION", "LIST"),
    ("MIGRATE", "127.0.0.1", "1", "seedsweep", "0", "1"),
    ("GET", "somebody-elses"),
    ("SET", "somebody-elses", "x"),
    ("DEL", "somebody-elses"),
    ("SUBSCRIBE", "somebody-elses"),
    ("PSUBSCRIBE", "*"),
    ("PUBLISH", "somebody-elses", "x"),
    ("SELECT", "1"),
]
FORBIDDEN: dict[str, list[tuple[str, ...]]] = {
    "worker": [
        ("EVAL", "return 1", "0"),
        ("GET", f"seedsweep:weights:{KEY}"),
        ("GET", f"seedsweep:log:{KEY}"),
        ("SET", f"seedsweep:weights:{KEY}", "x", "GET"),
        ("UNLINK", f"seedsweep:weights:{KEY}"),
        ("DEL", f"celery-task-meta-{KEY}"),
        ("SET", f"seedsweep:cancelled:{KEY}", "x"),
        ("DEL", "seedsweep"),
        ("LRANGE", "seedsweep", "0", "-1"),
        ("HGET", "seedsweep:sweep:mine", "manifest"),
        ("DEL", "seedsweep:unacked"),
        ("ZADD", "_kombu.binding.seedsweep.ev", "1", "x"),
        ("PUBLISH", "/0.celery.pidbox", "x"),
    ],
    "orchestrator": [
        ("BRPOP", "seedsweep", "1"),
        ("DEL", "seedsweep"),
        ("HDEL", "seedsweep:unacked", "x"),
        ("ZADD", "seedsweep:unacked_index", "1", "x"),
        ("SET", f"seedsweep:weights:{KEY}", "x"),
        ("SET", f"seedsweep:finished:{KEY}", "x"),
        ("UNLINK", f"seedsweep:finished:{KEY}"),
        ("UNLINK", f"seedsweep:mismatch:{KEY}"),
        ("RPUSH", f"seedsweep:mismatch:{KEY}", "x"),
        ("HSET", f"seedsweep:attempts:{KEY}", "x", "y"),
        ("GET", f"seedsweep:checkpoint:{KEY}"),
        ("HSET", "seedsweep:workers", "x", "y"),
        ("PUBLISH", "/0.seedsweep.pidbox", "x"),
        ("PUBLISH", "/0.seedsweep.ev/worker.heartbeat", "x"),
    ],
    "flower": [
        ("EVAL", "return 1", "0"),
        ("SET", f"celery-task-meta-{KEY}", "x"),
        ("DEL", f"celery-task-meta-{KEY}"),
        ("LPUSH", "seedsweep", "x"),
        ("BRPOP", "seedsweep", "1"),
        ("LRANGE", "seedsweep", "0", "-1"),
        ("HGETALL", "seedsweep:unacked"),
        ("GET", f"seedsweep:weights:{KEY}"),
        ("HGETALL", "seedsweep:workers"),
        ("SET", f"seedsweep:cancelled:{KEY}", "x"),
        ("DEL", "_kombu.binding.seedsweep"),
        ("ZADD", "_kombu.binding.seedsweep.ev", "1", "x"),
        ("PUBLISH", "/0.celery.pidbox", "x"),
        ("PUBLISH", "/0.seedsweep.ev/worker.heartbeat", "x"),
        ("PUBLISH", f"celery-task-meta-{KEY}", "x"),
    ],
    "health": [
        ("EVAL", "return 1", "0"),
        ("GET", "seedsweep"),
        ("LLEN", "seedsweep"),
        ("INFO",),
        ("PUBLISH", "/0.seedsweep.pidbox", "x"),
    ],
}
CASES = [(role, command) for role, own in FORBIDDEN.items() for command in (*FORBIDDEN_TO_ALL, *own)]


@pytest.mark.parametrize(
    ("role", "command"), CASES, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_what_a_role_was_not_given_is_refused(
    secured_server: SecuredServer, role: str, command: tuple[str, ...]
) -> None:
    with secured_server.client_for(role) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)


#: Types, each with a command that would make a key of it, without the key.
MAKES = [
    ("string", ("SET", "x")), ("list", ("LPUSH", "x")), ("list", ("RPUSH", "x")), ("set", ("SADD", "x")),
    ("hash", ("HSET", "x", "y")), ("zset", ("ZADD", "1", "x")),
]  # fmt: skip
UUID = "3c747a2c-0000-4328-9896-9026f9ba907f"
#: A key of each kind, with its type.
KINDS = {
    "seedsweep": "list",
    "seedsweep\x06\x163": "list",
    "seedsweep:unacked": "hash",
    "seedsweep:unacked_index": "zset",
    "seedsweep:unacked_mutex": "string",
    f"celery-task-meta-{KEY}": "string",
    f"seedsweep:weights:{KEY}": "string",
    "seedsweep:released": "zset",
    f"seedsweep:finished:{KEY}": "string",
    f"seedsweep:mismatch:{KEY}": "list",
    f"seedsweep:checkpoint:{KEY}": "string",
    f"seedsweep:attempts:{KEY}": "hash",
    f"seedsweep:refusals:{KEY}": "string",
    f"seedsweep:cancelled:{KEY}": "string",
    f"seedsweep:log:{KEY}": "string",
    f"seedsweep:withdrawn:{UUID}": "set",
    "seedsweep:workers": "hash",
    "seedsweep:sweep:mine": "hash",
    "seedsweep:sweeps": "set",
    "_kombu.binding.seedsweep": "set",
    "_kombu.binding.seedsweep.pidbox": "set",
    "_kombu.binding.reply.seedsweep.pidbox": "set",
    "_kombu.binding.seedsweep.ev": "set",
    "_kombu.binding_permanent.seedsweep": "set",
    "_kombu.binding_permanent.reply.seedsweep.pidbox": "set",
    "_kombu.binding_deadlines": "zset",
    f"{UUID}.reply.seedsweep.pidbox": "list",
}


@pytest.mark.parametrize("name", KINDS)
def test_no_role_can_put_a_key_of_another_type_in_the_place_of_one(secured_server: SecuredServer, name: str) -> None:
    # Because Redis would then refuse what everybody else does with it, for good
    allowed = set()
    with secured_server.client() as client:
        for role in ("worker", "orchestrator", "flower", "health"):
            for kind, (command, *arguments) in MAKES:
                if client.execute_command("ACL", "DRYRUN", role, command, name, *arguments) == b"OK":
                    allowed.add(kind)
    assert allowed == {KINDS[name]}


@pytest.mark.parametrize("role", ["worker", "orchestrator", "flower"])
def test_a_script_can_do_no_more_than_its_caller(secured_server: SecuredServer, role: str) -> None:
    allowed = {"flower": "_kombu.binding.seedsweep.ev"}.get(role, f"celery-task-meta-{KEY}")
    with secured_server.client_for(role) as client:
        # When a role loads a script that reaches for a key beside those that it names
        sha = client.script_load("return redis.call('GET', 'somebody-elses')")
        # Then it may run it on its own keys, and reaches nothing
        with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)permission"):
            client.evalsha(sha, 1, allowed)
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.evalsha(sha, 1, "somebody-elses")
        # Nor by a script that names no key.
        with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)permission"):
            client.eval("return redis.call('GET', 'somebody-elses')", 0)


def stranger(server: SecuredServer, **login: Any) -> redis.Redis:
    """Return a client that tries each command once."""
    return redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0), **login)


@pytest.mark.parametrize(
    "login",
    [
        {},
        {"password": "guess"},
        {"username": "default", "password": ""},
        {"username": "worker", "password": "guess"},
        {"username": "worker", "password": ""},
        {"username": "nobody", "password": "x"},
    ],
    ids=["no password", "a password alone", "the default user", "a wrong password", "an empty one", "an unknown user"],
)
def test_a_stranger_is_not_let_in(secured_server: SecuredServer, login: dict[str, Any]) -> None:
    with stranger(secured_server, **login) as client, pytest.raises(redis.exceptions.AuthenticationError):
        client.ping()


def test_the_health_check_may_ask_and_nothing_else(secured_server: SecuredServer) -> None:
    with secured_server.client_for("health") as client:
        assert client.ping()


def test_a_stranger_and_a_role_that_may_not_submit_are_told_so_in_one_sentence(
    secured_server: SecuredServer, command_line: CommandLine
) -> None:
    guessed = f"redis://orchestrator:guess@127.0.0.1:{secured_server.port}/0"
    denied = f"orchestrator: {guessed.replace('guess', '**')} denies access: "
    for url, sentence in ((guessed, denied), (secured_server.url_for("flower"), "permission")):
        done = command_line.run("sweep", *SMALL, "--broker", url, status=2)
        assert sentence.lower() in done.stderr.lower()
        assert "guess" not in done.stderr
        assert (done.stdout, "Traceback" in done.stderr) == ("", False)
    assert not (command_line.folder / "runs").exists()
    assert secured_server.client().llen("seedsweep") == 0


def test_a_restart_loses_nothing_to_the_rules(short_path: Path) -> None:
    # Given what a role wrote in a transaction, which Redis replays without the role's name
    with SecuredServer(short_path, persistent=True) as server:
        with server.client_for("worker") as client, client.pipeline() as pipeline:
            pipeline.hset(f"seedsweep:attempts:{KEY}", "an attempt", "its record")
            pipeline.expire(f"seedsweep:attempts:{KEY}", 1000)
            pipeline.execute()
        # When Redis is killed and started again
        server.restart(signal.SIGKILL)
        # Then it is there, and the strangers are still outside
        assert server.client().hgetall(f"seedsweep:attempts:{KEY}") == {b"an attempt": b"its record"}
        with stranger(server) as client, pytest.raises(redis.exceptions.AuthenticationError):
            client.ping()
