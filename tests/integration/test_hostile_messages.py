"""Whatever lies in the queue or is published, the worker lives, says what it dropped, and trains the next job."""

from __future__ import annotations

import base64
import bz2
import contextlib
import json
import math
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from nn.datasets.mnist import MNIST_DIGEST
from tests.support.cluster import Cluster, make_job
from tests.support.messages import (
    CONTROL_CHANNEL,
    GARBAGE,
    HEARTBEAT_CHANNEL,
    JOB,
    NOISE,
    body,
    command,
    heartbeat,
    message,
    pickled,
    reply,
)
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess
from worker.gate import held
from worker.messages import QUEUE, REPLIES, TRAIN
from worker.redis.bounded import read_fields


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
    [worker] = attacked.workers
    dropped = worker.text().count("Dropped a message")
    attacked.server.client().rpush(QUEUE, GARBAGE[name])
    assert_lives(attacked, seed=1000 + list(GARBAGE).index(name))
    # With one line, in which nothing acts on a terminal, and no second one
    assert worker.text().count("Dropped a message") == dropped + 1
    assert "Traceback" not in worker.text()
    assert "\x1b" not in worker.text()
    assert "\n[CRITICAL]" not in worker.text()


def test_a_pickled_message_is_refused_and_not_unpickled(attacked: Cluster, tmp_path: Path) -> None:
    proof = tmp_path / "unpickled"
    attacked.server.client().rpush(QUEUE, pickled(str(proof)))
    worker = assert_lives(attacked, seed=1)
    worker.wait_until_logged("content-encoding: Input should be 'utf-8'")
    assert not proof.exists()


def test_a_small_message_that_unpacks_to_a_large_one_is_dropped_unread(attacked: Cluster) -> None:
    packed = message(20 * bz2.compress(bytes(100 << 20)), compression="application/x-bz2")
    assert len(packed) < 10_000
    attacked.server.client().rpush(QUEUE, packed)
    worker = assert_lives(attacked, seed=3)
    worker.wait_until_logged("headers.compression")
    assert resident_peak(worker.process.pid) < 1 << 30


def test_held_messages_that_are_none_do_not_keep_others_waiting(attacked: Cluster) -> None:
    # Given garbage in the place of messages that a worker held until it died, older and younger than a job's
    client = attacked.server.client()
    job = make_job(seed=4)
    job_message = json.loads(message(body(job), task_id=job.key))
    held = {
        "older": "{garbage",
        "elsewhere": json.dumps([job_message, "", "seedsweep:finished:x"]),
        "job": json.dumps([job_message, "", QUEUE]),
        "younger": "[7]",
        "nested": "[" * 200_000,
    }
    client.hset("seedsweep:unacked", mapping=held)
    client.zadd("seedsweep:unacked_index", {tag: float(score) for score, tag in enumerate(held, start=1)})
    # Then the job is given back and trained, and the garbage is gone
    assert attacked.result(job.key).status == "succeeded"
    assert_lives(attacked, seed=5)
    assert not client.exists("seedsweep:finished:x")


@pytest.mark.parametrize("leased", [True, False])
def test_thousands_of_held_messages_that_are_none_do_not_keep_a_job_waiting(attacked: Cluster, leased: bool) -> None:
    # Given a message that a dead worker held, and many that are none, whose leases ended later or never began
    client = attacked.server.client()
    job = make_job(seed=12 + leased)
    held = json.dumps([json.loads(message(body(job), task_id=job.key)), "", QUEUE])
    junk = {f"{leased}-{number}": "junk" for number in range(10_000)}
    with client.pipeline() as pipeline:
        pipeline.hset("seedsweep:unacked", mapping=junk | {"job": held})
        if leased:
            pipeline.zadd("seedsweep:unacked_index", dict.fromkeys(junk, time.time() - 1000) | {"job": 1.0})
        pipeline.execute()
    # Then it is given back, and nothing is left of the others
    assert attacked.result(job.key).status == "succeeded"
    assert_lives(attacked, seed=14 + leased)


def test_a_message_that_a_worker_takes_meanwhile_is_not_dropped(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a lease that has ended, without a message: it was given back, and keeps its tag
    client = cluster.server.client()
    client.zadd("seedsweep:unacked_index", {"tag": 1.0})

    def taken_meanwhile(*arguments: Any) -> Any:
        found = read_fields(*arguments)
        client.hset("seedsweep:unacked", "tag", "what another worker holds")
        return found

    monkeypatch.setattr(held, "read_fields", taken_meanwhile)
    # When such leases are dropped while another worker takes the message
    with cluster.app.connection_for_read() as connection, connection.channel() as channel:
        channel.qos._measure()
        assert channel.qos._drop_invalid(client, 16)
    # Then that worker still holds it
    assert client.hget("seedsweep:unacked", "tag") == b"what another worker holds"


@pytest.mark.parametrize(("lease", "seed"), [(None, 6), (1e11, 7), (math.inf, 8), (-1, 10), (-math.inf, 11)])
def test_a_held_message_with_no_lease_or_an_endless_one_holds_no_job(
    attacked: Cluster, lease: float | None, seed: int
) -> None:
    # Given a message in the place of those that workers hold, which nobody renews
    client = attacked.server.client()
    job = make_job(seed=seed)
    client.hset("seedsweep:unacked", "tag", json.dumps([json.loads(message(body(job), task_id=job.key)), "", QUEUE]))
    if lease is not None:
        client.zadd("seedsweep:unacked_index", {"tag": lease})
    # Then it is given back after a lease, and trained
    assert attacked.result(job.key).status == "succeeded"
    assert_lives(attacked, seed=9)


def test_what_others_wrote_begins_no_line_of_the_log_and_acts_on_no_terminal(attacked: Cluster) -> None:
    [worker] = attacked.workers
    client = attacked.server.client()
    forged = "x\n[2026-01-01 00:00:00,000: CRITICAL/MainProcess] forged\x1b]0;title\x07\u2028forged"
    # Given a job with attempts of workers, and one with a result, that have such texts
    given_up, finished = make_job(seed=16), make_job(seed=17)
    for number in (1, 2, 3):
        attempt = {"number": number, "cause": "hung", "worker": forged, "started": 1.0, "end": "hung"}
        client.hset(f"seedsweep:attempts:{given_up.key}", str(number), json.dumps(attempt))
    client.set(f"celery-task-meta-{finished.key}", json.dumps({"status": "SUCCESS", "result": forged}))
    # When they are submitted
    attacked.submit(given_up)
    assert "given up" in str(attacked.wait_for_state(given_up.key, "FAILURE", "SUCCESS")["result"])
    attacked.submit(finished)
    worker.wait_until_logged(f"{finished.key}] succeeded in")
    assert_lives(attacked, seed=18)
    # Then the log quotes them within its own records
    assert worker.text().count("forged") >= 6
    assert "\n[2026-01-01" not in worker.text()
    assert not {"\x1b", "\x07", "\u2028"} & set(worker.text())


def test_the_message_that_all_these_vary_is_a_valid_one(attacked: Cluster) -> None:
    attacked.server.client().rpush(QUEUE, message())
    assert attacked.result(JOB.key).status == "succeeded"


GOOD = {"seed": 1, "learning_rate": 0.1, "dataset": MNIST_DIGEST}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"seed": 1},
            "the message contains an invalid job: learning_rate is missing; allowed: a finite number greater than 0",
        ),
        (GOOD | {"colour": "red"}, "the message contains an invalid job: colour is 'red'; allowed: only the fields"),
        (
            GOOD | {"version": 2},
            "version is 2; allowed: 1, the version of such jobs that the trainer network trains here",
        ),
        (GOOD | {"seed": -1}, "seed is -1; allowed: an integer from 0 to 4294967295"),
        (GOOD | {"rule": "x" * 10_000}, "bytes; allowed: at most 4096 bytes of JSON"),
        (GOOD | {"learning_rate": "nan"}, "learning_rate is 'nan'; allowed: a finite number greater than 0"),
        (GOOD, "the job's key is"),  # A valid job under a name that is not its key.
        ([], "the message contains an invalid job: job is []; allowed: an object with the fields of a job"),
        (None, "the message contains an invalid job: job is None"),
    ],
)
def test_what_is_no_job_ends_as_a_failure_with_its_reason(attacked: Cluster, fields: Any, reason: str) -> None:
    task = attacked.app.tasks[TRAIN].apply_async(kwargs={"job": fields}, task_id=uuid.uuid4().hex * 2)
    error = attacked.wait_for_state(task.id, "FAILURE", "SUCCESS")["result"]
    assert type(error).__name__ == "JobRefusedError"
    assert reason in str(error)
    [worker] = attacked.workers
    worker.wait_until_logged(f"[{task.id}] raised expected: JobRefusedError")


def test_refused_messages_do_not_stop_the_worker(attacked: Cluster) -> None:
    # More in a row than the circuit breaker allows jobs to fail: the messages are to blame, not the worker.
    for number in range(attacked.settings.breaker_failures + 1):
        task = attacked.app.tasks[TRAIN].apply_async(kwargs={"job": number}, task_id=f"{number:064x}")
        attacked.wait_for_state(task.id, "FAILURE")
    assert_lives(attacked, seed=2)


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Cluster]:
    """Two workers that listen to operators and to each other, as workers outside tests do."""
    folder = tmp_path_factory.mktemp("party")
    server = RedisServer(folder)
    try:
        made = Cluster(server.start(), folder, cache_dir)
        try:
            for worker in [made.start_worker(sociable=True, ready=False) for _ in range(2)]:
                worker.wait_until_ready()
            # The peak of memory begins when a job has been trained.
            made.result(made.submit(make_job(seed=50)).id)
            yield made
        finally:
            made.close()
    finally:
        server.stop()


def dropped(cluster: Cluster) -> list[int]:
    return [worker.text().count("Dropped a message") for worker in cluster.workers]


def assert_all_answer(cluster: Cluster) -> None:
    """Assert that every worker answers a command, over the channel that was shouted at."""
    wait_for(lambda: len(cluster.app.control.ping(timeout=0.5)) == len(cluster.workers), "answers", report=cluster.logs)
    assert all(worker.process.poll() is None for worker in cluster.workers)


@pytest.mark.parametrize("name", NOISE)
def test_noise_on_a_channel_is_dropped(party: Cluster, name: str) -> None:
    before = dropped(party)
    channel, noise = NOISE[name]
    assert party.server.client().publish(channel, noise) == len(party.workers)
    wait_for(lambda: dropped(party) == [count + 1 for count in before], "a line in each log", report=party.logs)
    assert_all_answer(party)
    assert "Traceback" not in party.logs()


def test_what_all_this_noise_varies_is_valid(party: Cluster) -> None:
    before = dropped(party)
    client = party.server.client()
    client.publish(CONTROL_CHANNEL, command("ping", {}))
    client.publish(HEARTBEAT_CHANNEL, heartbeat())
    assert_all_answer(party)
    assert dropped(party) == before


def test_a_packed_broadcast_costs_no_memory(party: Cluster) -> None:
    # Given less than a megabyte that unpacks to more than 900
    packer = zlib.compressobj(9)
    packed = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(950)), packer.flush()])
    assert len(packed) < 1 << 20
    noise = command("ping", {}, headers={"compression": "application/x-gzip"})
    noise = json.dumps(json.loads(noise) | {"body": base64.b64encode(packed).decode()})
    peaks = [resident_peak(worker.process.pid) for worker in party.workers]
    # When it is published
    before = dropped(party)
    party.server.client().publish(CONTROL_CHANNEL, noise)
    wait_for(lambda: dropped(party) == [count + 1 for count in before], "a line in each log", report=party.logs)
    # Then nobody unpacks it
    grown = [resident_peak(worker.process.pid) - peak for worker, peak in zip(party.workers, peaks, strict=True)]
    assert max(grown) < 30 << 20


@pytest.mark.parametrize(
    ("method", "arguments", "sentence"),
    [
        ("pool_shrink", {"n": "x"}, "invalid arguments: n: Input should be a valid integer"),
        ("pool_shrink", {"n": 1}, "n must be less than the number of processes, which is 1"),
        ("pool_grow", {"n": 10**9}, "invalid arguments: n: Input should be less than or equal to 1000"),
        ("add_consumer", {"queue": "celery"}, "invalid arguments: queue: Input should be 'seedsweep'"),
        ("add_consumer", {"queue": {"a": 1}}, "invalid arguments: queue"),
        ("hello", {"from_node": 7}, "invalid arguments: from_node"),
        ("query_task", {"ids": {"a": 1}}, "invalid arguments: ids"),
        ("registered", {"taskinfoitems": 7}, "invalid arguments: taskinfoitems"),
        ("shutdown", {"msg": [7]}, "invalid arguments: msg: Extra inputs are not permitted"),
        ("revoke", {"task_id": "0" * 64}, "cancel jobs with `orchestrator cancel`"),
        ("revoke", {"task_id": [{}], "signal": 7, "terminate": "x"}, "cancel jobs with `orchestrator cancel`"),
        ("terminate", {"task_id": "0" * 64, "signal": "KILL"}, "cancel jobs with `orchestrator cancel`"),
        ("rate_limit", {"task_name": TRAIN, "rate_limit": "1/h"}, "drain workers with `cancel_consumer seedsweep`"),
        ("time_limit", {"task_name": TRAIN, "hard": "x"}, "cancel jobs that take too long"),
        ("pool_restart", {"modules": ["os"]}, "the commands are active, "),
        ("objgraph", {"num": "x"}, "the commands are active, "),
    ],
)
def test_a_command_that_is_not_obeyed_is_answered_with_a_sentence(
    party: Cluster, method: str, arguments: dict[str, Any], sentence: str
) -> None:
    replies = party.app.control.broadcast(method, arguments=arguments, reply=True, timeout=5, limit=len(party.workers))
    assert len(replies) == len(party.workers)
    for answered in replies:
        [answer] = answered.values()
        assert sentence in answer["error"]
    assert_all_answer(party)
    assert_trained(party, seed=60)


def assert_trained(cluster: Cluster, seed: int) -> None:
    cluster.app.AsyncResult(make_job(seed=seed).key).forget()
    assert cluster.result(cluster.submit(make_job(seed=seed)).id).status == "succeeded"


Asked = dict[str, Any]


def answer(server: RedisServer, ready: threading.Event, method: str, make: Callable[[Asked], str | bytes]) -> None:
    """Answer the next command of this name, with what `make` returns for the command."""
    with server.client() as client, client.pubsub() as channel:
        channel.subscribe(CONTROL_CHANNEL)
        ready.set()
        for heard in channel.listen():
            if heard["type"] == "message":
                asked = json.loads(base64.b64decode(json.loads(heard["data"])["body"]))
                if asked["method"] == method:
                    break
        client.lpush(f"{asked['reply_to']['routing_key']}.{REPLIES}", make(asked))


@contextlib.contextmanager
def answering(server: RedisServer, method: str, make: Callable[[Asked], str | bytes]) -> Iterator[None]:
    """A stranger who answers one command (`answer`)."""
    ready = threading.Event()
    stranger = threading.Thread(target=answer, args=(server, ready, method, make))
    stranger.start()
    ready.wait()
    yield
    stranger.join()


def reply_of(value: Any, name: str = "stranger@host") -> Callable[[Asked], str]:
    return lambda asked: reply({name: value}, asked["ticket"], asked["reply_to"])


def packed_reply(asked: Asked) -> str:
    """Return a reply of a hundred kilobytes that unpacks to 100 MiB."""
    made = json.loads(reply_of({})(asked))
    made["headers"]["compression"] = "application/x-gzip"
    return json.dumps(made | {"body": base64.b64encode(zlib.compress(bytes(100 << 20))).decode()})


NO_REPLIES: dict[str, Callable[[Asked], str | bytes]] = {
    "a byte": lambda _: "1",
    "a list": lambda _: "[]",
    "nested": lambda _: "[" * 200_000,
    "a list for a reply": lambda asked: reply([1], asked["ticket"], asked["reply_to"]),
    "an unknown encoding": lambda asked: reply_of({})(asked).replace("base64", "evil"),
    "a name with an escape": reply_of({}, name="\x1b]0;x\x07@host"),
    "packed": packed_reply,
}


@pytest.mark.parametrize("name", NO_REPLIES)
def test_what_is_no_reply_hides_no_worker_from_who_asked(party: Cluster, name: str) -> None:
    # The connection is one of the app's pool, as that of `celery inspect`
    with answering(party.server, "ping", NO_REPLIES[name]):
        answers = party.app.control.ping(timeout=2)
    assert sorted(worker for each in answers for worker in each) == sorted(worker.name for worker in party.workers)


def test_a_reply_does_not_act_on_a_terminal(party: Cluster) -> None:
    with answering(party.server, "ping", reply_of({"ok": ["\x1b]0;x\x07", {"\x1b": 1}]})):
        answers = {name: value for each in party.app.control.ping(timeout=2) for name, value in each.items()}
    assert answers["stranger@host"] == {"ok": ["\\x1b]0;x\\x07", {"\\x1b": 1}]}


def test_bindings_that_are_none_keep_nobody_from_replying(party: Cluster) -> None:
    client = party.server.client()
    client.sadd(f"_kombu.binding.{REPLIES}", "x", f"{uuid.uuid4()}\x06\x16\x06\x16{QUEUE}")
    try:
        assert_all_answer(party)
    finally:
        client.delete(f"_kombu.binding.{REPLIES}")


def test_a_job_that_workers_were_told_to_revoke_is_trained(party: Cluster) -> None:
    jobs = [make_job(seed=seed, epochs=30) for seed in range(70, 74)]
    keys = [job.key for job in jobs]
    # Given workers that were told, by a command, by a new neighbour, and by one that answered
    party.app.control.revoke(keys)
    party.app.control.broadcast("hello", arguments={"from_node": "stranger@host", "revoked": keys})
    with answering(party.server, "hello", reply_of({"clock": 1, "revoked": keys})):
        party.start_worker(sociable=True).wait_until_logged("mingle: sync with")
    # When somebody asks for the jobs
    for job in jobs:
        party.submit(job)
    # Then they are trained
    assert {party.result(key).status for key in keys} == {"succeeded"}


def test_another_applications_commands_and_events_do_not_reach_us(party: Cluster) -> None:
    # Given another Celery application on the same database, with Celery's own names
    with Celery("other", broker=party.server.url) as other:
        channels = [name.decode() for name in party.server.client().pubsub_channels()]
        assert not [name for name in channels if "celery" in name]
        # When it ends its workers
        other.control.broadcast("shutdown")
        # Then ours live
        time.sleep(1)
        assert_all_answer(party)
    # And they have nothing there that it could hear
    assert party.server.client().pubsub_numpat() > 0
    assert party.server.client().publish("/0.celery.pidbox", "x") == 0
    assert party.server.client().publish("/0.celeryev/worker.heartbeat", "x") == 0
