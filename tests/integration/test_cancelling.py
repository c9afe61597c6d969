"""Cancelling: it holds for waiting and running jobs, and across restarts of the workers."""

from __future__ import annotations

from tests.support.cluster import Cluster, make_job
from tests.support.waiting import wait_for
from worker.messages import TRAIN


def test_a_running_job_ends_at_its_next_epoch(cluster: Cluster) -> None:
    cluster.start_worker()
    job = make_job(epochs=1000)
    run = cluster.submit(job).id
    cluster.wait_for_state(run, "PROGRESS")
    cluster.store().cancel([run], "by a test")
    meta = cluster.wait_for_state(run, "REVOKED", "SUCCESS")
    assert meta["status"] == "REVOKED"
    assert str(meta["result"]) == "by a test"
    assert [attempt.end for attempt in cluster.app.tasks[TRAIN].attempts().of(run)] == ["cancelled"]
    client = cluster.server.client()
    wait_for(lambda: not client.hlen("seedsweep:unacked"), "the message gone", report=cluster.logs)
    assert not client.exists(f"seedsweep:checkpoint:{run}")


def test_a_waiting_job_is_not_begun_by_a_worker_that_starts_later(cluster: Cluster) -> None:
    # Given a job that was cancelled while no worker ran
    run = cluster.submit(make_job()).id
    cluster.store().cancel([run], "by a test")
    # When a worker starts
    cluster.start_worker()
    # Then the job ends without an attempt
    assert cluster.wait_for_state(run, "REVOKED", "SUCCESS")["status"] == "REVOKED"
    assert cluster.app.tasks[TRAIN].attempts().of(run) == []


def test_a_job_that_is_wanted_again_runs_again(cluster: Cluster) -> None:
    cluster.start_worker()
    job = make_job()
    cluster.store().cancel([job.key], "by a test")
    cluster.wait_for_state(cluster.submit(job).id, "REVOKED")
    cluster.store().forget([job.key])
    cluster.app.AsyncResult(job.key).forget()
    assert cluster.result(cluster.submit(job).id).status == "succeeded"
