"""Somebody who got a password of the cluster tries to pass something off as what it is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, make_job
from tests.support.command_line import SMALL, CommandLine
from tests.support.messages import pickled
from tests.support.secured_server import SecuredServer
from worker.job import Result
from worker.messages import QUEUE, TRAIN


@pytest.fixture
def cluster(secured_cluster: Cluster) -> Iterator[Cluster]:
    secured_cluster.start_worker()
    return secured_cluster


def test_a_pickled_message_runs_no_code(cluster: Cluster, secured_server: SecuredServer, tmp_path: Path) -> None:
    # Given a message that would make a folder if anybody unpickled it, queued with the orchestrator's password
    proof = tmp_path / "unpickled"
    secured_server.client_for("orchestrator").lpush(QUEUE, pickled(str(proof)))
    # When the worker has taken it, and trained a job after it
    assert cluster.result(cluster.submit(make_job()).id).status == "succeeded"
    # Then nothing was run
    assert "Dropped a message" in cluster.workers[0].text()
    assert not proof.exists()


def test_a_pickled_result_runs_no_code(
    cluster: Cluster, secured_server: SecuredServer, command_line: CommandLine, tmp_path: Path
) -> None:
    # Given a pickle in the place of a result, written with a worker's password
    proof = tmp_path / "unpickled"
    job = make_job(seed=0, learning_rate=0.01, limit=1000)
    body = json.loads(pickled(str(proof)))["body"]
    secured_server.client_for("worker").set(f"celery-task-meta-{job.key}", body)
    # When a sweep asks for that job
    command_line.run("sweep", *SMALL, "--name", "s", "--broker", secured_server.url_for("orchestrator"))
    # Then the job was trained, and nothing else was run
    assert not proof.exists()
    assert all(row["status"] == "succeeded" for row in command_line.rows("s"))


def test_a_job_under_another_jobs_name_is_refused(cluster: Cluster) -> None:
    # When a job is sent under the key of another one, to give that other one its result
    wanted, sent = make_job(seed=1), make_job(seed=2)
    cluster.app.tasks[TRAIN].apply_async(kwargs={"job": sent.model_dump(mode="json")}, task_id=wanted.key)
    # Then it is not trained
    error = cluster.wait_for_state(wanted.key, "FAILURE", "SUCCESS")["result"]
    assert str(error) == f"the task id is {wanted.key!r}; the job's key is {sent.key}"


def forge(cluster: Cluster, server: SecuredServer, key: str, result: Result) -> None:
    stored = {"status": "SUCCESS", "result": result.model_dump(mode="json"), "task_id": key}
    server.client_for("worker").set(f"celery-task-meta-{key}", json.dumps(stored))


@pytest.mark.parametrize("lie", ["weights that nobody has", "another job's result"])
def test_a_forged_result_is_not_counted(
    cluster: Cluster, secured_server: SecuredServer, command_line: CommandLine, lie: str
) -> None:
    # Given a true result of another job, and a forged one made of it with a worker's password
    other = cluster.result(cluster.submit(make_job(seed=7)).id)
    job = make_job(seed=0, learning_rate=0.01, limit=1000)
    changes = {"validation_score": [1.0, 1.0]}
    if lie == "weights that nobody has":
        changes |= {"job": job.key, "weights_sha256": "f" * 64}
    forge(cluster, secured_server, job.key, other.model_copy(update=changes))
    # When a sweep asks for that job
    command_line.run("sweep", *SMALL, "--name", "s", "--broker", secured_server.url_for("orchestrator"))
    # Then the job is trained, and the lie is in no row
    rows = {row["job"]: row for row in command_line.rows("s")}
    assert len(rows) == 4
    assert rows[job.key]["validation_score"] != [1.0, 1.0]
