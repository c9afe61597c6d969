"""A real worker on a real Redis: what it trains and stores, in every way that Celery can run its processes."""

import contextlib
import os
import socket
from pathlib import Path

import pytest
from kombu.asynchronous import Hub

from nn.datasets.mnist import load_mnist
from nn.files import digest
from nn.weights import from_safetensors
from tests.support.cluster import Cluster, make_job
from worker.training.trainer import train


def test_a_job_comes_back_as_its_result(serving: Cluster, cache_dir: Path) -> None:
    # When a job is submitted, and an ordinary Celery user waits for it
    job = make_job(seed=3)
    task = serving.submit(job)
    assert task.get(timeout=60)["status"] == "succeeded"
    # Then its result is the one that training here gives, to the bit
    result = serving.result(task.id)
    trained = train(job, load_mnist(cache_dir=cache_dir))
    assert result.job == job.key
    assert result.status == "succeeded"
    assert result.weights_sha256 == digest(trained.weights)
    assert result.validation_score == [epoch.score for epoch in trained.history]
    assert len(result.epoch_seconds) == job.epochs
    assert (result.worker, result.attempts, result.error) == ("w1@test", 1, None)
    # And its weights are in the store under that hash
    blob = serving.store().weights(result.job, result.weights_sha256, result.weights_bytes)
    assert len(blob) == result.weights_bytes
    assert from_safetensors(blob).layer_sizes == (784, 128, 64, 10)


def test_progress_shows_in_the_tasks_state(serving: Cluster) -> None:
    run = serving.submit(make_job(epochs=1000)).id
    report = serving.wait_for_state(run, "PROGRESS")["result"]
    assert 1 <= report["epoch"] < 1000
    assert 0 <= report["validation_score"][-1] <= 1
    assert (report["worker"], report["attempt"]) == ("w1@test", 1)
    serving.store().cancel([run], "seen enough")
    serving.wait_for_state(run, "REVOKED")


@pytest.mark.parametrize(
    "arguments",
    [("--pool", "solo"), ("--pool", "threads"), ("--pool", "prefork", "--pool-start-method", "spawn")],
    ids=["solo", "threads", "spawn"],
)
def test_other_pools_give_the_same_results(cluster: Cluster, arguments: tuple[str, ...]) -> None:
    cluster.start_worker(*arguments, concurrency=2)
    jobs = [make_job(seed=seed) for seed in range(3)]
    results = [cluster.result(cluster.submit(job).id) for job in jobs]
    assert [result.attempts for result in results] == [1, 1, 1]
    assert len({result.weights_sha256 for result in results}) == 3


def tick(hub: Hub) -> None:
    for each in list(hub.on_tick):
        each()


def test_the_number_of_a_closed_socket_is_not_watched(shared_cluster: Cluster) -> None:
    with shared_cluster.app.connection_for_read() as connection, contextlib.ExitStack() as stack:
        # Given a consumer that waits for messages and for announcements, as a worker does
        channel = connection.default_channel
        cycle, hub = connection.transport.cycle, Hub()
        connection.transport.register_with_event_loop(connection.connection, hub)
        stack.enter_context(shared_cluster.app.amqp.TaskConsumer(channel, on_message=print))
        stack.enter_context(shared_cluster.app.control.mailbox.Node("w1@test", channel=channel).listen())
        tick(hub)
        number = channel.subclient.connection._sock.fileno()
        assert number in cycle.fds
        # When the socket for announcements is closed, and another thread's socket gets its number
        channel.subclient.connection.disconnect()
        others = [stack.enter_context(other) for other in socket.socketpair()]
        if number not in [other.fileno() for other in others]:
            os.dup2(others[0].fileno(), number)
            stack.callback(os.close, number)
        tick(hub)
        # Then the event loop does not watch it: it would wait there for a message for ever
        assert channel.subclient.connection._sock.fileno() != number
        assert number not in cycle.fds
        assert number not in hub.readers
