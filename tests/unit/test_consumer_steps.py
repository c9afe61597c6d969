"""The steps that extend Celery's consumer: their order, which no hash seed may change, and the heartbeat's thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from redis import Redis

from tests.support.paths import ROOT
from tests.support.waiting import wait_for
from worker.steps.presence import Heartbeat

#: Puts a consumer's steps in order as Celery does when a worker starts, and prints them.
BLUEPRINT = """
from celery.worker.consumer import Consumer
from worker.app import create_app
from worker.settings import Settings

app = create_app(Settings())
blueprint = Consumer.Blueprint(steps=app.steps["consumer"])
steps = blueprint.steps = blueprint.claim_steps()
print(*(step.__name__ for step in blueprint._finalize_steps(steps)))
"""


@pytest.mark.process
@pytest.mark.parametrize("seed", range(6))
def test_no_hash_seed_changes_which_step_wraps_which(seed: int) -> None:
    # Given Celery's steps, which are a set, in a process with a hash seed of its own
    done = subprocess.run(
        [sys.executable, "-c", BLUEPRINT],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    # When they are put in order
    order = done.stdout.split()
    # Then our own come after Celery's, and the guard wraps the lease: it is created later
    ours = [name for name in order if name in ("BreakerStep", "PresenceStep", "LeaseStep", "GuardStep")]
    assert ours == ["BreakerStep", "PresenceStep", "LeaseStep", "GuardStep"]
    assert order.index("Tasks") < order.index("BreakerStep")
    assert order.index("Tasks") < order.index("PollStep")


def test_a_heartbeat_goes_on_after_a_failure_and_says_goodbye() -> None:
    beats: list[str] = []
    third = threading.Event()

    def beat(_client: Redis) -> None:
        beats.append("beat")
        if len(beats) == 1:
            raise RuntimeError("a failure")
        if len(beats) == 3:
            third.set()

    # Nothing listens there: a client connects when it is first used.
    heartbeat = Heartbeat(
        "redis://127.0.0.1:1/0", 0.3, beat, "Failed", farewell=lambda _client: beats.append("farewell")
    )
    heartbeat.start()
    wait_for(third.is_set, "the third beat")
    heartbeat.stop()
    assert not heartbeat.is_alive()
    assert (beats[0], beats[-1]) == ("beat", "farewell")
