"""Requests: what the worker's main process makes of the end of a task."""

from __future__ import annotations

import json

import pytest
from celery.worker import state
from kombu.message import Message

from tests.support.messages import body, message
from worker.app import create_app
from worker.messages import TRAIN
from worker.settings import Settings
from worker.steps.request import TrainRequest


def test_a_job_that_was_given_back_is_not_acknowledged_when_its_time_limit_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a worker that ends, and a job that it has given back
    monkeypatch.setattr(state, "should_terminate", True)
    app = create_app(Settings())
    acknowledged: list[str] = []
    sent = {"content_type": "application/json", "content_encoding": "utf-8", "accept": ["application/json"]}
    request = TrainRequest(
        Message(body(), headers=json.loads(message())["headers"], **sent),
        on_ack=lambda *_: acknowledged.append("yes"),
        app=app,
        task=app.tasks[TRAIN],
    )
    request._already_cancelled = True
    # When the time limit of its process ends before the process does
    request.on_timeout(soft=False, timeout=1.0)
    # Then its message still returns to the queue
    assert not acknowledged
