"""Measure what the lease and the checkpoints cost a sweep in which nothing goes wrong, in percent of its time.

In each round, three embedded clusters of one process train the same jobs, one cluster after the other, in an order that
rotates from round to round. The first renews its lease every eight hours and never checkpoints: the baseline. The
second has the default settings. The third does the most work: a lease of 3 s, and a checkpoint after every epoch. The
cost is the median, over the rounds, of the ratio within a round.

Example:
    .venv/bin/python benchmarks/lease.py --rounds 5 --json lease.json
"""

import argparse
import contextlib
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.embedded import EmbeddedCluster
from orchestrator.cluster.results import Finished, Running
from worker.job import Job
from worker.messages import signature
from worker.settings import Settings

#: Settings of each row as a worker reads them; the first is what the others are compared with.
ROWS: dict[str, dict[str, str]] = {
    "neither": {"SEEDSWEEP_LEASE_SECONDS": "86400", "SEEDSWEEP_CHECKPOINT_SECONDS": "86400"},
    "defaults: lease 30 s, checkpoint after 5 s": {},
    "lease 3 s, checkpoint after every epoch": {
        "SEEDSWEEP_LEASE_SECONDS": "3",
        "SEEDSWEEP_RESTORE_SECONDS": "0.5",
        "SEEDSWEEP_CHECKPOINT_SECONDS": "0",
    },
}
#: Between two looks for results, in seconds.
PAUSE = 0.01


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each row is timed (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="jobs of a round (default: %(default)s)")
    parser.add_argument(
        "--epochs", type=int, default=60, help="default: %(default)s, so that a job is checkpointed more than once"
    )
    parser.add_argument("--limit", type=int, default=None, help="train on the first N samples (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    return parser.parse_args(arguments)


def train(cluster: Cluster, jobs: list[Job]) -> float:
    """Train jobs, and return the seconds from the first message to the last result."""
    started = time.perf_counter()
    for job in jobs:
        signature(cluster.app, job).apply_async()
    keys = [job.key for job in jobs]
    while True:
        ended = [state for _, state in cluster.results.states(keys) if not isinstance(state, Running)]
        if any(not isinstance(state, Finished) for state in ended):
            raise RuntimeError(f"a job failed: {ended}")
        if len(ended) == len(jobs):
            return time.perf_counter() - started
        time.sleep(PAUSE)


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Return the seconds of each round, by row."""
    seconds: dict[str, list[float]] = {name: [] for name in ROWS}
    with contextlib.ExitStack() as stack:
        clusters = {}
        for name, environment in ROWS.items():
            embedded = stack.enter_context(EmbeddedCluster(1, environment))
            embedded.wait_for_server()
            clusters[name] = Cluster(Settings(broker_url=embedded.url))
        for number in range(options.rounds + 1):
            jobs = [
                Job.of(
                    {"learning_rate": 0.01, "epochs": options.epochs, "limit": options.limit},
                    seed=number * options.jobs + n, dataset=MNIST_DIGEST,
                )
                for n in range(options.jobs)
            ]  # fmt: skip
            names = list(ROWS)
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                taken = train(clusters[name], jobs)
                # The first round waits for the workers to start, and is not counted.
                if number:
                    seconds[name].append(taken)
    return seconds


def summarize(seconds: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Return each row's median time, and its cost in percent: of each round, the median, the least and the most."""
    base = next(iter(seconds.values()))
    rows = []
    for name, times in seconds.items():
        costs = [100 * (taken / without - 1) for taken, without in zip(times, base, strict=True)]
        rows.append(
            {
                "name": name,
                "seconds": statistics.median(times),
                "percent": statistics.median(costs),
                "least": min(costs),
                "most": max(costs),
                "percent_of_each_round": costs,
            }
        )
    return rows


def table(rows: list[dict[str, Any]], options: argparse.Namespace) -> Table:
    """Return the rows as a table."""
    samples = options.limit or "all"
    made = Table(
        title=f"{options.jobs} jobs of {options.epochs} epochs on {samples} samples, one after the other",
        caption=f"{options.rounds} interleaved rounds",
    )
    for heading in ("", "median s", "cost %", "least", "most"):
        made.add_column(heading, justify="right" if heading else "left")
    for row in rows:
        figures = (f"{row[name]:+.2f}" for name in ("percent", "least", "most"))
        made.add_row(row["name"], f"{row['seconds']:.2f}", *figures)
    return made


def main() -> None:
    """Run the command."""
    options, console = parse(sys.argv[1:]), Console()
    with console.status(f"Training {options.jobs} jobs {len(ROWS) * (options.rounds + 1)} times"):
        rows = summarize(measure(options))
    console.print(table(rows, options))
    if options.json:
        options.json.write_text(
            json.dumps({"rounds": options.rounds, "jobs": options.jobs, "rows": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
