"""Checkpoints on a server: kept by run, refused if damaged, and gone with the job."""

from __future__ import annotations

import logging

import pytest

from tests.support.cluster import make_job
from tests.support.redis_server import RedisServer
from worker.records.checkpoints import Checkpoints, Epoch, SavedCheckpoint
from worker.records.store import Store

JOB = make_job(epochs=3)
CHECKPOINT = SavedCheckpoint((Epoch(0.25, 0.5), Epoch(0.125, 0.75)), bytes(range(256)))


def test_they_are_kept_by_run_and_go_away(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    client = redis_server.client()
    store = Store(client, expires=100)
    checkpoints = Checkpoints(store)
    assert checkpoints.load("run", JOB) is None

    # What was saved is there again
    checkpoints.save("run", JOB, CHECKPOINT)
    assert checkpoints.load("run", JOB) == CHECKPOINT

    # Damaged, it is none
    client.set("seedsweep:checkpoint:run", client.get("seedsweep:checkpoint:run")[:-1])
    with caplog.at_level(logging.WARNING):
        assert checkpoints.load("run", JOB) is None
    assert "Starts from the first epoch: the checkpoint's state is damaged" in caplog.text

    # Deleted, it leaves nothing
    store.drop_checkpoints(["run"])
    assert client.keys("*") == []
