"""Attempts: each has a number and a cause; a job that kills its workers is given up; what is over is cleared up."""

import json
from pathlib import Path

import pytest

from nn.datasets.mnist import load_mnist
from tests.support.cluster import SLOW_EPOCHS, Cluster, make_job
from tests.support.waiting import wait_for
from worker.messages import TRAIN
from worker.records.checkpoints import SavedCheckpoint, save
from worker.training.trainer import train

#: Takes two seconds with `SLOW_EPOCHS`.
LONG = {"epochs": 20}
#: Takes longer than any test.
ENDLESS = {"epochs": 1000}


def shown(cluster: Cluster) -> list[str]:
    """Return what the messages of the cluster, in the queue or held by a worker, show of their arguments."""
    client = cluster.server.client()
    messages = [json.loads(message) for message in client.lrange("seedsweep", 0, -1)]
    messages += [json.loads(held)[0] for held in client.hvals("seedsweep:unacked")]
    return [message["headers"][name] for message in messages for name in ("argsrepr", "kwargsrepr")]


def test_a_job_that_kills_its_process_is_given_up_and_the_worker_lives(cluster: Cluster) -> None:
    # Given a worker, and a job whose process dies each time it is tried
    strict = cluster.with_settings(max_attempts=2, breaker_failures=2)
    worker = strict.start_worker(*SLOW_EPOCHS)
    job = make_job(**ENDLESS)
    run = strict.submit(job).id
    checkpoint = f"seedsweep:checkpoint:{run}"
    cluster.server.client().set(checkpoint, b"of an attempt that died")
    for number in (1, 2):
        worker.wait_until_logged(f"Attempt {number} (")
        # Its message shows it each time as Flower and the logs do
        assert shown(strict) == ["", str(job)]
        worker.children()[-1].kill()
    # Then it fails with the reason
    error = strict.error(run)
    assert type(error).__name__ == "TooManyAttemptsError"
    assert str(error) == (
        "the job took its worker down 2 times (child lost on w1@test, child lost on w1@test) and is given up"
    )
    assert strict.causes(run) == ["first run", "child lost"]
    # And nothing is kept for another attempt
    wait_for(lambda: not cluster.server.client().exists(checkpoint), "no checkpoint", report=strict.logs)
    # And the sweep goes on
    assert strict.result(strict.submit(make_job(seed=1)).id).status == "succeeded"


def test_a_job_that_kills_whole_workers_is_given_up_and_can_be_submitted_afresh(cluster: Cluster) -> None:
    strict = cluster.with_settings(max_attempts=2)
    # Given a job that has taken a whole worker down, and does it again
    job = make_job(**LONG)
    strict.app.tasks[TRAIN].attempts().start(job.key, "w0@gone")
    run = strict.submit(job).id
    worker = strict.start_worker(*SLOW_EPOCHS)
    worker.wait_until_logged("Attempt 2 (worker lost)")
    worker.kill()
    # Then the next worker gives it up, and lives
    strict.start_worker()
    assert "worker lost on w0@gone, worker lost on w1@test" in str(strict.error(run))
    # When it is forgotten and submitted again
    strict.app.AsyncResult(run).forget()
    strict.store().forget([run])
    # Then it starts afresh
    assert strict.result(strict.submit(job).id).attempts == 1


@pytest.mark.slow(reason="waits for several leases to end")
def test_a_job_is_not_given_up_for_what_another_one_does(cluster: Cluster) -> None:
    # Given a worker that trains two jobs at once, one of which takes the whole worker down whenever it is tried
    good, bad = (cluster.submit(make_job(seed=seed, **LONG)).id for seed in range(2))
    for number in (1, 2):
        worker = cluster.start_worker(*SLOW_EPOCHS, concurrency=2)
        for run in (good, bad):
            worker.wait_until_logged(f"[{run}]: Attempt {number} (")
        worker.kill()
    # When its turn comes again, now that it may be the last time for either
    third = cluster.start_worker(*SLOW_EPOCHS, concurrency=2)
    third.wait_until_logged(f"[{bad}]: Attempt 3 (")
    third.kill()
    cluster.start_worker(concurrency=2)
    # Then that one is given up, and the other one is not
    assert "worker lost on w1@test, worker lost on w2@test, worker lost on w3@test" in str(cluster.error(bad))
    assert cluster.result(good).status == "succeeded"


@pytest.mark.parametrize(("words", "variables"), [(("--time-limit", "5"), {}), ((), {"SEEDSWEEP_TIME_LIMIT": "5"})])
def test_a_job_over_the_workers_time_limit_has_an_end_on_record_and_says_nothing_against_the_worker(
    cluster: Cluster, words: tuple[str, ...], variables: dict[str, str]
) -> None:
    # Given a worker that an operator started with a time limit, and a job that takes longer
    cluster.start_worker(*words, *SLOW_EPOCHS, SEEDSWEEP_BREAKER_FAILURES="1", **variables)
    run = cluster.submit(make_job(**ENDLESS)).id
    error = cluster.error(run)
    assert (type(error).__name__, str(error)) == ("TimeLimitExceeded", "the job took longer than 5 s")
    # Then the attempt has ended
    wait_for(lambda: cluster.ends(run) == ["failed"], "the end", report=cluster.logs)
    # And the worker goes on
    assert cluster.result(cluster.submit(make_job()).id).status == "succeeded"


def test_a_job_whose_process_died_without_notice_is_tried_again_at_its_time_limit(cluster: Cluster) -> None:
    worker = cluster.start_worker(*SLOW_EPOCHS, "--include", "tests.support.missed_exits", SEEDSWEEP_TIME_LIMIT="5")
    run = cluster.submit(make_job(**LONG)).id
    worker.wait_until_logged("Attempt 1 (")
    worker.children()[-1].kill()
    assert cluster.result(run).attempts == 2
    assert cluster.causes(run) == ["first run", "child lost"]


def test_a_job_with_a_result_is_not_trained_again(cluster: Cluster) -> None:
    # Given a result
    worker = cluster.start_worker()
    job = make_job()
    first = cluster.result(cluster.submit(job).id)
    # When the job is submitted again, then it has the same one
    second = cluster.submit(job)
    worker.wait_until_logged("already has a result and is not trained again")
    assert cluster.result(second.id) == first
    assert cluster.ends(job.key) == ["finished"]
    # But a run under a label, which checks the result, is trained, and agrees
    again = cluster.submit(job, label="verify-1")
    assert again.id == f"{job.key}.verify-1"
    assert cluster.result(again.id).weights_sha256 == first.weights_sha256
    wait_for(lambda: cluster.ends(again.id) == ["finished"], "the end of its attempt", report=cluster.logs)
    assert list(cluster.store().mismatches([job.key])) == []
    # And one that disagrees is on record. Of attempts that results describe, nothing else is
    cluster.server.client().set(f"seedsweep:finished:{job.key}", bytes(32))
    other = cluster.result(cluster.submit(job, label="verify-2").id)
    ((_, found),) = cluster.store().mismatches([job.key])
    assert [(each.first, each.second, each.run) for each in found] == [
        ("00" * 32, other.weights_sha256, f"{job.key}.verify-2")
    ]
    cluster.wait_until_acknowledged()
    assert cluster.server.client().keys("seedsweep:attempts:*") == []


def test_a_checkpoint_of_no_use_costs_time_and_no_more(cluster: Cluster) -> None:
    # Given something else in the place of a job's checkpoint
    job = make_job()
    cluster.server.client().set(f"seedsweep:checkpoint:{job.key}", b"\x00 nothing that anyone wrote")
    # When the job runs
    worker = cluster.start_worker()
    result = cluster.result(cluster.submit(job).id)
    # Then it starts from the first epoch
    worker.wait_until_logged("Starts from the first epoch: the checkpoint's history is invalid")
    assert (result.status, result.attempts, len(result.validation_score)) == ("succeeded", 1, job.epochs)


def test_the_records_of_a_job_live_as_long_as_the_job_however_soon_results_expire(cluster: Cluster) -> None:
    # Given a job in training, on a cluster whose results expire after a minute
    brief = cluster.with_settings(checkpoint_seconds=0.1, result_expires=60)
    client = cluster.server.client()
    brief.start_worker(*SLOW_EPOCHS)
    run = brief.submit(make_job(**ENDLESS)).id
    names = [f"seedsweep:{kind}:{run}" for kind in ("attempts", "checkpoint")]
    wait_for(lambda: client.exists(*names) == len(names), "the job's records", report=brief.logs)
    # When its records have nearly expired, as they have when an epoch takes long
    for name in names:
        client.expire(name, 20)
    # Then the worker that holds the job renews them
    wait_for(lambda: all(client.ttl(name) > 60 for name in names), "their renewal", report=brief.logs)
    # And a cancellation waits for the job as long as that, and not only as long as results are kept
    brief.store().cancel([run], "by a test")
    assert client.ttl(f"seedsweep:cancelled:{run}") > 60
    assert brief.wait_for_state(run, "REVOKED", "SUCCESS")["status"] == "REVOKED"


def test_a_job_that_is_cancelled_in_its_last_epoch_keeps_its_result(cluster: Cluster) -> None:
    cluster.start_worker(*SLOW_EPOCHS, EPOCH_TENTHS="20")
    run = cluster.submit(make_job(epochs=1)).id
    wait_for(lambda: cluster.attempts(run), "the attempt", report=cluster.logs)
    cluster.store().cancel([run], "too late")
    assert cluster.result(run).status == "succeeded"


def test_a_checkpoint_that_outlived_its_job_goes_when_the_message_comes_again(
    cluster: Cluster, cache_dir: Path
) -> None:
    # Given a job with a result, and the checkpoint that its attempt could not remove any more
    cluster.start_worker()
    job = make_job()
    run = cluster.submit(job).id
    cluster.result(run)
    weights = train(job, load_mnist(cache_dir=cache_dir)).weights
    save(cluster.store(), run, job, SavedCheckpoint((), weights))
    client = cluster.server.client()
    assert client.exists(f"seedsweep:checkpoint:{run}")
    # When its message, which was never acknowledged, is delivered again
    cluster.submit(job)
    # Then the checkpoint goes, and the result stays
    wait_for(lambda: not client.exists(f"seedsweep:checkpoint:{run}"), "no checkpoint", report=cluster.logs)
    assert cluster.result(run).attempts == 1
