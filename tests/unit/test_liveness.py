"""Signs of life: what a pool's process shows, and its worker's main process sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import billiard
import pytest

from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from worker.app import SeedsweepApp, create_app
from worker.messages import TRAIN
from worker.settings import Settings
from worker.training.admission import isolated
from worker.training.liveness import PLACES, Liveness, Sign, longest_silence
from worker.training.task import TrainingTask

TASK = "a" * 64
Start = Callable[[int, Callable[[], None]], billiard.Process]


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


@pytest.mark.process
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


@pytest.mark.process
def test_a_process_without_a_place_is_not_watched(start: Start) -> None:
    liveness = Liveness()
    process = start(PLACES, liveness.sign)
    process.join()
    assert process.exitcode == 0
    assert liveness.last_of(PLACES) is None


def test_outside_a_pool_a_sign_does_nothing() -> None:
    liveness = Liveness()
    liveness.sign(slowest_epoch=1.0)
    assert liveness.last_of(0) == Sign(0, 0.0)


@pytest.mark.parametrize(
    ("settings", "slowest_epoch", "seconds"),
    [
        (Settings(), 0.0, 600.0),
        (Settings(), 59.0, 600.0),
        (Settings(), 61.0, 610.0),
        (Settings(hang_seconds=100.0), 9.0, 100.0),
        # A forged checkpoint may name any duration.
        (Settings(), 1e10, 86_400.0),
        # A command to Redis may take its time.
        (Settings(hang_seconds=1.0), 0.0, 60.0),
        (Settings(hang_seconds=1.0, socket_seconds=2.0), 0.0, 6.0),
    ],
)
def test_a_silence_may_last_as_long_as_the_longest_reason_for_it(
    settings: Settings, slowest_epoch: float, seconds: float
) -> None:
    assert longest_silence(settings, slowest_epoch) == seconds


@pytest.fixture
def app(redis_server: RedisServer) -> SeedsweepApp:
    return create_app(Settings(broker_url=redis_server.url))


def test_a_job_that_waits_until_it_is_alone_shows_life(app: SeedsweepApp, start: Start) -> None:
    # Given another process with a suspect job: a lock of a file belongs to a process
    task: TrainingTask = app.tasks[TRAIN]
    task.push_request(id=TASK)
    assert task.isolation.acquire()

    def wait() -> None:
        with isolated(task):
            pass

    # When a process waits for it
    start(0, wait)
    # Then it shows life again and again
    wait_for(lambda: (last := app.liveness.last_of(0)) and last.number > 2, "signs")


@pytest.mark.parametrize("command", ["store", "read", "look for a cancellation"])
def test_a_process_that_waits_for_redis_shows_life(
    app: SeedsweepApp, redis_server: RedisServer, start: Start, command: str
) -> None:
    commands: dict[str, Callable[[], object]] = {
        "store": lambda: app.backend.store_result(TASK, {}, "SUCCESS"),
        "read": lambda: app.backend.get_task_meta(TASK),
        "look for a cancellation": lambda: app.tasks[TRAIN].store().cancelled(TASK),
    }
    # Given no Redis
    redis_server.stop()
    # When a process sends a command
    start(0, commands[command])
    # Then it shows life at each retry: Celery makes twenty, in 20 s, before it says so elsewhere
    wait_for(lambda: (last := app.liveness.last_of(0)) and last.number > 2, "signs", timeout=10)
