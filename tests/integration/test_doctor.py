"""`orchestrator doctor` on sound and on unsound ground."""

import pytest

from tests.support.cluster import Cluster
from tests.support.in_process import InProcess
from tests.support.redis_server import RedisServer


def cures(here: InProcess, *words: str, status: int) -> dict[str, str]:
    """Return what is to be cured, by what was checked."""
    told = here.asked("doctor", *words, status=status)
    found = {each["what"]: each["cure"] for each in told["findings"] if each["cure"]}
    assert told["healthy"] is not bool(found)
    return found


@pytest.mark.persistent
def test_a_sound_cluster_needs_no_cure(cluster: Cluster, here: InProcess) -> None:
    cluster.start_worker()
    told = here.run("doctor", "--broker", cluster.server.url).out
    assert all(line.startswith("ok ") for line in told.splitlines())
    assert "trainer network: version 2; 1 worker with version" in told


def test_each_problem_is_named_with_its_cure(
    shared_server: RedisServer, here: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = shared_server.client()
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    monkeypatch.setenv("SEEDSWEEP_DATA", "/nowhere")
    found = cures(here, "--broker", shared_server.url, status=1)
    assert found.keys() == {"server", "workers", "data"}
    assert found["server"].split("; ") == [
        "set appendonly yes: a restart would lose jobs and results",
        "set maxmemory-policy noeviction: it may evict results",
    ]
    assert found["workers"].startswith("start one: celery -A worker worker")
    assert "/nowhere" in found["data"]


def test_an_absent_server_and_a_bad_setting_end_no_other_check(
    here: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cures(here, status=0) == {}
    assert cures(here, "--broker", "redis://user:secret@localhost:1", status=1).keys() == {"server"}
    # A path that nothing can have ends no other check either.
    assert cures(here, "--output", "x" * 300, status=0) == {}
    # Nor does a folder that even root cannot write.
    assert cures(here, "--output", "/proc/x", status=1) == {"sweeps": "make /proc writable, or name another folder"}
    monkeypatch.setenv("SEEDSWEEP_THREADS", "0")
    assert cures(here, status=1) == {"settings": "SEEDSWEEP_THREADS is '0'; allowed: an integer from 1 to 1024"}
    assert "secret" not in here.run("doctor", "--broker", "redis://user:secret@localhost:1", status=1).out
