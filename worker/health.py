"""`python -m worker.health`: checks that the workers of a host make progress. Exit status 0 if they do, else 1.

The check reads the workers' presence from Redis. The existence of a process proves little: a worker that is connected
and takes no jobs looks alive to every other check.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import redis
from kombu.exceptions import OperationalError

from nn.errors import SeedsweepError
from worker.app import SeedsweepApp, create_app
from worker.messages import QUEUE, TRAIN
from worker.records.presence import Presence
from worker.records.report import read_report
from worker.settings import load_settings
from worker.text import one_line
from worker.training.liveness import longest_silence

#: Seconds for which a worker with an idle process may leave jobs in the queue.
IDLE_SECONDS = 60.0


@dataclass(frozen=True)
class Health:
    """The result of a check.

    Attributes:
        healthy: Whether every worker makes progress.
        sentence: The reason, for a user.
    """

    healthy: bool
    sentence: str


def check(app: SeedsweepApp, host: str, now: float | None = None) -> Health:
    """Check the workers of a host.

    Args:
        app: The app of the cluster.
        host: The host's name, as `socket.gethostname()` returns it on that host.
        now: The time of the check, in seconds since the epoch; None for the current time.

    Raises:
        redis.RedisError: Redis does not answer.
        kombu.exceptions.OperationalError: the broker does not answer.
    """
    now = time.time() if now is None else now
    workers = [worker for worker in app.tasks[TRAIN].roster(patient=False).all() if worker.host == host]
    if not workers:
        return Health(False, f"no worker on {host} has sent a heartbeat recently")
    waiting = _waiting(app)
    for worker in workers:
        problem = _problem(worker, app, waiting, now)
        if problem:
            return Health(False, f"{worker.name} {problem}")
    training = sum(len(worker.running) for worker in workers)
    return Health(True, f"{len(workers)} worker(s) on {host}: {training} job(s) in training, {waiting} waiting")


def _problem(worker: Presence, app: SeedsweepApp, waiting: int, now: float) -> str | None:
    lease = app.settings.lease_seconds
    if now - worker.beat > lease:
        return f"has sent no heartbeat for {now - worker.beat:.0f} s"
    if worker.broken is not None:
        return f"takes no more jobs: too many jobs failed in a row, the last one with {worker.broken}"
    if not worker.consuming:
        return "is connected but does not consume the queue"
    if now - worker.looped > lease and not (worker.blocking and worker.running):
        return f"has an event loop that has been blocked for {now - worker.looped:.0f} s"
    if waiting and now - worker.kept_up > IDLE_SECONDS:
        return f"is connected but has taken no job for {now - worker.kept_up:.0f} s, with {waiting} waiting"
    return _stalled(worker, app, now)


def _stalled(worker: Presence, app: SeedsweepApp, now: float) -> str | None:
    for task_id, progressed in worker.running.items():
        report = read_report(app.backend.get_task_meta(task_id, cache=False)["result"])
        reported, slowest = (progressed, 0.0) if report is None else (report.at, report.slowest_epoch)
        silent = now - max(progressed, reported)
        # By then, the worker itself has ended a process that hangs, and shown it in its presence.
        if silent > longest_silence(app.settings, slowest) + app.settings.lease_seconds:
            return f"has trained {task_id[:12]} for {silent:.0f} s without finishing an epoch"
    return None


def _waiting(app: SeedsweepApp) -> int:
    with app.connection_for_read() as connection:
        connection.connect()
        channel: Any = connection.default_channel
        return int(channel._size(QUEUE))


def main(arguments: list[str] | None = None) -> int:
    """Print the result as a sentence or as JSON, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.health",
        description="Check that this host's workers make progress. Exit status 0 if they do, else 1.",
        epilog="Example: CELERY_BROKER_URL=redis://localhost:6379/0 python -m worker.health --json",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--host", default=socket.gethostname(), help="check the workers of this host (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    try:
        health = check(create_app(load_settings()), options.host)
    except SeedsweepError as error:
        health = Health(False, str(error))
    except (redis.RedisError, OperationalError, OSError) as error:
        health = Health(False, f"Redis does not answer: {error}")
    # The sentence may quote untrusted text from Redis: names of workers, and errors that they reported.
    print(json.dumps(asdict(health)) if options.json else one_line(health.sentence))
    return 0 if health.healthy else 1


if __name__ == "__main__":
    sys.exit(main())
