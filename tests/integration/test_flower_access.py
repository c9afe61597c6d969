"""Flower as the cluster runs it: who gets in, what it remembers, and that it stays small. Its pages: tests/browser."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, make_job
from tests.support.flower_process import FlowerProcess
from tests.support.waiting import wait_for


@pytest.fixture
def flower(cluster: Cluster, tmp_path: Path) -> Iterator[FlowerProcess]:
    made = FlowerProcess(tmp_path, cluster.server.url, FLOWER_MAX_TASKS="30")
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.mark.parametrize(
    "path", ["/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks", "/api/queues/length"]
)
def test_pages_and_api_ask_for_the_password(flower: FlowerProcess, path: str) -> None:
    assert flower.get(path, user=None)[0] == 401
    assert flower.get(path, password="a guess")[0] == 401
    assert flower.get(path, user="admin")[0] == 401
    assert flower.get(path)[0] == 200


@pytest.mark.parametrize("path", ["/metrics", "/healthcheck"])
def test_two_pages_are_open_as_the_documentation_says(flower: FlowerProcess, path: str) -> None:
    assert flower.get(path, user=None)[0] == 200


CHANGES = (
    "/api/worker/shutdown/w1@test",
    "/api/worker/pool/restart/w1@test",
    "/api/worker/pool/grow/w1@test",
    "/api/worker/pool/shrink/w1@test",
    "/api/worker/queue/cancel-consumer/w1@test?queue=seedsweep",
    "/api/task/apply/worker.tasks.train",
    "/api/task/async-apply/worker.tasks.train",
    "/api/task/send-task/worker.tasks.train",
    "/api/task/revoke/0",
    "/api/task/abort/0",
    "/api/task/timeout/worker.tasks.train",
)


def test_nothing_can_be_changed_even_with_the_password(cluster: Cluster, flower: FlowerProcess) -> None:
    worker = cluster.start_worker()
    answers = {path: flower.get(path, method="POST")[0] for path in CHANGES}
    assert answers == dict.fromkeys(CHANGES, 403)
    assert cluster.result(cluster.submit(make_job()).id).status == "succeeded"
    assert worker.process.poll() is None


def test_its_history_outlives_a_kill_and_is_bounded(cluster: Cluster, flower: FlowerProcess) -> None:
    # Given a Flower that remembers thirty jobs, and a hundred that were trained
    cluster.start_worker()
    jobs = [cluster.submit(make_job(seed=seed, epochs=1, limit=50)).id for seed in range(100)]
    for job in jobs:
        cluster.result(job)
    wait_for(lambda: jobs[-1] in flower.tasks("SUCCESS"), "the last job in Flower")
    # Then it knows the last thirty
    known = flower.tasks("SUCCESS").keys()
    assert known == set(jobs[-30:])
    # When it is killed once its file is written, and starts again
    # Not the file that it was writing when it knew the last one.
    known_at = time.time_ns()
    wait_for(lambda: flower.written() > known_at + 2 * 10**9, "its file to be written")
    flower.stop(signal.SIGKILL)
    flower.start()
    # Then it knows them still
    assert flower.tasks("SUCCESS").keys() == known
