"""Somebody who got a password of the cluster tries to pass something off as what it is not."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, make_job
from tests.support.command_line import SMALL, CommandLine
from tests.support.messages import pickled
from tests.support.secured_server import SecuredServer
from tests.support.waiting import wait_for
from worker.job import Job


@pytest.fixture(scope="module")
def cluster(secured_cluster: Cluster) -> Iterator[Cluster]:
    secured_cluster.start_worker()
    return secured_cluster


def test_a_forged_result_is_not_counted_and_runs_no_code(
    cluster: Cluster, secured_server: SecuredServer, command_line: CommandLine, tmp_path: Path
) -> None:
    other = cluster.result(cluster.submit(make_job(seed=7)).id)
    worker = secured_server.client_for("worker")

    def forge(wanted: Job, **changes: object) -> None:
        forged = other.model_copy(update={"validation_score": [1.0, 1.0]} | changes)
        stored = {"status": "SUCCESS", "result": forged.model_dump(mode="json"), "task_id": wanted.key}
        worker.set(f"celery-task-meta-{wanted.key}", json.dumps(stored))

    # Given forgeries in the place of results, written with a worker's password: the true result of another job with
    # another score, one whose weights nobody has, and a pickle
    jobs = [make_job(seed=seed, learning_rate=0.01, limit=1000) for seed in (0, 1)]
    jobs.append(make_job(seed=0, learning_rate=0.03, limit=1000))
    forge(jobs[0])
    forge(jobs[1], job=jobs[1].key, weights_sha256="f" * 64)
    proof = tmp_path / "unpickled"
    worker.set(f"celery-task-meta-{jobs[2].key}", json.loads(pickled(str(proof)))["body"])
    # When a sweep asks for those jobs
    command_line.run("sweep", *SMALL, "--name", "s", "--broker", secured_server.url_for("orchestrator"))
    # Then they are trained, the lies are in no row, and nothing was run
    rows = {row["job"]: row for row in command_line.rows("s")}
    assert len(rows) == 4
    assert rows.keys() > {job.key for job in jobs}
    assert all(row["status"] == "succeeded" and row["validation_score"] != [1.0, 1.0] for row in rows.values())
    assert not proof.exists()


def test_a_lock_and_a_route_that_another_client_left_for_ever_end(
    cluster: Cluster, secured_server: SecuredServer
) -> None:
    # Given the lock of the search for expired leases, and a route that no role may look at
    with secured_server.client_for("worker") as worker, secured_server.client() as admin:
        worker.set("seedsweep:unacked_mutex", "x")
        worker.zadd("_kombu.binding_deadlines", {"foreign": 0})
        # Then the lock ends, and the route is forgotten.
        wait_for(lambda: admin.ttl("seedsweep:unacked_mutex") != -1, "the end of the lock")
        wait_for(lambda: admin.zscore("_kombu.binding_deadlines", "foreign") is None, "the end of the route")
    assert "Traceback" not in cluster.logs()


def test_a_count_of_artifacts_that_is_too_large_begins_anew(
    cluster: Cluster, secured_server: SecuredServer, command_line: CommandLine
) -> None:
    secured_server.client().set("seedsweep:released:bytes", 2**63 - 1)
    words = ("--seeds", "8", "--epochs", "1", "--limit", "1000", "--learning-rates", "0.1")
    command_line.run("sweep", *words, "--name", "r", "--broker", secured_server.url_for("orchestrator"))
