"""What workers tell Flower of a job: how far it is, that it was given back, that it was cancelled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster, make_job
from tests.support.flower_process import FlowerProcess
from tests.support.waiting import wait_for
from worker.messages import TRAIN


@pytest.fixture
def flower(cluster: Cluster, tmp_path: Path) -> Iterator[FlowerProcess]:
    made = FlowerProcess(tmp_path, cluster.server.url)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def told(cluster: Cluster) -> Iterator[list[dict[str, Any]]]:
    """The events of progress that arrive during the test."""
    events: list[dict[str, Any]] = []
    with cluster.app.connection_for_read() as connection:
        receiver = cluster.app.events.Receiver(connection, handlers={"task-progress": events.append})
        thread = threading.Thread(target=receiver.capture, kwargs={"limit": None, "wakeup": False})
        thread.start()
        try:
            yield events
        finally:
            receiver.should_stop = True
            thread.join(timeout=20)
            assert not thread.is_alive()


def shown(flower: FlowerProcess, run: str, state: str) -> dict[str, Any]:
    """Wait until Flower shows a job in this state; return what it shows of it."""

    def task() -> dict[str, Any] | None:
        found: dict[str, Any] | None = flower.tasks(state).get(run)
        return found

    return wait_for(task, f"{run[:12]} as {state} in Flower", report=flower.text)


def test_every_epoch_but_the_last_is_told_with_its_accuracy(cluster: Cluster, told: list[dict[str, Any]]) -> None:
    # Given a job whose epochs take longer than the pause between two reports
    cluster.start_worker()
    job = make_job(engine="numpy", epochs=4, limit=6000)
    # When it is trained
    result = cluster.result(cluster.submit(job).id)
    assert min(result.epoch_seconds) > 0.25
    # Then each epoch was told in words, and the last one is told by the result
    assert [(event["uuid"], event["result"]) for event in told] == [
        (job.key, f"epoch {number} of 4: validation accuracy {100 * accuracy:.2f} %")
        for number, accuracy in enumerate(result.validation_score[:-1], start=1)
    ]


@pytest.mark.slow(reason="restarts Flower in the middle of a long job")
def test_flower_shows_a_job_from_its_progress_over_a_restart_to_its_end(
    cluster: Cluster, flower: FlowerProcess
) -> None:
    # Given a job in training
    first = cluster.start_worker()
    run = cluster.submit(make_job(epochs=200, limit=5000)).id
    progress = shown(flower, run, "PROGRESS")["result"]
    # When its worker ends
    assert first.stop(timeout=20) == 0
    # Then Flower shows that it waits for another worker, and after which epoch it stands
    given_back = shown(flower, run, "GIVEN_BACK")["result"]
    stored = cluster.app.backend.get_task_meta(run, cache=False)["result"]["epoch"]
    assert int(progress.split()[1]) <= stored < 200
    assert given_back.startswith(f"epoch {stored} of 200: validation accuracy ")
    # And its result when it has ended on another one
    cluster.start_worker()
    result = cluster.result(run)
    task = shown(flower, run, "SUCCESS")
    assert task["worker"] == "w2@test"
    assert f"{100 * result.validation_score[-1]:.2f} %" in task["result"]


def test_flower_shows_a_waiting_job_that_was_cancelled(cluster: Cluster, flower: FlowerProcess) -> None:
    # Given a job that was cancelled before a worker began with it
    run = cluster.submit(make_job()).id
    cluster.store().cancel([run], "by a test")
    # When a worker takes its message
    cluster.start_worker()
    # Then Flower shows it as such
    assert shown(flower, run, "REVOKED")["revoked"] is not None


def test_flower_shows_a_running_job_that_was_cancelled(cluster: Cluster, flower: FlowerProcess) -> None:
    # Given a job in training
    cluster.start_worker()
    run = cluster.submit(make_job(epochs=1000, limit=5000)).id
    shown(flower, run, "PROGRESS")
    # When it is cancelled
    cluster.store().cancel([run], "by a test")
    cluster.wait_for_state(run, "REVOKED")
    # Then Flower shows it as such
    wait_for(lambda: flower.tasks()[run]["revoked"], "the event in Flower", report=flower.text)
    assert flower.tasks()[run]["state"] == "REVOKED"


@pytest.mark.parametrize("epochs", [1, 60])
def test_a_flower_that_starts_during_a_job_shows_what_the_job_is(cluster: Cluster, tmp_path: Path, epochs: int) -> None:
    # Given a job in training, and a Flower that starts only now
    worker = cluster.start_worker()
    job = make_job(epochs=epochs, limit=20_000)
    run = cluster.submit(job).id
    cluster.wait_for_state(run, "STARTED", "PROGRESS")
    child = worker.children()[0]
    child.suspend()
    flower = FlowerProcess(tmp_path, cluster.server.url)
    try:
        flower.start()
        # When its worker tells how far the job is, or, of a job with a single epoch, only how it ended
        child.resume()
        # Then Flower shows the name and the arguments of the task, whose announcement it has missed
        for state in ("PROGRESS", "SUCCESS") if epochs > 1 else ("SUCCESS",):
            task = shown(flower, run, state)
            assert (task["name"], task["args"], task["kwargs"]) == (TRAIN, "", str(job))
        # And finds the task by its name
        assert run in flower.json(f"/api/tasks?taskname={TRAIN}")
    finally:
        flower.stop()


def test_flower_looks_up_results(cluster: Cluster, flower: FlowerProcess) -> None:
    cluster.start_worker()
    run = cluster.submit(make_job()).id
    result = cluster.result(run)
    assert flower.json(f"/api/task/result/{run}")["result"] == result.__json__()
