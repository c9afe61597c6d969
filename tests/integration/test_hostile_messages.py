"""Whatever lies in the queue, the worker lives, says what it dropped, and trains the next job."""

from __future__ import annotations

import base64
import bz2
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nn.datasets.mnist import MNIST_DIGEST
from tests.support.cluster import Cluster, make_job
from tests.support.messages import GARBAGE, message, pickled
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess
from worker.messages import QUEUE, TRAIN


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Cluster]:
    """One cluster for all messages: the worker has to live through every one of them."""
    folder = tmp_path_factory.mktemp("attacked")
    server = RedisServer(folder)
    try:
        made = Cluster(server.start(), folder, cache_dir)
        try:
            made.start_worker()
            yield made
        finally:
            made.close()
    finally:
        server.stop()


def resident_peak(pid: int) -> int:
    """Return the most memory that a process ever had, in bytes."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


def assert_lives(cluster: Cluster, seed: int) -> WorkerProcess:
    """Assert that the worker trains the next job, and has nothing left of what it got before."""
    [worker] = cluster.workers
    assert cluster.result(cluster.submit(make_job(seed=seed)).id).status == "succeeded"
    wait_for(lambda: not cluster.server.client().hlen("seedsweep:unacked"), "nothing left", report=cluster.logs)
    assert worker.process.poll() is None
    return worker


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_dropped(attacked: Cluster, name: str) -> None:
    attacked.server.client().rpush(QUEUE, GARBAGE[name])
    assert_lives(attacked, seed=1000 + list(GARBAGE).index(name))


def test_a_pickled_message_is_refused_and_not_unpickled(attacked: Cluster, tmp_path: Path) -> None:
    proof = tmp_path / "unpickled"
    attacked.server.client().rpush(QUEUE, pickled(str(proof)))
    worker = assert_lives(attacked, seed=1)
    worker.wait_until_logged("Refusing to deserialize")
    assert not proof.exists()


def test_a_small_message_that_unpacks_to_a_large_one_is_dropped_unread(attacked: Cluster) -> None:
    packed = message(20 * bz2.compress(bytes(100 << 20)), compression="application/x-bz2")
    assert len(packed) < 10_000
    attacked.server.client().rpush(QUEUE, packed)
    worker = assert_lives(attacked, seed=3)
    worker.wait_until_logged("headers.compression")
    assert resident_peak(worker.process.pid) < 1 << 30


def test_held_messages_that_are_none_do_not_keep_others_waiting(attacked: Cluster) -> None:
    # Given garbage in the place of messages that a worker held until it died, one older and one younger than a job's
    client = attacked.server.client()
    job = make_job(seed=4)
    raw = json.dumps([json.loads(message(task_id=job.key)), "", QUEUE])
    body = base64.b64encode(json.dumps([[], {"job": job.model_dump(mode="json")}, {}]).encode()).decode()
    raw = raw.replace(base64.b64encode(b"[[], {}, {}]").decode(), body)
    held = {"older": "{garbage", "job": raw, "younger": "[7]"}
    client.hset("seedsweep:unacked", mapping=held)
    client.zadd("seedsweep:unacked_index", {tag: float(score) for score, tag in enumerate(held, start=1)})
    # Then the job is given back and trained, and the garbage is gone
    assert attacked.result(job.key).status == "succeeded"
    assert_lives(attacked, seed=5)


GOOD = {"seed": 1, "learning_rate": 0.1, "dataset": MNIST_DIGEST}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"seed": 1},
            "no valid job: learning_rate is missing; allowed: a finite number greater than 0",
        ),
        (GOOD | {"colour": "red"}, "the message holds no valid job: colour is 'red'; allowed: only the fields"),
        (GOOD | {"version": 2}, "version is 2; allowed: 1, the version that this worker trains"),
        (GOOD | {"seed": -1}, "seed is -1; allowed: an integer from 0 to 4294967295"),
        (GOOD | {"rule": "x" * 10_000}, "bytes; allowed: at most 4096 bytes of JSON"),
        (GOOD | {"learning_rate": "nan"}, "learning_rate is 'nan'; allowed: a finite number greater than 0"),
        (GOOD, "its job's key is"),  # A valid job under a name that is not its key.
        ([], "the message holds no valid job: job is []; allowed: a mapping of"),
        (None, "the message holds no valid job: job is None"),
    ],
)
def test_what_is_no_job_ends_as_a_failure_with_its_reason(attacked: Cluster, fields: Any, reason: str) -> None:
    task = attacked.app.tasks[TRAIN].apply_async(kwargs={"job": fields})
    error = attacked.wait_for_state(task.id, "FAILURE", "SUCCESS")["result"]
    assert type(error).__name__ == "JobRefusedError"
    assert reason in str(error)
    [worker] = attacked.workers
    worker.wait_until_logged(f"[{task.id}] raised expected: JobRefusedError")


def test_more_arguments_than_a_job_are_refused(attacked: Cluster) -> None:
    body = b'[["a", "b"], {"c": 1}, {}]'
    attacked.server.client().rpush(QUEUE, message(body, task_id="arguments"))
    error = attacked.wait_for_state("arguments", "FAILURE", "SUCCESS")["result"]
    assert str(error) == "the message has arguments beside its job; allowed: job alone"


def test_refused_messages_do_not_stop_the_worker(attacked: Cluster) -> None:
    # More in a row than the circuit breaker allows jobs to fail: the messages are to blame, not the worker.
    for number in range(attacked.settings.breaker_failures + 1):
        attacked.wait_for_state(attacked.app.tasks[TRAIN].apply_async(kwargs={"job": number}).id, "FAILURE")
    assert_lives(attacked, seed=2)
