"""What our own processes send passes the gate unchanged; the models in `worker.messages` name nothing else."""

import base64
import itertools
import json
from typing import Any

from celery.app.task import Context

from tests.support.cluster import Cluster, make_job
from worker.gate.transport import admitted
from worker.messages import MAX_TASK_BYTES, QUEUE, TRAIN, TaskHeaders, TaskProperties

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


def test_a_message_that_we_send_passes_as_it_is(shared_cluster: Cluster) -> None:
    for job, label in itertools.product((make_job(), LONGEST), (None, "v", "x" * 40)):
        shared_cluster.submit(job, label)
        raw = taken(shared_cluster)
        passed = admitted(QUEUE, raw)
        assert passed is not None
        assert read(passed) == read(raw)
        assert len(raw) < MAX_TASK_BYTES / 4
    # And the models name exactly what we send, beside the mark on a message that is given back, and a property that
    # only retries have
    sent = json.loads(raw)
    assert TaskHeaders.model_fields.keys() - sent["headers"].keys() == {"redelivered"}
    assert TaskProperties.model_fields.keys() - sent["properties"].keys() == {"origin"}
    assert sent["headers"].keys() <= TaskHeaders.model_fields.keys()


def test_a_retry_after_a_lost_process_passes(shared_cluster: Cluster) -> None:
    # Given what Celery sends for a job whose process died
    shared_cluster.submit(LONGEST)
    first = read(taken(shared_cluster))
    task = shared_cluster.app.tasks[TRAIN]
    context = Context(
        first["headers"], args=[], kwargs=first["body"][1], delivery_info=first["properties"]["delivery_info"],
        reply_to=first["properties"]["reply_to"], correlation_id=LONGEST.key,
    )  # fmt: skip
    task.signature_from_request(context, countdown=task.default_retry_delay, retries=1).apply_async()
    # Then it passes, and is for no later time
    raw = taken(shared_cluster)
    passed = admitted(QUEUE, raw)
    assert passed is not None
    assert read(passed) == read(raw)
    assert (read(passed)["headers"]["retries"], read(passed)["headers"]["eta"]) == (1, None)


def test_a_message_that_is_taken_without_waiting_passes_the_gate_too(shared_cluster: Cluster) -> None:
    # Given a message with a forged header, ahead of a valid one
    shared_cluster.submit(make_job())
    raw = taken(shared_cluster)
    forged = json.loads(raw)
    forged["headers"]["expires"] = "2000-01-01T00:00:00+00:00"
    client = shared_cluster.server.client()
    client.rpush(QUEUE, raw, json.dumps(forged))
    # When somebody takes a message from the queue without waiting for one, as kombu allows
    with shared_cluster.app.connection_for_read() as connection:
        message = connection.default_channel.basic_get(QUEUE, no_ack=True)
        assert message is not None
        assert message.headers["id"] == make_job().key
        assert message.headers["expires"] is None
        assert connection.default_channel.basic_get(QUEUE, no_ack=True) is None
    # Then the forged one is gone
    assert client.llen(QUEUE) == 0
