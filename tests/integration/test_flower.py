"""Flower as the cluster runs it: who gets in, what workers tell it, what it remembers. Its pages: tests/browser."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import SLOW_EPOCHS, Cluster, make_job, running_cluster
from tests.support.flower_process import FlowerProcess
from tests.support.waiting import wait_for
from worker.job import Job
from worker.messages import TRAIN

#: The most jobs that the Flower of these tests remembers.
MOST = 4


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Cluster]:
    """A cluster whose worker the tests share. An epoch takes longer than the pause between two reports."""
    with running_cluster(tmp_path_factory.mktemp("party"), cache_dir) as made:
        made.start_worker(*SLOW_EPOCHS, EPOCH_TENTHS="5")
        yield made


@pytest.fixture(scope="module")
def flower(party: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlowerProcess]:
    with FlowerProcess(tmp_path_factory.mktemp("flower"), party.server.url, FLOWER_MAX_TASKS=str(MOST)) as made:
        yield made


@pytest.fixture
def told(party: Cluster) -> Iterator[list[dict[str, Any]]]:
    """The events of progress that arrive during the test."""
    events: list[dict[str, Any]] = []

    def listeners() -> int:
        return sum(client["psub"] != "0" for client in party.server.client().client_list())

    before = listeners()
    with party.app.connection_for_read() as connection:
        receiver = party.app.events.Receiver(connection, handlers={"task-progress": events.append})
        thread = threading.Thread(target=receiver.capture, kwargs={"limit": None, "wakeup": False})
        thread.start()
        try:
            wait_for(lambda: listeners() > before, "the receiver to listen")
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


def test_nothing_can_be_changed_even_with_the_password(party: Cluster, flower: FlowerProcess) -> None:
    answers = {path: flower.get(path, method="POST")[0] for path in CHANGES}
    assert answers == dict.fromkeys(CHANGES, 403)
    # And the worker takes the next job, whose result Flower looks up
    run = party.submit(make_job(seed=1)).id
    result = party.result(run)
    assert flower.json(f"/api/task/result/{run}")["result"] == result.__json__()
    assert party.workers[0].process.poll() is None


def test_its_history_outlives_a_kill_and_is_bounded(party: Cluster, flower: FlowerProcess) -> None:
    # Given more jobs than it remembers
    jobs = [party.submit(make_job(seed=seed, epochs=1, limit=50)).id for seed in range(100, 103 + MOST)]
    for job in jobs:
        party.result(job)
    wait_for(lambda: jobs[-1] in flower.tasks("SUCCESS"), "the last job in Flower")
    # Then it knows the last ones
    known = flower.tasks("SUCCESS").keys()
    assert known == set(jobs[-MOST:])
    # When it is killed once its file is written, after the one that it may have been writing, and starts again
    for _ in range(2):
        written = max(flower.written(), time.time_ns())
        wait_for(lambda written=written: flower.written() > written, "its file to be written")
    flower.stop(signal.SIGKILL)
    flower.start()
    # Then it knows them still
    assert flower.tasks("SUCCESS").keys() == known


def test_every_epoch_but_the_last_is_told_with_its_accuracy(party: Cluster, told: list[dict[str, Any]]) -> None:
    # When a job is trained
    job = make_job(epochs=3)
    result = party.result(party.submit(job).id)
    # Then each epoch was told in words, and the last one is told by the result
    wait_for(lambda: len(told) >= job.epochs - 1, "the reports")
    assert [(event["uuid"], event["result"]) for event in told] == [
        (job.key, f"epoch {number} of 3: validation accuracy {100 * accuracy:.2f} %")
        for number, accuracy in enumerate(result.validation_score[:-1], start=1)
    ]


@pytest.mark.slow(reason="restarts Flower in the middle of a long job")
def test_flower_shows_a_job_from_its_progress_over_a_restart_to_its_end(cluster: Cluster, tmp_path: Path) -> None:
    with FlowerProcess(tmp_path, cluster.server.url) as flower:
        # Given a job in training
        first = cluster.start_worker(*SLOW_EPOCHS)
        run = cluster.submit(make_job(epochs=200)).id
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


def test_flower_shows_jobs_that_were_cancelled(party: Cluster, flower: FlowerProcess) -> None:
    # Given a job in training, and one that waits behind it
    running = party.submit(make_job(seed=2, epochs=1000)).id
    shown(flower, running, "PROGRESS")
    waiting = party.submit(make_job(seed=3)).id
    # When they are cancelled
    party.store().cancel([running, waiting], "by a test")
    party.wait_for_state(running, "REVOKED")
    # Then Flower shows them as such
    for run in (running, waiting):
        assert shown(flower, run, "REVOKED")["revoked"] is not None


@pytest.mark.parametrize(
    ("job", "states"),
    [(make_job(epochs=1), ["SUCCESS"]), (make_job(epochs=4), ["PROGRESS", "SUCCESS"])],
    ids=["one epoch", "many epochs"],
)
def test_a_flower_that_starts_during_a_job_shows_what_the_job_is(
    party: Cluster, tmp_path: Path, job: Job, states: list[str]
) -> None:
    # Given a job in training, and a Flower that starts only now
    run = party.submit(job).id
    party.wait_for_state(run, "STARTED", "PROGRESS")
    child = party.workers[0].children()[0]
    child.suspend()
    with FlowerProcess(tmp_path, party.server.url) as late:
        # When its worker tells how far the job is, or, of a job with a single epoch, only how it ended
        child.resume()
        # Then Flower shows the name and the arguments of the task, whose announcement it has missed
        for state in states:
            task = shown(late, run, state)
            assert (task["name"], task["args"], task["kwargs"]) == (TRAIN, "", str(job))
        # And finds the task by its name
        assert run in late.json(f"/api/tasks?taskname={TRAIN}")
