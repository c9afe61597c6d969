"""Attempts: each has a number and a cause, and a job that takes its workers down is given up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nn.weights import initial_weights, to_safetensors
from tests.support.cluster import Cluster, make_job
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from worker.job import Job, Mismatch
from worker.messages import TRAIN
from worker.records.checkpoints import Epoch, SavedCheckpoint, pack

#: Takes a second or some, in small epochs.
LONG = {"epochs": 150}


def failure(cluster: Cluster, run: str) -> Exception:
    error = cluster.wait_for_state(run, "FAILURE", "SUCCESS")["result"]
    assert isinstance(error, Exception), error
    return error


@pytest.mark.slow(reason="waits between three lost processes")
def test_a_job_that_kills_its_process_is_given_up_and_the_worker_lives(cluster: Cluster) -> None:
    # Given a worker, and a job whose process dies each time it is tried
    worker = cluster.start_worker(SEEDSWEEP_BREAKER_FAILURES="2")
    run = cluster.submit(make_job(**LONG)).id
    checkpoint = f"seedsweep:checkpoint:{run}"
    cluster.server.client().set(checkpoint, b"of an attempt that died")
    for number in range(1, cluster.settings.max_attempts + 1):
        worker.wait_until_logged(f"Attempt {number} (")
        worker.children()[-1].kill()
    # Then it fails with the reason
    error = failure(cluster, run)
    assert type(error).__name__ == "TooManyAttemptsError"
    assert str(error) == (
        "the job took its worker down 3 times (child lost on w1@test, child lost on w1@test, child lost on w1@test) "
        "and is given up"
    )
    causes = [attempt.cause for attempt in cluster.app.tasks[TRAIN].attempts().of(run)]
    assert causes == ["first run", "child lost", "child lost"]
    # And nothing is kept for another attempt
    wait_for(lambda: not cluster.server.client().exists(checkpoint), "no checkpoint", report=cluster.logs)
    # And the sweep goes on
    assert cluster.result(cluster.submit(make_job(seed=1)).id).status == "succeeded"


def test_a_job_that_kills_whole_workers_is_given_up_and_can_be_submitted_afresh(
    redis_server: RedisServer, tmp_path: Path, cache_dir: Path
) -> None:
    cluster = Cluster(redis_server, tmp_path, cache_dir, max_attempts=2)
    try:
        # Given a job that takes the whole worker down each time
        job = make_job(**LONG)
        run = cluster.submit(job).id
        for number in (1, 2):
            worker = cluster.start_worker()
            worker.wait_until_logged(f"Attempt {number} (")
            worker.kill()
        # Then the next worker gives it up, and lives
        cluster.start_worker()
        assert "worker lost on w1@test, worker lost on w2@test" in str(failure(cluster, run))
        # When it is forgotten and submitted again
        cluster.app.AsyncResult(run).forget()
        cluster.store().forget([run])
        # Then it starts afresh
        assert cluster.result(cluster.submit(job).id).attempts == 1
    finally:
        cluster.close()


@pytest.mark.slow(reason="waits for several leases to end")
def test_a_job_is_not_given_up_for_what_another_one_does(cluster: Cluster) -> None:
    # Given a worker that trains two jobs at once, one of which takes the whole worker down whenever it is tried
    good, bad = (cluster.submit(make_job(seed=seed, **LONG)).id for seed in range(2))
    for number in (1, 2):
        worker = cluster.start_worker(concurrency=2)
        for run in (good, bad):
            worker.wait_until_logged(f"[{run}]: Attempt {number} (")
        worker.kill()
    # When its turn comes again, now that it may be the last time for either
    third = cluster.start_worker(concurrency=2)
    third.wait_until_logged(f"[{bad}]: Attempt 3 (")
    third.kill()
    cluster.start_worker(concurrency=2)
    # Then that one is given up, and the other one is not
    assert "worker lost on w1@test, worker lost on w2@test, worker lost on w3@test" in str(failure(cluster, bad))
    assert cluster.result(good).status == "succeeded"


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_message_that_comes_again_shows_what_it_showed_before(cluster: Cluster, how: str) -> None:
    def shown() -> list[str]:
        messages = map(json.loads, cluster.server.client().lrange("seedsweep", 0, -1))
        return [
            text for message in messages for text in (message["headers"]["argsrepr"], message["headers"]["kwargsrepr"])
        ]

    # Given a job in training: its message shows it as Flower and the logs do
    job = make_job(**LONG)
    cluster.submit(job)
    assert shown() == ["", str(job)]
    worker = cluster.start_worker()
    worker.wait_until_logged("Attempt 1 (")
    # When its process dies, or only its worker stops
    if how == "kill":
        worker.children()[-1].kill()
        worker.wait_until_logged("Retry in 2s")
    worker.stop()
    # Then the message that is in the queue again shows the same
    assert shown() == ["", str(job)]


def test_a_job_over_the_workers_time_limit_has_an_end_on_record_and_says_nothing_against_the_worker(
    cluster: Cluster,
) -> None:
    # Given a worker that an operator started with a time limit, and a job that takes longer
    cluster.start_worker("--time-limit", "1", SEEDSWEEP_BREAKER_FAILURES="1")
    run = cluster.submit(make_job(epochs=100_000)).id
    assert type(failure(cluster, run)).__name__ == "TimeLimitExceeded"
    # Then the attempt has ended
    attempts = cluster.app.tasks[TRAIN].attempts()
    wait_for(lambda: [attempt.end for attempt in attempts.of(run)] == ["failed"], "the end", report=cluster.logs)
    # And the worker goes on
    assert cluster.result(cluster.submit(make_job()).id).status == "succeeded"


def test_a_job_with_a_result_is_not_trained_again(cluster: Cluster) -> None:
    worker = cluster.start_worker()
    job = make_job()
    first = cluster.result(cluster.submit(job).id)
    second = cluster.submit(job)
    worker.wait_until_logged("already has a result and is not trained again")
    assert cluster.result(second.id) == first
    assert [attempt.end for attempt in cluster.app.tasks[TRAIN].attempts().of(job.key)] == ["finished"]


def test_a_run_that_checks_a_result_trains_it_again(cluster: Cluster) -> None:
    # Given a result
    cluster.start_worker()
    job = make_job()
    result = cluster.result(cluster.submit(job).id)
    # When the job is run once more under a label
    again = cluster.submit(job, label="verify-1")
    assert again.id == f"{job.key}.verify-1"
    # Then it is trained, and agrees
    assert cluster.result(again.id).weights_sha256 == result.weights_sha256
    assert cluster.store().mismatches([job.key]) == {}


def test_two_runs_that_disagree_are_on_record(cluster: Cluster) -> None:
    # Given that another run of the job, on a broken machine, ended with other weights
    job = make_job()
    wrong = "0" * 64
    assert cluster.store().compare_with_first(job.key, wrong, job.key, "broken@test")
    # When this one ends
    worker = cluster.start_worker()
    run = cluster.submit(job, label="verify-2").id
    result = cluster.result(run)
    # Then both hashes are on record, and in the log
    found = Mismatch(first=wrong, second=result.weights_sha256, run=run, worker="w1@test")
    assert cluster.store().mismatches([job.key]) == {job.key: [found]}
    worker.wait_until_logged("MISMATCH")


def test_a_checkpoint_that_cannot_be_read_costs_time_and_no_more(cluster: Cluster) -> None:
    # Given a checkpoint that is no checkpoint
    job: Job = make_job()
    cluster.server.client().set(f"seedsweep:checkpoint:{job.key}", b"\x00 nothing that anyone wrote")
    # When the job runs
    worker = cluster.start_worker()
    result = cluster.result(cluster.submit(job).id)
    # Then it starts from the first epoch
    worker.wait_until_logged("Starts from the first epoch: the checkpoint's history is invalid")
    assert (result.status, result.attempts) == ("succeeded", 1)


def test_a_checkpoint_that_does_not_fit_the_job_costs_time_and_no_more(cluster: Cluster) -> None:
    # Given a checkpoint that bears the job's name, of a network of another shape
    job = make_job()
    other = initial_weights((784, 5, 4, 10), np.random.RandomState(0), "float32")
    blob = pack(job, SavedCheckpoint((Epoch(0.1, 0.5),), to_safetensors(other)))
    cluster.server.client().set(f"seedsweep:checkpoint:{job.key}", blob)
    # When the job runs
    worker = cluster.start_worker()
    result = cluster.result(cluster.submit(job).id)
    # Then it starts from the first epoch
    worker.wait_until_logged("Starts from the first epoch: the checkpoint belongs to another job: resume_from is 'W1")
    assert (result.status, len(result.validation_score)) == ("succeeded", job.options.epochs)


def test_a_long_job_is_checkpointed_while_it_runs(redis_server: RedisServer, tmp_path: Path, cache_dir: Path) -> None:
    cluster = Cluster(redis_server, tmp_path, cache_dir, checkpoint_seconds=0.1)
    try:
        first = cluster.start_worker()
        run = cluster.submit(make_job(**LONG)).id
        name = f"seedsweep:checkpoint:{run}"
        wait_for(lambda: redis_server.client().exists(name), "a checkpoint", report=cluster.logs)
        assert 0 < redis_server.client().ttl(name) <= cluster.settings.result_expires
        first.kill()
        second = cluster.start_worker()
        cluster.result(run)
        second.wait_until_logged("Resumes after epoch")
    finally:
        cluster.close()


def test_the_records_of_a_job_live_as_long_as_the_job_however_soon_results_expire(
    redis_server: RedisServer, tmp_path: Path, cache_dir: Path
) -> None:
    cluster = Cluster(redis_server, tmp_path, cache_dir, checkpoint_seconds=0.1, result_expires=60)
    client = redis_server.client()
    try:
        # Given a job in training, on a cluster whose results expire after a minute
        cluster.start_worker()
        run = cluster.submit(make_job(epochs=100_000)).id
        names = [f"seedsweep:{kind}:{run}" for kind in ("attempts", "checkpoint")]
        wait_for(lambda: client.exists(*names) == len(names), "the job's records", report=cluster.logs)
        # When its records have nearly expired, as they have when an epoch takes long
        for name in names:
            client.expire(name, 20)
        # Then the worker that holds the job renews them
        wait_for(lambda: all(client.ttl(name) > 60 for name in names), "their renewal", report=cluster.logs)
        # And a cancellation waits for the job as long as that, and not only as long as results are kept
        cluster.store().cancel([run], "by a test")
        assert client.ttl(f"seedsweep:cancelled:{run}") > 60
        assert cluster.wait_for_state(run, "REVOKED", "SUCCESS")["status"] == "REVOKED"
    finally:
        cluster.close()
