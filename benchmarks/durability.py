"""Measure the cost of surviving a power cut: a row and its weights on disk, with and without waiting for the disk.

Both write the same rows and weights in turn, into folders beside each other. The last line gives the difference as a
share of the training time of a default job.

Example:
    .venv/bin/python benchmarks/durability.py --jobs 200
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np

from nn.datasets.mnist import MNIST_DIGEST, load_mnist
from nn.files import digest
from nn.weights import initial_weights, to_safetensors
from orchestrator.folder.rows import accepted_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.fields import specification
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.provenance import provenance
from worker.job import Job, Result
from worker.training.trainer import train


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100, help="how many rows each way writes (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where to write (default: the system's folder for temporary files)")
    return parser.parse_args(arguments)


@contextlib.contextmanager
def no_waiting() -> Iterator[None]:
    """Let every `fsync` return at once."""
    with mock.patch.object(os, "fsync", return_value=None):
        yield


def make_folder(output: Path, name: str, jobs: list[Job]) -> SweepFolder:
    """Make a sweep folder for the jobs."""
    folder = SweepFolder(output, name)
    new = Manifest(
        name=name,
        specification=specification({}),
        dataset=MNIST_DIGEST,
        jobs=[job.key for job in jobs],
        provenance=provenance(),
    )
    with folder.exclusive(new):
        return folder


def write(folder: SweepFolder, job: Job) -> float:
    """Keep a job's weights and its row, as a sweep does; return the seconds that it took."""
    weights = initial_weights((784, 128, 64, 10), np.random.RandomState(job.seed), "float32")
    blob = to_safetensors(weights)
    result = Result(
        job=job.key,
        status="succeeded",
        validation_score=[0.9] * job.epochs,
        epoch_seconds=[0.3] * job.epochs,
        weights_sha256=digest(blob),
        weights_bytes=len(blob),
        worker="benchmark",
        attempts=1,
    )
    row = accepted_row(job, result)
    started = time.perf_counter()
    folder.keep_weights(result.weights_sha256, blob)
    folder.append(row)
    return time.perf_counter() - started


def main() -> int:
    """Print the table."""
    options = parse(sys.argv[1:])
    jobs = [Job.of({"learning_rate": 0.03}, seed=seed, dataset=MNIST_DIGEST) for seed in range(options.jobs)]
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        safe, fast = (make_folder(Path(temporary), name, jobs) for name in ("safe", "fast"))
        waited, written = [], []
        for job in jobs:
            waited.append(write(safe, job))
            with no_waiting():
                written.append(write(fast, job))
    dataset = load_mnist(cache_dir=None)
    started = time.perf_counter()
    train(jobs[0], dataset)
    training = time.perf_counter() - started
    base, cost = statistics.median(written), statistics.median(waited)
    print("| a row and its weights | ms (median) | ratio |")
    print("|---|---:|---:|")
    print(f"| without waiting for the disk | {1000 * base:.2f} | 1 |")
    print(f"| on disk when the call returns | {1000 * cost:.2f} | {cost / base:.1f} |")
    print(f"\nThe wait is {100 * (cost - base) / training:.2f} % of the training time of a default job.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
