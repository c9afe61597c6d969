"""The cluster of docker-compose.yml, used as its user would."""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.command_line import CommandLine
from tests.support.compose import Compose, docker
from tests.support.compose import clone as clone_project
from tests.support.idx_files import write_idx_folder
from tests.support.tls import make_certificates
from tests.support.waiting import wait_for
from tests.support.web import Answer, ask, basic
from worker.redis.bounded import read_hash

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

SMALL = ("--seeds", "0-2", "--learning-rates", "0.01,0.1", "--epochs", "2", "--limit", "2000")
# A job of some ten seconds: much longer than the two seconds by which a worker's report of it may be old.
LONG = ("--seeds", "10-13", "--learning-rates", "0.03", "--epochs", "120", "--limit", "20000")


def weights(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the weights' hash of every job, by job key."""
    return {row["job"]: row["weights_sha256"] for row in rows}


def rows_inside(compose: Compose) -> list[dict[str, Any]]:
    """Return the rows of the sweep `inside`, which the containers have."""
    printed = compose.once("orchestrator", "/runs/inside/results.jsonl", options=("--entrypoint", "cat"))
    return [json.loads(line) for line in printed.splitlines()]


def sweep(host: CommandLine, *words: str, status: int = 0) -> None:
    """Run a sweep on this host, by its own `orchestrator`."""
    host.end(host.start("sweep", *words, "--no-reuse"), status)


@pytest.fixture
def host(command_line: CommandLine) -> CommandLine:
    """A folder of this host, whose embedded clusters are those of a user."""
    command_line.forks = False
    return command_line


def test_every_service_is_healthy(compose: Compose) -> None:
    for service, count in {"redis": 1, "worker": 2, "flower": 1, "report": 1}.items():
        states = [(container["State"], container["Health"]) for container in compose.containers(service)]
        assert states == [("running", "healthy")] * count


@pytest.mark.parametrize("service", ["secrets", "redis", "worker", "flower", "report"])
def test_a_container_has_no_more_than_it_needs(compose: Compose, service: str) -> None:
    found = compose.inspect(service)
    host_config = found["HostConfig"]
    assert host_config["ReadonlyRootfs"]
    assert host_config["CapDrop"] == ["ALL"]
    assert not host_config["CapAdd"]
    assert not host_config["Privileged"]
    assert host_config["SecurityOpt"] == ["no-new-privileges:true"]
    assert host_config["Memory"] > 0
    assert host_config["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert found["Config"]["User"] not in ("", "0", "root")
    assert host_config["RestartPolicy"]["Name"] == ("no" if service == "secrets" else "unless-stopped")
    # A read-only volume may be read-only for its readers as well.
    writers = {"secrets": 5, "redis": 1, "worker": 1, "flower": 1, "report": 0}
    assert sum(mount["RW"] for mount in found["Mounts"] if mount["Type"] == "volume") == writers[service]


def test_only_loopback_is_reachable(compose: Compose) -> None:
    services = ("redis", "flower", "worker", "report")
    ports = {service: compose.inspect(service)["NetworkSettings"]["Ports"] for service in services}
    published = [binding["HostIp"] for of in ports.values() for bindings in of.values() for binding in bindings or []]
    assert published == ["127.0.0.1"] * 3


def test_no_password_is_in_a_containers_settings(compose: Compose) -> None:
    shown = compose.shown()
    secrets = [
        shown["Flower's password"],
        shown["report"].partition("token=")[2],
        *(shown[f"{role} broker"].split("@")[0] for role in ("worker", "orchestrator")),
    ]
    for service in ("redis", "worker", "flower", "report", "secrets"):
        described = json.dumps(compose.inspect(service))
        assert not any(secret.split(":")[-1] in described for secret in secrets)


def test_building_again_from_another_clone_changes_nothing(built: Compose, clone: Path, tmp_path: Path) -> None:
    # Given another clone of the same commit, whose files have other dates
    clone_project(tmp_path / "another", clone)
    inspect = ("image", "inspect", "--format", "{{.Id}}", built.image)
    before = docker(*inspect)
    # When its image is built
    Compose(tmp_path / "another", "build").run("build")
    # Then it is the same one
    assert docker(*inspect) == before


@pytest.mark.parametrize("cpus", sorted({1, min(2, os.cpu_count() or 1)}))
def test_a_worker_runs_one_process_for_each_cpu_of_its_limit(compose: Compose, cpus: int) -> None:
    program = "from celery.utils.sysinfo import cpu_budget; print(cpu_budget().count)"
    run = compose.run(
        *("run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "python", "worker", "-c", program),
        SEEDSWEEP_WORKER_CPUS=str(cpus),
    )
    assert run.stdout.strip() == str(cpus)


def test_the_first_job_of_a_worker_compiled_nothing(compose: Compose) -> None:
    # Given the worker that trained the first job
    kernels = "cd {} && find . -type f | sort && echo"
    for container in compose.containers("worker"):
        copied, built_in = (
            docker("exec", container["ID"], "sh", "-c", kernels.format(folder))
            for folder in ("/tmp/kernels", "/opt/seedsweep/kernels")  # noqa: S108 - in the container
        )
        # Then it has the kernels of its image, and no other
        assert copied == built_in
        assert ".nbc" in copied


FIRST_JOB = """
import os
import re
from collections.abc import Iterable
from pathlib import Path
from nn.datasets.mnist import load_mnist
from worker.job import Job
from worker.training.trainer import train
kernels = lambda: {str(p): p.stat().st_mtime_ns for p in Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nb?")}
before = kernels()
mnist = load_mnist(cache_dir=Path(os.environ["SEEDSWEEP_CACHE_DIR"]))
train(Job.of({"learning_rate": 0.01, "epochs": 1, "limit": 1}, seed=0, dataset=mnist.digest), mnist)
print(os.environ["NUMBA_CPU_NAME"], len(before), kernels() == before)
"""


@pytest.mark.parametrize("cpu", ["generic", "haswell", "skylake-avx512"])
def test_the_image_carries_compiled_kernels_for_every_kind_of_cpu(compose: Compose, cpu: str) -> None:
    done = compose.run(
        "run", "--rm", "--no-TTY", "--no-deps", "--env", f"NUMBA_CPU_NAME={cpu}", "worker", "python", "-c", FIRST_JOB,
        status=None,
    )  # fmt: skip
    if cpu != "generic" and done.returncode in (132, -4):
        pytest.skip(f"this machine cannot run code for {cpu}")
    assert done.stdout.split() == [cpu, "12", "True"], done.stderr


def test_sweeps_from_inside_and_from_the_host_agree_with_the_embedded_cluster(
    compose: Compose, host: CommandLine
) -> None:
    # When the same sweep runs from inside the cluster, from this host, and on this host's embedded cluster
    inside = json.loads(compose.once("orchestrator", "sweep", *SMALL, "--name", "inside", "--json"))
    rows = rows_inside(compose)
    sweep(host, *SMALL, "--name", "host", "--broker", compose.shown()["orchestrator broker"])
    sweep(host, *SMALL, "--name", "embedded")
    # Then every job has the same weights, and the leaderboards are the same bytes
    assert inside["accounting"]["accepted"] == 6
    assert len(weights(rows)) == 6
    assert weights(rows) == weights(host.rows("host")) == weights(host.rows("embedded"))
    boards = [(host.sweep(name) / "leaderboard.json").read_bytes() for name in ("host", "embedded")]
    assert boards[0] == boards[1]


def running(client: redis.Redis) -> dict[str, list[str]]:
    """Return what each worker says that it trains, by the name of its host."""
    found = (json.loads(value) for value in read_hash(client, "seedsweep:workers", 65_536, 100).values())
    return {worker["host"]: worker["running"] for worker in found}


def test_a_killed_worker_container_costs_nothing_but_time(
    compose: Compose, host: CommandLine, figures: dict[str, str]
) -> None:
    broker = compose.shown()["orchestrator broker"]
    client = redis.Redis.from_url(broker)
    # Given a sweep that two workers have begun
    process = host.start("sweep", *LONG, "--no-reuse", "--name", "killed", "--broker", broker)
    wait_for(lambda: sum(len(runs) for runs in running(client).values()) == 2, "two jobs in training")
    victim, [job] = next((name, runs) for name, runs in running(client).items() if runs)
    # When one of them is killed
    docker("kill", victim)
    killed = time.monotonic()

    def taken() -> bool:
        return any(job in runs for name, runs in running(client).items() if name != victim)

    wait_for(taken, "the job on another worker")
    figures["killed container to its job running elsewhere, lease 6 s"] = f"{time.monotonic() - killed:.1f} s"
    # And the cluster grows to four
    compose.up(4, "--no-recreate")
    # Then every job has one row, and the weights are those of an undisturbed run
    said = host.end(process)
    assert len(compose.containers("worker")) == 4
    assert re.search(r"jobs 4, accepted 4, attempts ([5-9]|\d\d)\b", said), said
    sweep(host, *LONG, "--name", "undisturbed")
    assert weights(host.rows("killed")) == weights(host.rows("undisturbed"))


def ask_flower(compose: Compose, path: str, password: str | None = None, method: str = "GET") -> Answer:
    """Ask Flower for a page."""
    return ask(compose.flower_port, path, method, **({} if password is None else basic("seedsweep", password)))


def test_flower_shows_the_jobs_to_who_has_the_password_and_keeps_them(compose: Compose) -> None:
    password = compose.shown()["Flower's password"]
    for path in ("/", "/workers", "/tasks", "/api/tasks", "/api/workers"):
        assert ask_flower(compose, path).status == 401, path
        assert ask_flower(compose, path, "a wrong password").status == 401, path
    for path in ("/api/worker/shutdown/x", "/api/task/revoke/x", "/api/task/apply/worker.tasks.train"):
        assert ask_flower(compose, path, password, "POST").status == 403, path

    def succeeded() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(ask_flower(compose, "/api/tasks?state=SUCCESS", password).text)
        return found

    # Given all that the tests before trained here: one job, six, and four
    before = succeeded()
    assert len(before) == 11
    assert all(task["kwargs"].startswith("seed=") and "learning_rate=" in task["kwargs"] for task in before.values())
    assert all("validation accuracy" in task["result"] for task in before.values())
    assert len(json.loads(ask_flower(compose, "/api/workers?refresh=1", password).text)) == 4
    # When Flower is killed and starts again
    time.sleep(11)  # Its history is saved every ten seconds.
    docker("kill", compose.containers("flower")[0]["ID"])
    compose.up(4, "--no-recreate")
    # Then its history is there
    assert succeeded().keys() == before.keys()


def test_a_stranger_on_the_network_is_refused(compose: Compose) -> None:
    # From the host, through the published port
    with redis.Redis(port=compose.redis_port) as client, pytest.raises(redis.exceptions.AuthenticationError):
        client.ping()
    # And from another container of the same network
    stranger = ("--no-deps", "--env", "CELERY_BROKER_URL=redis://redis:6379/0")
    refused = compose.once("orchestrator", "sweep", *SMALL, status=2, options=stranger)
    assert "redis://redis:6379/0 denies access" in refused


def test_an_open_port_without_own_passwords_is_refused(clone: Path, built: Compose) -> None:
    with contextlib.closing(Compose(clone, "open", SEEDSWEEP_BIND="0.0.0.0")) as opened:  # noqa: S104 - must be refused
        done = opened.run("up", "--detach", "--no-build", status=None)
        assert done.returncode != 0
        assert "not a loopback address" in opened.run("logs", "secrets").stdout
        assert opened.run("ps", "--quiet", "--status", "running").stdout == ""


def test_with_tls_nothing_crosses_the_network_in_plain_text(
    clone: Path, built: Compose, host: CommandLine, tmp_path: Path
) -> None:
    # Given a cluster with certificates, as docs/how-to/operating.md says
    certificates = make_certificates(tmp_path / "tls")
    (certificates / "redis.key").chmod(0o644)
    files = ("docker-compose.yml", "docker-compose.tls.yml")
    with contextlib.closing(Compose(clone, "tls", files=files, SEEDSWEEP_TLS_DIR=str(certificates))) as encrypted:
        encrypted.up(workers=1)
        # When a sweep runs from inside, and from the host
        encrypted.once("orchestrator", "sweep", *SMALL, "--name", "inside")
        broker = encrypted.shown()["orchestrator broker"]
        assert broker.startswith("rediss://")
        sweep(host, *SMALL, "--name", "host", "--broker", broker)
        # Then both end, and the same port does not answer who does not encrypt
        assert len(host.rows("host")) == 6
        with redis.Redis(port=encrypted.redis_port) as plain, pytest.raises(redis.exceptions.ConnectionError):
            plain.ping()


def test_workers_take_another_data_set_as_the_documentation_says(
    clone: Path, built: Compose, host: CommandLine, tmp_path: Path
) -> None:
    # Given a cluster with another data set, as docs/how-to/operating.md says
    data = tmp_path / "data"
    write_idx_folder(data, train=120, test=80)
    data.chmod(0o755)
    files = ("docker-compose.yml", "docker-compose.data.yml")
    with contextlib.closing(Compose(clone, "data", files=files, SEEDSWEEP_DATA_DIR=str(data))) as other:
        other.up(workers=1)
        # When a sweep runs from inside, and on this host with its own copy
        small = (*SMALL[:-1], "100")
        # From random images nothing can be learned, so no configuration can be recommended.
        other.once("orchestrator", "sweep", *small, "--name", "inside", status=1)
        rows = rows_inside(other)
        sweep(host, *small, "--name", "host", "--data", str(data), status=1)
        # Then both trained the same
        assert weights(rows) == weights(host.rows("host"))
