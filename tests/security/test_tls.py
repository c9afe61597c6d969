"""Everything works over TLS, and no server is believed that the named authority did not sign."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.cluster import Cluster
from tests.support.command_line import SMALL, CommandLine
from tests.support.flower_process import FlowerProcess
from tests.support.redis_server import require
from tests.support.tls import TlsServer, make_certificates
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    require(shutil.which("openssl"), "openssl")
    certificates = make_certificates(tmp_path_factory.mktemp("authority") / "tls")
    with tempfile.TemporaryDirectory(prefix="tls-") as folder, TlsServer(Path(folder), certificates) as made:
        yield made


def test_worker_orchestrator_and_flower_speak_tls(
    server: TlsServer, command_line: CommandLine, tmp_path: Path, cache_dir: Path
) -> None:
    # Given a worker and Flower that reach Redis over TLS, the only way there is
    with redis.Redis(port=server.port) as plain, pytest.raises(redis.exceptions.ConnectionError):
        plain.ping()
    with (
        contextlib.closing(Cluster(server, tmp_path, cache_dir, broker_url=server.url_for("worker"))) as cluster,
        FlowerProcess(tmp_path, server.url_for("flower")) as flower,
    ):
        cluster.start_worker(sociable=True)
        # When a sweep runs over TLS
        command_line.run("sweep", *SMALL, "--name", "s", "--broker", server.url_for("orchestrator"))
        # Then its jobs are trained, Flower knows of them and reads the queue, and nobody was refused anything
        assert [row["status"] for row in command_line.rows("s")] == ["succeeded"] * 4
        wait_for(lambda: len(flower.tasks("SUCCESS")) == 4, "four jobs in Flower", report=flower.text)
        assert flower.json("/api/queues/length") == {"active_queues": [{"name": "seedsweep", "messages": 0}]}
        assert server.denials() == []


@pytest.mark.parametrize("what", ["authority", "name"])
def test_another_server_is_refused(
    server: TlsServer, command_line: CommandLine, tmp_path: Path, cache_dir: Path, what: str
) -> None:
    # Given a server that the named authority did not sign, or that is called by a name not in its certificate
    differs = {"authority": make_certificates(tmp_path / "another")} if what == "authority" else {"host": "127.0.0.2"}
    # Then the orchestrator says so
    done = command_line.run("sweep", *SMALL, "--broker", server.url_for("orchestrator", **differs), status=2)
    assert "certificate verify failed" in done.stderr.lower()
    assert "Traceback" not in done.stderr
    # And a worker tells that server nothing, not even its password
    broker = server.url_for("worker", **differs)
    with contextlib.closing(Cluster(server, tmp_path, cache_dir, broker_url=broker)) as cluster:
        worker = cluster.start_worker(ready=False)
        worker.wait_until_logged("certificate verify failed")
        assert "ready." not in worker.text()
