"""Measure the bytes that a job takes in Redis: queued, in training, and finished.

Trains jobs on an embedded cluster and asks the server for the size of every key, by kind (`worker/records/store.py`).
The sizes do not depend on the machine. `--write FILE` puts the table between the marks `<!-- memory -->` of a document.

Example:
    .venv/bin/python benchmarks/redis_memory.py --jobs 50 --write docs/how-to/operating.md
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import redis

from nn.datasets.mnist import MNIST_DIGEST
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.embedded import EmbeddedCluster
from worker.job import Job
from worker.messages import QUEUE
from worker.settings import Settings

#: The beginning of a key, and what such keys hold; the order is that of the table.
KINDS = {
    "seedsweep:weights:": "weights",
    "celery-task-meta-": "result",
    "seedsweep:finished:": "hash of the first weights, for comparison",
}
CHECKPOINT = "seedsweep:checkpoint:"
START, END = "<!-- memory -->", "<!-- /memory -->"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=50, help="how many jobs (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also put the table into a document")
    return parser.parse_args(arguments)


def measure(jobs: list[Job]) -> tuple[float, float, dict[str, float]]:
    """Train the jobs.

    Returns:
        The bytes of a queued job, of a checkpoint, and of a finished job by the beginning of its keys.
    """
    # A checkpoint after every epoch. Checkpoints go away with their jobs, so they are measured meanwhile.
    with EmbeddedCluster(1, {"SEEDSWEEP_CHECKPOINT_SECONDS": "0"}) as embedded:
        embedded.wait_for_server()
        cluster = Cluster(Settings(broker_url=embedded.url))
        client: redis.Redis = cluster.app.backend.client
        cluster.queue.submit(jobs)
        # The worker takes a second to start: all jobs but one at most are still here.
        queued = size(client, QUEUE) / int(client.llen(QUEUE))
        checkpoint = 0.0
        keys = [job.key for job in jobs]
        while len(cluster.results.over(keys)) < len(jobs):
            checkpoint = max(checkpoint, *(size(client, name) for name in client.scan_iter(f"{CHECKPOINT}*")), 0.0)
            time.sleep(0.01)
        # The last job's checkpoint goes away after its result is stored.
        while any(client.scan_iter(f"{CHECKPOINT}*")):
            time.sleep(0.01)
        total: Counter[str] = Counter()
        for name in client.scan_iter():
            for beginning in KINDS:
                if name.decode().startswith(beginning):
                    total[beginning] += size(client, name)
        return queued, checkpoint, {beginning: total[beginning] / len(jobs) for beginning in KINDS}


def size(client: redis.Redis, name: str | bytes) -> int:
    """Return the bytes that a key takes in all, 0 if it is gone."""
    return int(client.memory_usage(name, samples=0) or 0)


def table(options: argparse.Namespace, queued: float, checkpoint: float, finished: dict[str, float]) -> str:
    """Return the figures as a table in Markdown."""
    total = sum(finished.values())
    lines = [
        f"`python benchmarks/redis_memory.py --epochs {options.epochs}` measures it for the default network:",
        "",
        "| a job | bytes in Redis |",
        "|---|---:|",
        f"| queued | {queued:,.0f} |",
        f"| in training, its checkpoint | {checkpoint:,.0f} |",
        f"| finished | {total:,.0f} |",
        *(f"| … its {what} | {finished[beginning]:,.0f} |" for beginning, what in KINDS.items()),
        "",
        f"So a gigabyte holds about {2**30 / total:,.0f} finished jobs and their weights, which expire after a week",
        f"(`SEEDSWEEP_RESULT_EXPIRES`). A queued job takes {total / queued:,.0f} times less.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the command."""
    options = parse(sys.argv[1:])
    jobs = [
        Job.of({"learning_rate": 0.01, "epochs": options.epochs, "limit": 1000}, seed=seed, dataset=MNIST_DIGEST)
        for seed in range(options.jobs)
    ]
    text = table(options, *measure(jobs))
    print(text)
    if options.write:
        document = options.write.read_text()
        before, after = document.split(START)[0], document.split(END)[1]
        options.write.write_text(f"{before}{START}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
