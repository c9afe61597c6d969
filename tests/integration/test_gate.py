"""What our own processes send passes the gate unchanged; the models in `worker.messages` name nothing else."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from celery.app.task import Context

from tests.support.cluster import Cluster, make_job
from tests.support.messages import JOB, task_event
from worker.gate.transport import admitted
from worker.job import Job
from worker.messages import EVENTS, MAX_TASK_BYTES, QUEUE, TRAIN, TaskHeaders, TaskProperties

#: Every field as long as it can be.
LONGEST = make_job(
    seed=2**32 - 1,
    learning_rate=1.2345678901234567e-300,
    epochs=100_000,
    hidden_layer_sizes=(4096, 4096),
    loss="sum_of_squares",
    dtype="float64",
    shuffle=True,
    limit=2**31 - 1,
)


def taken(cluster: Cluster) -> bytes:
    raw: bytes = cluster.server.client().rpop(QUEUE)
    return raw


def read(raw: bytes) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(raw)
    return message | {"body": json.loads(base64.b64decode(message["body"]))}


@pytest.mark.parametrize("job", [make_job(), LONGEST], ids=["short", "longest"])
@pytest.mark.parametrize("label", [None, "v", "x" * 40])
def test_a_message_that_we_send_passes_as_it_is(cluster: Cluster, job: Job, label: str | None) -> None:
    cluster.submit(job, label)
    raw = taken(cluster)
    passed = admitted(QUEUE, raw)
    assert passed is not None
    assert read(passed) == read(raw)
    assert len(raw) < MAX_TASK_BYTES / 4


def test_the_models_name_exactly_what_we_send(cluster: Cluster) -> None:
    cluster.submit(make_job())
    sent = json.loads(taken(cluster))
    # Beside the mark on a message that is given back, and a property that only retries have.
    assert TaskHeaders.model_fields.keys() - sent["headers"].keys() == {"redelivered"}
    assert TaskProperties.model_fields.keys() - sent["properties"].keys() == {"origin"}
    assert sent["headers"].keys() <= TaskHeaders.model_fields.keys()


def test_a_retry_after_a_lost_process_passes(cluster: Cluster) -> None:
    # Given what Celery sends for a job whose process died
    cluster.submit(LONGEST)
    first = read(taken(cluster))
    task = cluster.app.tasks[TRAIN]
    context = Context(
        first["headers"], args=[], kwargs=first["body"][1], delivery_info=first["properties"]["delivery_info"],
        reply_to=first["properties"]["reply_to"], correlation_id=LONGEST.key,
    )  # fmt: skip
    task.signature_from_request(context, countdown=task.default_retry_delay, retries=1).apply_async()
    # Then it passes, with its time
    raw = taken(cluster)
    passed = admitted(QUEUE, raw)
    assert passed is not None
    assert read(passed) == read(raw)
    assert read(passed)["headers"]["eta"] is not None


def test_a_message_that_is_taken_without_waiting_passes_the_gate_too(cluster: Cluster) -> None:
    # Given a message with a forged header, ahead of a valid one
    cluster.submit(make_job())
    raw = taken(cluster)
    forged = json.loads(raw)
    forged["headers"]["expires"] = "2000-01-01T00:00:00+00:00"
    client = cluster.server.client()
    client.rpush(QUEUE, raw, json.dumps(forged))
    # When somebody takes a message from the queue without waiting for one, as kombu allows
    with cluster.app.connection_for_read() as connection:
        message = connection.default_channel.basic_get(QUEUE, no_ack=True)
        assert message is not None
        assert message.headers["id"] == make_job().key
        assert message.headers["expires"] is None
        assert connection.default_channel.basic_get(QUEUE, no_ack=True) is None
    # Then the forged one is gone
    assert client.llen(QUEUE) == 0


def test_nothing_passes_where_nothing_is_expected(cluster: Cluster) -> None:
    cluster.submit(make_job())
    raw = taken(cluster)
    for source in ("seedsweep2", "celery", "seedsweep.pidbox", "x.reply.seedsweep.pidbox", "seedsweep.ev/x", ""):
        assert admitted(source, raw) is None


def test_flower_is_shown_the_end_of_a_long_text() -> None:
    event = {
        "hostname": "w@host", "utcoffset": 0, "pid": 1, "clock": 1, "timestamp": 1.0, "type": "task-failed",
        "uuid": JOB.key, "traceback": "x" * 99_000 + "the end",
    }  # fmt: skip
    passed = admitted(f"{EVENTS}/task.failed", task_event(event).encode())
    assert passed is not None
    shown = read(passed)["body"]["traceback"]
    assert shown.endswith("the end")
    assert len(shown) <= 2000


@pytest.mark.parametrize("foreign", [{"type": "task-invented"}, {"name": "invented"}])
def test_flower_counts_only_our_kinds_of_events(foreign: dict[str, str]) -> None:
    event = {
        "hostname": "w@host", "utcoffset": 0, "pid": 1, "clock": 1, "timestamp": 1.0, "type": "task-failed",
        "uuid": JOB.key, "name": TRAIN,
    }  # fmt: skip
    source = f"{EVENTS}/task.multi"
    assert admitted(source, task_event(event).encode()) is not None
    assert admitted(source, task_event(event | foreign).encode()) is None


def test_a_text_that_flower_is_shown_takes_a_byte_for_each_character() -> None:
    event = {
        "hostname": "w@host", "utcoffset": 0, "pid": 1, "clock": 1, "timestamp": 1.0, "type": "task-failed",
        "uuid": JOB.key, "exception": "\N{GRINNING FACE}" * 2000,
    }  # fmt: skip
    passed = admitted(f"{EVENTS}/task.failed", task_event(event).encode())
    assert passed is not None
    shown = read(passed)["body"]["exception"]
    assert shown.isascii()
    assert len(shown) <= 2000
