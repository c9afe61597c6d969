"""The steps that extend Celery's consumer: their order, the heartbeat, the end of a task, and a refusal's rest."""

import itertools
import json
import random
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu import Connection
from kombu.asynchronous.timer import Timer
from kombu.message import Message
from kombu.transport.virtual import QoS

from tests.support.messages import body, message
from tests.support.waiting import wait_for
from worker.app import create_app
from worker.gate.guard import GuardStep
from worker.messages import TRAIN
from worker.settings import Settings
from worker.steps.presence import Heartbeat
from worker.steps.request import TrainRequest
from worker.steps.taking import REST_SECONDS, _rest


def test_no_hash_seed_changes_which_step_wraps_which() -> None:
    # Given the steps, which Celery keeps in a set, in any order
    blueprint = Consumer.Blueprint(steps=create_app(Settings()).steps["consumer"])
    steps = list(blueprint.claim_steps().items())
    shuffled = random.Random(0)
    for _ in range(100):
        shuffled.shuffle(steps)
        # When they are put in order as Celery does when a worker starts
        blueprint.steps = dict(steps)
        order = [step.__name__ for step in blueprint._finalize_steps(blueprint.steps)]
        # Then our own come after Celery's, and the guard wraps the lease: it is created later
        ours = [name for name in order if name in ("BreakerStep", "PresenceStep", "LeaseStep", "GuardStep")]
        assert ours == ["BreakerStep", "PresenceStep", "LeaseStep", "GuardStep"]
        assert order.index("Tasks") < order.index("BreakerStep")


def test_a_heartbeat_goes_on_after_a_failure_and_says_goodbye() -> None:
    done = Mock()
    done.beat.side_effect = itertools.chain([RuntimeError("a failure")], itertools.repeat(None))
    # Nothing listens there: a client connects when it is first used.
    heartbeat = Heartbeat("redis://127.0.0.1:1/0", 0.3, done.beat, "Failed", farewell=done.farewell)
    heartbeat.start()
    wait_for(lambda: done.beat.call_count >= 3, "the third beat")
    heartbeat.stop()
    assert not heartbeat.is_alive()
    assert [done.method_calls[place][0] for place in (0, -1)] == ["beat", "farewell"]


def request_of_a_job(**options: Any) -> TrainRequest:
    app = create_app(Settings())
    sent = {"content_type": "application/json", "content_encoding": "utf-8", "accept": ["application/json"]}
    received = Message(body(), headers=json.loads(message())["headers"], **sent)
    return TrainRequest(received, app=app, task=app.tasks[TRAIN], **options)


def test_a_job_that_was_given_back_is_neither_acknowledged_nor_blamed_when_its_process_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a worker that ends, and a job that it has given back
    monkeypatch.setattr(state, "should_terminate", True)
    acknowledged: list[str] = []
    request = request_of_a_job(on_ack=lambda *_: acknowledged.append("yes"))
    request._already_cancelled = True
    blamed: list[str | None] = []
    monkeypatch.setattr(request.task, "on_job_end", blamed.append)
    # When the time limit of its process ends before the process does, and then the process
    request.on_timeout(soft=False, timeout=1.0)
    request.on_failure(SimpleNamespace(exception=OSError("killed")))
    # Then its message still returns to the queue
    assert not acknowledged
    assert not blamed


def test_a_request_that_the_pool_cannot_take_is_dropped_and_gives_its_place_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Given a worker whose pool fails to take a request
    done: list[str] = []
    controller = SimpleNamespace(
        _process_task=Mock(side_effect=KeyError("no such field")),
        semaphore=SimpleNamespace(release=lambda: done.append("released")),
    )
    consumer = SimpleNamespace(
        connection_errors=(OSError, KeyError), channel_errors=(), create_task_handler=None, controller=controller
    )
    GuardStep(consumer)
    request = request_of_a_job()
    request.message.reject_log_error = lambda *_: done.append("rejected")
    state.task_reserved(request)
    # When Celery gives it to the pool
    controller._process_task(request)
    # Then its message is not delivered again, the place is free, and the log says what it was
    assert done == ["rejected", "released"]
    assert request not in state.reserved_requests
    [record] = caplog.records
    said = record.getMessage()
    assert said.startswith("Dropped what is not a message of a task: KeyError('no such field'); it holds {'lang': ")
    assert said.endswith("...")


def test_a_rest_takes_a_place_of_the_prefetch_limit_until_it_ends() -> None:
    # Given a channel that may hold two messages
    with Connection("memory://") as connection:
        qos = QoS(connection.channel(), prefetch_count=2)
        timer = Timer()
        # When both of its processes gave a job back
        rests = []
        for _ in range(2):
            assert qos.can_consume()
            _rest(qos, timer)
            rests.append(timer.queue[-1])
        # Then it takes nothing,
        assert not qos.can_consume()
        for when, _, _ in rests:
            assert 0.4 * REST_SECONDS < when - time.monotonic() < 1.6 * REST_SECONDS
        # until a rest has ended.
        rests[0].entry()
        assert qos.can_consume()
