"""The state of a task, as the orchestrator parses it from what a real Redis holds."""

from __future__ import annotations

from celery.exceptions import TaskRevokedError

from orchestrator.cluster.cluster import Cluster as ClusterView
from orchestrator.cluster.results import Cancelled, Failed, Finished, Running
from tests.support.cluster import Cluster, make_job
from worker.errors import NoSuchWorkerError
from worker.job import Result, task_id


def result_of(key: str) -> Result:
    return Result(
        job=key, status="succeeded", validation_score=[0.5], epoch_seconds=[0.1], weights_sha256="0" * 64,
        weights_bytes=1, worker="w1@test", attempts=1,
    )  # fmt: skip


def test_each_stored_state_is_parsed_once(shared_cluster: Cluster) -> None:
    jobs = [make_job(seed=seed) for seed in range(9)]
    done, check, wrong, other, failed, crashed, revoked, started, back = keys = [job.key for job in jobs]
    check = keys[1] = task_id(jobs[1], "verify-1")
    store = shared_cluster.app.backend.store_result
    store(done, result_of(done).model_dump(mode="json"), "SUCCESS")
    store(check, result_of(jobs[1].key).model_dump(mode="json"), "SUCCESS")
    store(wrong, {"job": wrong}, "SUCCESS")
    store(other, result_of(done).model_dump(mode="json"), "SUCCESS")
    store(failed, NoSuchWorkerError("no worker has it"), "FAILURE")
    store(crashed, ValueError("no"), "FAILURE")
    store(revoked, TaskRevokedError("not wanted"), "REVOKED")
    store(started, {"pid": 1}, "STARTED")
    store(back, None, "GIVEN_BACK")

    states = ClusterView(shared_cluster.settings).results.states([*keys, make_job(seed=100).key])

    assert states == {
        done: Finished(result_of(done)),
        check: Finished(result_of(jobs[1].key)),
        wrong: Failed("the stored result is invalid: Field required"),
        other: Failed("the stored result belongs to another job"),
        failed: Failed("no worker has it"),
        crashed: Failed("ValueError: no"),
        revoked: Cancelled("not wanted"),
        # Its report is invalid, and it runs all the same.
        started: Running(None),
    }


def test_what_cannot_be_read_is_no_state(shared_cluster: Cluster) -> None:
    key = make_job().key
    for stored in (b"", b"\xff", b"[]", b'{"status": "SUCCESS"}', b'{"status": 1, "result": 1}'):
        shared_cluster.app.backend.client.set(f"celery-task-meta-{key}", stored)
        assert ClusterView(shared_cluster.settings).results.states([key]) == {}
