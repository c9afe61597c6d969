"""`python -m worker.health`: checks that the workers of a host make progress. Exit status 0 if they do, else 1.

The check reads the workers' presence from Redis. The existence of a process proves little: a worker that is connected
and takes no jobs looks alive to every other check.
"""

import argparse
import json
import math
import socket
import sys

import redis
from kombu.exceptions import OperationalError

from nn.errors import SeedsweepError
from worker.app import SeedsweepApp, create_app
from worker.messages import QUEUE, TRAIN
from worker.records.presence import Presence, clocks_of, problem_of
from worker.records.report import read_report
from worker.redis.clock import disagreement
from worker.settings import load_settings
from worker.text import one_line
from worker.training.shared import longest_silence

#: Seconds for which a worker with an idle process may leave jobs in the queue.
IDLE_SECONDS = 60.0


def check(app: SeedsweepApp, host: str) -> tuple[bool, str]:
    """Return whether every worker of a host makes progress, and the reason as a sentence for a user.

    Args:
        app: The app of the cluster.
        host: The host's name, as `socket.gethostname()` returns it on that host.

    Raises:
        redis.RedisError: Redis does not answer.
        kombu.exceptions.OperationalError: the broker does not answer.
    """
    roster = app.tasks[TRAIN].roster(patient=False)
    workers = [worker for worker in roster.all() if worker.host == host]
    now = roster.clock.now()
    if not workers:
        return False, f"no worker on {host} has sent a heartbeat recently"
    with app.connection_for_read() as connection:
        connection.connect()
        waiting = int(connection.default_channel._size(QUEUE))
    # Patient for a lease, so that a brief disturbance does not make a container unhealthy.
    patience, idle = app.settings.lease_seconds, IDLE_SECONDS if waiting else math.inf
    for worker in workers:
        found = problem_of(worker, now, patience=patience, idle=idle)
        problem = _stalled(worker, app, now) if found is None else found.sentence
        if problem:
            return False, f"{worker.name} {problem}"
    training = sum(len(worker.running) for worker in workers)
    sentence = f"{len(workers)} worker(s) on {host}: {training} job(s) in training, {waiting} waiting"
    # Only reported: it does not keep a worker from its jobs.
    clock = disagreement(clocks_of(workers, roster.clock), app.settings.lease_seconds)
    return True, sentence if clock is None else f"{sentence}. {clock}"


def _stalled(worker: Presence, app: SeedsweepApp, now: float) -> str | None:
    for task_id, progressed in worker.running.items():
        report = read_report(app.backend.get_task_meta(task_id, cache=False)["result"])
        # A report has the time of its worker's host.
        reported, slowest = (progressed, 0.0) if report is None else (report.at - worker.ahead, report.slowest_epoch)
        silent = now - max(progressed, reported)
        # By then, a worker that can watch its processes has ended a hung one, and its presence shows that.
        if silent > longest_silence(app.settings, slowest) + app.settings.lease_seconds:
            return f"has trained {task_id[:12]} for {silent:.0f} s without finishing an epoch"
    return None


def main(arguments: list[str] | None = None) -> int:
    """Print the result as a sentence or as JSON, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.health",
        description="Check that this host's workers make progress. Exit status 0 if they do, else 1.",
        epilog="Example: CELERY_BROKER_URL=redis://localhost:6379/0 python -m worker.health --json",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(arguments)
    try:
        healthy, sentence = check(create_app(load_settings()), socket.gethostname())
    except SeedsweepError as error:
        healthy, sentence = False, str(error)
    except (redis.RedisError, OperationalError, OSError) as error:
        healthy, sentence = False, f"Redis does not answer: {error}"
    # The sentence may quote untrusted text from Redis: names of workers, and errors that they reported.
    print(json.dumps({"healthy": healthy, "sentence": sentence}) if options.json else one_line(sentence))
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
