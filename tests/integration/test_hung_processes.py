"""Processes that hang: their worker ends them, and their jobs go on from their checkpoints."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import billiard
import numpy as np
import pytest

from nn.weights import initial_weights, to_safetensors
from tests.support.cluster import SLOW_EPOCHS, Cluster, make_job
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from tests.support.worker_process import WorkerProcess
from worker.app import SeedsweepApp, create_app
from worker.messages import TRAIN
from worker.records.checkpoints import Epoch, SavedCheckpoint, pack
from worker.settings import Settings
from worker.training.execution import isolated
from worker.training.shared import PLACES, Liveness, Sign
from worker.training.task import TrainingTask

#: Seconds of silence after which a worker of these tests ends a process: three timeouts of a command to Redis.
LIMIT = 6.0
SOON = {"hang_seconds": 1.0, "socket_seconds": LIMIT / 3, "lease_seconds": 60.0}
#: Far longer than that.
LONG_AFTER = LIMIT + 3.0
TASK = "a" * 64

Start = Callable[[int, Callable[[], None]], billiard.Process]


@pytest.fixture
def soon(cluster: Cluster) -> Cluster:
    """A cluster whose workers find out soon that a process hangs."""
    return cluster.with_settings(**SOON)


def begin_slowly(cluster: Cluster, worker: WorkerProcess, **fields: int) -> str:
    """Submit a job whose only epoch takes a second or so, and wait until it is in the middle of that."""
    run = str(cluster.submit(make_job(epochs=1, **fields)).id)
    worker.wait_until_logged(f"[{run}]: Attempt 1 (")
    return run


@pytest.mark.slow(reason="waits until a process has been silent for 6 s")
def test_a_process_that_hangs_is_ended_and_its_job_goes_on_from_its_checkpoint_to_the_same_bits(
    cluster: Cluster,
) -> None:
    # Given a job with a checkpoint, whose process hangs
    soon = cluster.with_settings(**SOON, checkpoint_seconds=0.1)
    worker = soon.start_worker(*SLOW_EPOCHS)
    job = make_job(epochs=20)
    run = soon.submit(job).id
    wait_for(lambda: cluster.server.client().exists(f"seedsweep:checkpoint:{run}"), "a checkpoint")
    [child] = worker.children()
    child.suspend()
    # Then its worker ends it, and the job goes on from there in another process of the same worker,
    result = soon.result(run)
    assert (result.status, result.attempts) == ("succeeded", 2)
    worker.wait_until_logged(f"Ends a process that hangs: {child.pid} has trained {run}, without a sign of life for ")
    worker.wait_until_logged("Resumes after epoch")
    assert not child.is_running()
    # to the same bits
    assert soon.result(soon.submit(job, label="verify-1").id).weights_sha256 == result.weights_sha256
    # And both attempts are on record
    assert soon.causes(run) == ["first run", "hung"]
    wait_for(lambda: soon.ends(run) == ["hung", "finished"], "both ends", report=soon.logs)


@pytest.mark.slow(reason="waits until a process has been silent for 6 s")
def test_a_process_that_hangs_before_it_begins_costs_no_attempt(soon: Cluster) -> None:
    # Given a worker whose only process hangs while it has nothing to do
    worker = soon.start_worker()
    [child] = worker.children()
    child.suspend()
    # When it is given a job
    result = soon.result(soon.submit(make_job()).id)
    # Then another process trains the job
    assert (result.status, result.attempts) == ("succeeded", 1)
    worker.wait_until_logged(f"Ends a process that hangs: {child.pid} has not begun with {result.job}")


@pytest.mark.slow(reason="waits until a process has been silent for 6 s, twice")
def test_a_job_whose_processes_hang_again_and_again_fails_with_the_reason_unless_it_is_cancelled(
    cluster: Cluster,
) -> None:
    # Given two jobs whose processes hang in the first epoch, one of which is cancelled meanwhile
    soon = cluster.with_settings(**SOON, max_attempts=2)
    worker = soon.start_worker(*SLOW_EPOCHS, EPOCH_TENTHS="40", SEEDSWEEP_BREAKER_FAILURES="1", concurrency=2)
    bad, cancelled = (begin_slowly(soon, worker, seed=seed) for seed in range(2))
    for child in worker.children():
        child.suspend()
    soon.store().cancel([cancelled], "not wanted")
    # Then that one ends once its process does
    soon.wait_for_state(cancelled, "REVOKED")
    assert soon.ends(cancelled) == ["hung"]
    # When the other one's process hangs again
    worker.wait_until_logged(f"[{bad}]: Attempt 2 (hung)")
    for child in worker.children():
        child.suspend()
    # Then it fails with the reason
    assert str(soon.error(bad)) == (
        "the job hung or took its worker down 2 times (hung on w1@test, hung on w1@test) and is given up"
    )
    # And the worker, which is not to blame, goes on
    assert soon.result(soon.submit(make_job(seed=2, epochs=1)).id).status == "succeeded"


@pytest.mark.slow(reason="lets a process stand still for longer than the setting")
def test_ten_of_a_jobs_slowest_epochs_are_no_hang(soon: Cluster) -> None:
    # Given a job whose first ten epochs took longer than the setting: its checkpoint says so
    job = make_job(epochs=20)
    weights = initial_weights((784, 128, 64, 10), np.random.RandomState(0), "float32")
    blob = pack(job, SavedCheckpoint((Epoch(10.0, 0.5),), to_safetensors(weights)))
    soon.server.client().set(f"seedsweep:checkpoint:{job.key}", blob)
    worker = soon.start_worker(*SLOW_EPOCHS)
    run = soon.begin(job)
    worker.wait_until_logged("Resumes after epoch 1")
    # When an epoch takes longer than the setting, and less than ten of that one
    [child] = worker.children()
    child.suspend()
    time.sleep(LONG_AFTER)
    child.resume()
    # Then the job goes on
    assert soon.result(run).attempts == 1
    assert child.is_running()


@pytest.mark.slow(reason="freezes a worker for longer than processes may hang")
def test_a_worker_that_is_frozen_as_a_whole_ends_no_process(soon: Cluster) -> None:
    # Given a worker that trains, in the first epoch
    worker = soon.start_worker(*SLOW_EPOCHS, EPOCH_TENTHS="40")
    run = begin_slowly(soon, worker)
    children = worker.children()
    # When it has looked at its process, stands still, and goes on long after
    time.sleep(1.5)
    worker.signal_all(signal.SIGSTOP)
    time.sleep(LONG_AFTER)
    worker.signal_all(signal.SIGCONT)
    # Then its process goes on
    assert soon.result(run).attempts == 1
    assert worker.children() == children


@pytest.mark.slow(reason="lets a job wait for longer than processes may hang")
def test_a_job_that_waits_for_another_one_to_end_does_not_hang(cluster: Cluster) -> None:
    soon = cluster.with_settings(**SOON | {"lease_seconds": 9.0})
    worker = soon.start_worker()
    roster = soon.app.tasks[TRAIN].roster()
    # Given a job that seems to have taken two workers down, and so must run alone
    job = make_job()
    for _ in range(soon.settings.max_attempts - 1):
        soon.app.tasks[TRAIN].attempts().start(job.key, "gone@test")
    # When another such job runs for long: it holds the isolation lock, an open file without a name
    with contextlib.ExitStack() as stack:
        for link in Path(f"/proc/{worker.process.pid}/fd").iterdir():
            name = str(link.readlink())
            if name.startswith(tempfile.gettempdir()) and name.endswith("(deleted)"):
                fcntl.lockf(stack.enter_context(link.open("r+b")), fcntl.LOCK_EX)
        run = soon.submit(job).id
        worker.wait_until_logged(f"[{run}] received")
        later = time.time() + LONG_AFTER
        wait_for(lambda: roster.all()[0].beat > later, "a heartbeat long after", report=soon.logs)
        # Then it waits, and nobody calls its worker sick
        assert "Attempt" not in worker.text()
        [presence] = roster.all()
        assert presence.beat - presence.running[run] < LIMIT
    # And it is trained in its turn, by the same process
    assert soon.result(run).attempts == soon.settings.max_attempts
    assert "Ends a process that hangs" not in worker.text()


@pytest.mark.slow(reason="waits for an epoch that takes longer than processes may hang")
@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_pool_without_processes_ends_no_job(soon: Cluster, pool: str) -> None:
    # Given a worker that trains in its own process
    worker = soon.start_worker("--pool", pool, *SLOW_EPOCHS, EPOCH_TENTHS=str(round(10 * LONG_AFTER)))
    worker.wait_until_logged("processes, so it has no time limit either")
    # When it trains an epoch that takes long, then it does not end it
    assert soon.result(soon.submit(make_job(epochs=1)).id).attempts == 1


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a forked process with an index, as a pool does."""
    started: list[billiard.Process] = []

    def start_one(index: int, what: Callable[[], None]) -> billiard.Process:
        process = billiard.get_context("fork").Process(target=what)
        process.index = index
        process.start()
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.terminate()
        process.join()


@pytest.fixture
def app(redis_server: RedisServer) -> SeedsweepApp:
    return create_app(Settings(broker_url=redis_server.url))


def shows_life(app: SeedsweepApp, index: int) -> bool:
    last = app.liveness.last_of(index)
    return last is not None and last.number > 2


def test_the_main_process_sees_the_signs_of_each_process(start: Start) -> None:
    liveness = Liveness()

    def attempt() -> None:
        with liveness.of_attempt():
            liveness.sign(slowest_epoch=2.5)
            liveness.sign()
            # An end without the end of the block: the process dies.
            raise SystemExit

    def endless() -> None:
        with liveness.of_attempt():
            liveness.sign(slowest_epoch=0.5)
            while True:
                liveness.sign()

    start(3, attempt).join()
    start(PLACES - 1, endless)
    wait_for(lambda: (last := liveness.last_of(PLACES - 1)) and last.number > 2, "signs")
    assert (liveness.last_of(PLACES - 1) or Sign(0, 0.0)).slowest_epoch == 0.5
    # An attempt that has ended knows of no epoch
    assert liveness.last_of(3) == Sign(4, 0.0)
    assert liveness.last_of(0) == Sign(0, 0.0)
    # A process for which there is no place is not watched
    without = start(PLACES, liveness.sign)
    without.join()
    assert without.exitcode == 0
    assert liveness.last_of(PLACES) is None


def test_a_job_that_waits_until_it_is_alone_shows_life(app: SeedsweepApp, start: Start) -> None:
    # Given another process with a suspect job: a lock of a file belongs to a process
    task: TrainingTask = app.tasks[TRAIN]
    task.push_request(id=TASK)
    assert task.isolation.acquire()

    def wait() -> None:
        with isolated(task):
            pass

    # When a process waits for it, then it shows life
    start(0, wait)
    wait_for(lambda: shows_life(app, 0), "signs")


def test_a_process_that_waits_for_redis_shows_life(app: SeedsweepApp, redis_server: RedisServer, start: Start) -> None:
    commands: tuple[Callable[[], object], ...] = (
        lambda: app.backend.store_result(TASK, {}, "SUCCESS"),
        lambda: app.backend.get_task_meta(TASK),
        lambda: app.tasks[TRAIN].store().cancelled(TASK),
    )
    # Given no Redis
    redis_server.stop()
    # When processes send a command each
    for index, command in enumerate(commands):
        start(index, command)
    # Then each shows life at each retry: Celery makes twenty, in 20 s, before it says so elsewhere
    for index in range(len(commands)):
        wait_for(lambda place=index: shows_life(app, place), "signs", timeout=10)
