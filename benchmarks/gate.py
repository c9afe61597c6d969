"""Measure what the gate costs: reading a job's message with and without it, and its share of the smallest job.

In each round, kombu reads the same message as it comes from Redis, without the gate and through it, in an order that
alternates from round to round. The ratio is the median of the ratios within a round.

Example:
    .venv/bin/python benchmarks/gate.py --rounds 20 --json gate.json
"""

import argparse
import base64
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kombu.utils.json import loads

from nn.datasets.mnist import MNIST_DIGEST
from worker.app import create_app
from worker.gate.transport import admitted
from worker.job import Job
from worker.messages import QUEUE, signature
from worker.settings import Settings

#: The time that the main sweep's jobs need for training, in seconds: 10 epochs (`docs/results/index.md`).
DEFAULT_JOB_SECONDS = 10.0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="how often each row is timed (default: %(default)s)")
    parser.add_argument("--messages", type=int, default=2000, help="messages of a round (default: %(default)s)")
    parser.add_argument("--job-seconds", type=float, default=DEFAULT_JOB_SECONDS, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    return parser.parse_args(arguments)


def sample() -> bytes:
    """Return a job's message as it lies in Redis."""
    job = Job.of({"learning_rate": 0.03}, seed=0, dataset=MNIST_DIGEST)
    app = create_app(Settings(broker_url="redis://localhost"))
    options = dict(signature(app, job).options)
    made = app.amqp.as_task_v2(
        options["task_id"], "worker.tasks.train", kwargs={"job": job.fields()},
        argsrepr=options["argsrepr"], kwargsrepr=options["kwargsrepr"], origin="gen1@host",
    )  # fmt: skip
    identity = "3c747a2c-0000-4328-9896-9026f9ba907f"
    properties = {
        "correlation_id": job.key, "reply_to": identity, "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": QUEUE}, "delivery_tag": identity,
    }  # fmt: skip
    message = {
        "body": base64.b64encode(json.dumps(made.body).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": dict(made.headers),
        "properties": properties,
    }
    return json.dumps(message).encode()


def plainly(raw: bytes) -> None:
    """Read a message as kombu does."""
    message = loads(raw.decode())  # type: ignore[no-untyped-call]
    loads(base64.b64decode(message["body"]).decode())  # type: ignore[no-untyped-call]


def through_the_gate(raw: bytes) -> None:
    """Read a message as kombu does, after the gate."""
    passed = admitted(QUEUE, raw)
    if passed is None:
        raise SystemExit("the gate dropped a valid message")
    plainly(passed)


def seconds(read: Callable[[bytes], None], raw: bytes, messages: int) -> float:
    """Return the time that one message takes."""
    began = time.perf_counter()
    for _ in range(messages):
        read(raw)
    return (time.perf_counter() - began) / messages


def main(arguments: list[str]) -> None:
    """Measure, and print the figures."""
    options = parse(arguments)
    raw = sample()
    pairs = []
    for number in range(options.rounds):
        rows = [plainly, through_the_gate]
        took = {read: seconds(read, raw, options.messages) for read in (rows if number % 2 else reversed(rows))}
        pairs.append((took[plainly], took[through_the_gate]))
    ratio = statistics.median(gate / plain for plain, gate in pairs)
    added = statistics.median(gate - plain for plain, gate in pairs)
    share = added / options.job_seconds
    print(f"Reading a message of {len(raw)} bytes takes {ratio:.2f} times as long with the gate: {1e6 * added:.0f} µs")
    print(f"more, which is {100 * share:.5f} % of a job of {options.job_seconds:g} s.")
    if options.json:
        options.json.write_text(json.dumps({"ratio": ratio, "added_seconds": added, "share": share}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
