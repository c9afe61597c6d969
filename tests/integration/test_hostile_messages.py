"""Whatever lies in the queue or is published, the worker lives, says what it dropped, and trains the next job."""

import base64
import bz2
import contextlib
import json
import math
import threading
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from nn.datasets.mnist import MNIST_DIGEST
from tests.support.cluster import Cluster, make_job, running_cluster
from tests.support.memory import resident
from tests.support.messages import CONTROL_CHANNEL, GARBAGE, NOISE, body, command, message, no_replies, pickled, reply
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess
from worker.gate import held
from worker.gate.broadcasts import MAX_COMMAND_BYTES
from worker.job import Job
from worker.messages import QUEUE, REPLIES, TRAIN
from worker.redis.bounded import read_fields


def assert_lives(cluster: Cluster) -> WorkerProcess:
    """Assert that the worker trains the next job, and has nothing left of what it got before."""
    [worker] = cluster.workers
    assert_trained(cluster)
    cluster.wait_until_acknowledged()
    assert worker.process.poll() is None
    return worker


def assert_trained(cluster: Cluster) -> None:
    """Assert that a job is trained which nobody has asked for before."""
    seed = int(cluster.server.client().incr("seed-of-the-test"))
    assert cluster.result(cluster.submit(make_job(seed=seed)).id).status == "succeeded"


#: A key that is no queue's.
FOREIGN = "seedsweep:finished:x"


def held_message(job: Job, queue: str = QUEUE) -> str:
    """Return what is stored of the message of a job while a worker holds it."""
    return json.dumps([json.loads(message(body(job), task_id=job.key)), "", queue])


def test_garbage_is_dropped(serving: Cluster, tmp_path: Path) -> None:
    [worker] = serving.workers
    before = len(worker.text())
    # Among it is a message that would make a folder if anybody unpickled it.
    serving.server.client().rpush(QUEUE, *GARBAGE.values(), pickled(str(tmp_path / "unpickled")))
    assert_lives(serving)
    assert list(tmp_path.iterdir()) == []
    # With one line for each, in which nothing acts on a terminal, and no second one
    told = worker.text()[before:]
    assert told.count("Dropped a message") == len(GARBAGE) + 1
    assert "content-encoding: Input should be 'utf-8'" in told
    assert not [word for word in ("Traceback", "\x1b", "\n[CRITICAL]") if word in told]


def test_a_small_message_that_unpacks_to_a_large_one_is_dropped_unread(serving: Cluster) -> None:
    packed = message(100 * bz2.compress(bytes(20 << 20)), compression="application/x-bz2")
    assert len(packed) < 10_000
    serving.server.client().rpush(QUEUE, packed)
    worker = assert_lives(serving)
    worker.wait_until_logged("headers at compression")
    assert resident("VmHWM", worker.process.pid) < 1 << 30


#: What lies in the place of messages that a worker held until it died, and when the leases of all ended; a job's: at 3.
HELD: dict[str, tuple[dict[str, str], dict[str, float]]] = {
    "older and younger ones": (
        {"1": "{garbage", "2": held_message(make_job(), FOREIGN), "4": "[7]", "5": "[" * 200_000},
        {"1": 1.0, "2": 2.0, "4": 4.0, "5": 5.0},
    ),
    "thousands": (dict.fromkeys(map(str, range(10_000)), "junk"), dict.fromkeys(map(str, range(10_000)), 1e9)),
    "thousands without a lease": (dict.fromkeys(map(str, range(3_000)), "junk"), {}),
}


@pytest.mark.parametrize("case", HELD)
def test_held_messages_that_are_none_do_not_keep_a_job_waiting(serving: Cluster, case: str) -> None:
    # Given a message that a dead worker held, and others that are none
    client = serving.server.client()
    job = make_job(seed=1001 + list(HELD).index(case))
    junk, leases = HELD[case]
    with client.pipeline() as pipeline:
        pipeline.hset("seedsweep:unacked", mapping=junk | {"job": held_message(job)})
        if leases:
            pipeline.zadd("seedsweep:unacked_index", leases | {"job": 3.0})
        pipeline.execute()
    # Then the job is given back and trained, and the garbage is gone
    assert serving.result(job.key).status == "succeeded"
    assert_lives(serving)
    assert not client.exists(FOREIGN)


def test_a_message_that_a_worker_takes_meanwhile_is_not_dropped(
    shared_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a lease that has ended, without a message: it was given back, and keeps its tag
    client = shared_cluster.server.client()
    client.zadd("seedsweep:unacked_index", {"tag": 1.0})

    def taken_meanwhile(*arguments: Any) -> Any:
        found = read_fields(*arguments)
        client.hset("seedsweep:unacked", "tag", "what another worker holds")
        return found

    monkeypatch.setattr(held, "read_fields", taken_meanwhile)
    # When such leases are dropped while another worker takes the message
    with shared_cluster.app.connection_for_read() as connection, connection.channel() as channel:
        channel.qos._clock.measure(client)
        assert channel.qos._drop_invalid(client, 16)
    # Then that worker still holds it
    assert client.hget("seedsweep:unacked", "tag") == b"what another worker holds"


def test_a_held_message_with_no_lease_or_an_endless_one_holds_no_job(serving: Cluster) -> None:
    # Given messages in the place of those that workers hold, which nobody renews
    client = serving.server.client()
    leases = [None, 1e11, math.inf, -1, -math.inf]
    jobs = [make_job(seed=1010 + number) for number in range(len(leases))]
    for job, lease in zip(jobs, leases, strict=True):
        client.hset("seedsweep:unacked", job.key, held_message(job))
        if lease is not None:
            client.zadd("seedsweep:unacked_index", {job.key: lease})
    # Then each is given back after a lease, and trained
    assert [serving.result(job.key).status for job in jobs] == ["succeeded"] * len(leases)
    assert_lives(serving)


def test_what_others_wrote_begins_no_line_of_the_log_and_acts_on_no_terminal(serving: Cluster) -> None:
    [worker] = serving.workers
    client = serving.server.client()
    forged = "x\n[2026-01-01 00:00:00,000: CRITICAL/MainProcess] forged\x1b]0;title\x07\u2028forged"
    # Given a job with attempts of workers, and one with a result, that have such texts
    given_up, finished = make_job(seed=1020), make_job(seed=1021)
    for number in (1, 2, 3):
        attempt = {"number": number, "cause": "hung", "worker": forged, "started": 1.0, "end": "hung"}
        client.hset(f"seedsweep:attempts:{given_up.key}", str(number), json.dumps(attempt))
    client.set(f"celery-task-meta-{finished.key}", json.dumps({"status": "SUCCESS", "result": forged}))
    # When they are submitted
    serving.submit(given_up)
    assert "given up" in str(serving.wait_for_state(given_up.key, "FAILURE", "SUCCESS")["result"])
    serving.submit(finished)
    worker.wait_until_logged(f"{finished.key}] succeeded in")
    assert_lives(serving)
    # Then the log quotes them within its own records
    assert worker.text().count("forged") >= 6
    assert "\n[2026-01-01" not in worker.text()
    assert not {"\x1b", "\x07", "\u2028"} & set(worker.text())


GOOD = {"seed": 1, "learning_rate": 0.1, "dataset": MNIST_DIGEST}
#: What a message asks for that is no job, and why it is refused.
REFUSED: list[tuple[Any, str]] = [
    (
        {"seed": 1},
        "the message contains an invalid job: learning_rate is missing; allowed: a finite number greater than 0",
    ),
    (GOOD | {"colour": "red"}, "the message contains an invalid job: colour is 'red'; allowed: only the fields"),
    (GOOD | {"version": 2}, "version is 2; allowed: 1, the version of such jobs that the trainer network trains here"),
    (GOOD | {"rule": "x" * 10_000}, "bytes; allowed: at most 4096 bytes of JSON"),
    (GOOD, "the job's key is"),  # A valid job under a name that is not its key.
    (  # Such a job of a trainer that is not here
        {"trainer": "softmax", "version": 1, "seed": 0, "dataset": MNIST_DIGEST, "options": {}},
        "the job's key is",
    ),
    ([], "the message contains an invalid job: job is []; allowed: an object with the fields of a job"),
    (None, "the message contains an invalid job: job is None"),
]


def test_what_is_no_job_ends_as_a_failure_with_its_reason_and_does_not_stop_the_worker(serving: Cluster) -> None:
    # Given more in a row than the circuit breaker allows jobs to fail: the messages are to blame, not the worker
    assert len(REFUSED) > serving.settings.breaker_failures
    train = serving.app.tasks[TRAIN]
    sent = [train.apply_async(kwargs={"job": job}, task_id=uuid.uuid4().hex * 2) for job, _ in REFUSED]
    # Then each has its reason
    [worker] = serving.workers
    for task, (_, reason) in zip(sent, REFUSED, strict=True):
        error = serving.wait_for_state(task.id, "FAILURE", "SUCCESS")["result"]
        assert type(error).__name__ == "JobRefusedError"
        assert reason in str(error)
        worker.wait_until_logged(f"[{task.id}] raised expected: JobRefusedError")
    assert_lives(serving)


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Cluster]:
    """Two workers that listen to operators and to each other, as workers outside tests do. They survive every test."""
    with running_cluster(tmp_path_factory.mktemp("party"), cache_dir) as made:
        for worker in [made.start_worker(sociable=True, ready=False) for _ in range(2)]:
            worker.wait_until_ready()
        # The peak of memory begins when a job has been trained.
        assert_trained(made)
        yield made
        assert_all_answer(made)
        assert_trained(made)


def dropped(cluster: Cluster) -> list[int]:
    return [worker.text().count("Dropped a message") for worker in cluster.workers]


def asked(cluster: Cluster, method: str, arguments: dict[str, Any] | None = None) -> list[Any]:
    """Return what the workers answer to a command."""
    count = len(cluster.workers)
    replies = cluster.app.control.broadcast(method, arguments=arguments, reply=True, timeout=30, limit=count)
    answers = {name: answer for each in replies for name, answer in each.items()}
    assert answers.keys() == {worker.name for worker in cluster.workers}, cluster.logs()
    return list(answers.values())


def assert_all_answer(cluster: Cluster) -> None:
    """Assert that every worker answers a command, over the channel that was shouted at."""
    assert asked(cluster, "ping") == [{"ok": "pong"}] * len(cluster.workers)
    assert all(worker.process.poll() is None for worker in cluster.workers)


def shout(cluster: Cluster, noises: Iterable[tuple[str, str | bytes]]) -> None:
    """Publish what must be dropped, and wait until each worker has logged it."""
    expected = dropped(cluster)
    for channel, noise in noises:
        assert cluster.server.client().publish(channel, noise) == len(cluster.workers)
        expected = [count + 1 for count in expected]
    wait_for(lambda: dropped(cluster) == expected, "a line for each in each log", report=cluster.logs)


def test_noise_on_a_channel_is_dropped(party: Cluster) -> None:
    shout(party, NOISE.values())
    assert_all_answer(party)
    assert "Traceback" not in party.logs()


def test_a_packed_broadcast_costs_no_memory(party: Cluster) -> None:
    # Given a message within the longest length, and a longer one, that unpack to a thousand times theirs
    noises = []
    for megabytes in (40, 100):
        noise = json.loads(command("ping", {}, headers={"compression": "application/x-gzip"}))
        noise["body"] = base64.b64encode(zlib.compress(bytes(megabytes << 20))).decode()
        noises.append((CONTROL_CHANNEL, json.dumps(noise)))
    assert len(noises[0][1]) < MAX_COMMAND_BYTES < len(noises[1][1])
    peaks = [resident("VmHWM", worker.process.pid) for worker in party.workers]
    # When they are published
    shout(party, noises)
    # Then nobody unpacks it
    grown = [resident("VmHWM", worker.process.pid) - peak for worker, peak in zip(party.workers, peaks, strict=True)]
    assert max(grown) < 30 << 20


@pytest.mark.parametrize(
    ("method", "arguments", "sentence"),
    [
        ("pool_grow", {"n": 1}, "start the worker again with another --concurrency"),
        ("autoscale", {"max": 24, "min": 24}, "start the worker again with another --concurrency"),
        ("add_consumer", {"queue": "celery"}, "invalid arguments at queue: Input should be 'seedsweep'"),
        ("add_consumer", {"queue": {"a": 1}}, "invalid arguments at queue"),
        ("hello", {"from_node": 7}, "invalid arguments at from_node"),
        ("query_task", {"ids": {"a": 1}}, "invalid arguments at ids"),
        ("registered", {"taskinfoitems": 7}, "invalid arguments at taskinfoitems"),
        ("shutdown", {"msg": [7]}, "invalid arguments at msg: Extra inputs are not permitted"),
        ("revoke", {"task_id": [{}], "signal": 7, "terminate": "x"}, "cancel jobs with `orchestrator cancel`"),
        ("terminate", {"task_id": "0" * 64, "signal": "KILL"}, "cancel jobs with `orchestrator cancel`"),
        ("rate_limit", {"task_name": TRAIN, "rate_limit": "1/h"}, "drain workers with `cancel_consumer seedsweep`"),
        ("pool_restart", {"modules": ["os"]}, "the commands are active, "),
    ],
)
def test_a_command_that_is_not_obeyed_is_answered_with_a_sentence(
    party: Cluster, method: str, arguments: dict[str, Any], sentence: str
) -> None:
    assert all(sentence in answer["error"] for answer in asked(party, method, arguments))


Replies = Callable[[str, dict[str, str]], list[str | bytes]]


def answer(server: RedisServer, ready: threading.Event, method: str, make: Replies) -> None:
    """Answer the next command of this name, with what `make` returns for its ticket and where its answers go."""
    with server.client() as client, client.pubsub() as channel:
        channel.subscribe(CONTROL_CHANNEL)
        ready.set()
        for heard in channel.listen():
            if heard["type"] == "message":
                command = json.loads(base64.b64decode(json.loads(heard["data"])["body"]))
                if command["method"] == method:
                    break
        reply_to = command["reply_to"]
        client.lpush(f"{reply_to['routing_key']}.{REPLIES}", *make(command["ticket"], reply_to))


@contextlib.contextmanager
def answering(server: RedisServer, method: str, make: Replies) -> Iterator[None]:
    """A stranger who answers one command (`answer`)."""
    ready = threading.Event()
    stranger = threading.Thread(target=answer, args=(server, ready, method, make))
    stranger.start()
    ready.wait()
    yield
    stranger.join()


def test_what_is_no_reply_hides_no_worker_and_no_reply_acts_on_a_terminal(party: Cluster) -> None:
    def replies(ticket: str, reply_to: dict[str, str]) -> list[str | bytes]:
        strange = reply({"stranger@host": {"ok": ["\x1b]0;x\x07", {"\x1b": 1}]}}, ticket, reply_to)
        return [*no_replies(ticket, reply_to).values(), strange]

    # The connection is one of the app's pool, as that of `celery inspect`
    with answering(party.server, "ping", replies):
        answers = party.app.control.ping(timeout=30, limit=len(party.workers) + 1)
    assert {name: value for each in answers for name, value in each.items()} == {
        "stranger@host": {"ok": ["\\x1b]0;x\\x07", {"\\x1b": 1}]},
        **{worker.name: {"ok": "pong"} for worker in party.workers},
    }


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
    told = {"stranger@host": {"clock": 1, "revoked": keys}}
    with answering(party.server, "hello", lambda ticket, reply_to: [reply(told, ticket, reply_to)]):
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
    # Then ours live, and have nothing there that they could hear
    assert_all_answer(party)
    assert party.server.client().pubsub_numpat() > 0
    assert party.server.client().publish("/0.celery.pidbox", "x") == 0
    assert party.server.client().publish("/0.celeryev/worker.heartbeat", "x") == 0
