"""Measure what trainers cost: the worker's way of training a job beside training alone, and a job that trains nothing.

The first table trains the default job of one epoch in this process, in an order that alternates from round to round:
directly by `nn.training`, and as a worker does, through the protocol of trainers. Its ratio is the median of the ratios
within a round, of CPU time, because other processes do not change that as they change the time on the clock. The
weights are compared.

The second installs a trainer that trains nothing, and runs sweeps of it by the real command on an embedded cluster of
one process, a small and a large one in each round. The difference of their times, divided by that of their jobs, is
what a job costs beyond its training: its message, lease and attempt, its result and weights, and the row on disk.

Example:
    .venv/bin/python benchmarks/trainers.py --rounds 40 --json trainers.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nn.options.network import NetworkOptions
from nn.training import Training
from nn.weights import to_safetensors
from worker.job import Job
from worker.settings import load_settings
from worker.trainers.network import NetworkTrainer
from worker.training.trainer import train

ORCHESTRATOR = str(Path(sys.executable).with_name("orchestrator"))
_NOTHING = '''
from pydantic import BaseModel, ConfigDict

from seedsweep import Metric, Trained, Trainer


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Data:
    digest = "0" * 64


class NothingTrainer(Trainer):
    """Trains nothing: one epoch that ends at once."""

    name, version, Options, data, datasets = "nothing", 1, Options, "none", ("none",)
    metric = Metric(name="nothing")

    def load(self, source, cache_dir):
        return Data()

    def train(self, options, seed, data, *, on_epoch, resume_from=None):
        on_epoch(0.0)
        return Trained(artifact=seed.to_bytes(4, "little"))
'''


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="how often the job is timed (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=1, help="the job's epochs (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=None, help="train on the first N samples (default: all)")
    parser.add_argument("--sweeps", type=int, default=3, help="pairs of sweeps of nothing (default: %(default)s)")
    parser.add_argument(
        "--jobs", type=int, nargs=2, default=(50, 550), metavar=("FEW", "MANY"), help="jobs of them (default: 50 550)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    return parser.parse_args(arguments)


def time_job(epochs: int, limit: int | None, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of CPU time of each round, alone and as a worker trains.

    Raises:
        SystemExit: the weights differ.
    """
    trainer = NetworkTrainer()
    data = trainer.load("bundled", load_settings().cache_dir)
    trainer.prepare(data)
    options = NetworkOptions(learning_rate=0.01, epochs=epochs, limit=limit)
    layers = options.layers(data.train.n_features, data.train.n_classes)

    def alone(seed: int) -> bytes:
        training = Training.begin(
            layers, seed, **options.model_dump(exclude={"hidden_layer_sizes", "limit", "test_size", "split"})
        )
        for _ in training.run(data.train.first(options.limit), data.validation):
            pass
        return to_safetensors(training.weights)

    def as_a_worker(seed: int) -> bytes:
        return train(Job.of(options, seed=seed, dataset=data.digest), data).weights

    ways: dict[str, Callable[[int], bytes]] = {
        "training alone": alone,
        "as a worker, through the protocol": as_a_worker,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        found = set()
        for name in list(ways) if number % 2 else reversed(list(ways)):
            started = time.process_time()
            blob = ways[name](number)
            taken = time.process_time() - started
            found.add(hashlib.sha256(blob).hexdigest())
            # The first round also loads machine code, and is not counted.
            if number:
                seconds[name].append(taken)
        if len(found) > 1:
            raise SystemExit("the two ways train other weights")
    return seconds


def install(folder: Path) -> None:
    """Install the trainer that trains nothing into a folder of the path."""
    described = folder / "nothing_trainer-1.dist-info"
    described.mkdir()
    (folder / "nothing_trainer.py").write_text(_NOTHING)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: nothing-trainer\nVersion: 1\n")
    (described / "entry_points.txt").write_text("[seedsweep.trainers]\nnothing = nothing_trainer:NothingTrainer\n")


def time_nothing(few: int, many: int, rounds: int) -> list[float]:
    """Return the seconds that each further job of a sweep of nothing takes, in each round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(folder)
        path = os.pathsep.join(filter(None, (name, os.environ.get("PYTHONPATH"))))
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("CELERY_", "SEEDSWEEP_"))}
        taken: list[float] = []
        for number in range(rounds):
            walls = {}
            for jobs in (few, many) if number % 2 else (many, few):
                words = ("--trainer", "nothing", "--seeds", f"0-{jobs - 1}", "--workers", "1", "--no-reuse")
                command = [
                    ORCHESTRATOR,
                    "sweep",
                    *words,
                    "--name",
                    f"{number}-{jobs}",
                    "--output",
                    str(folder / "runs"),
                ]
                started = time.perf_counter()
                subprocess.run(command, env=environment | {"PYTHONPATH": path}, check=True, stdout=subprocess.DEVNULL)
                walls[jobs] = time.perf_counter() - started
            taken.append((walls[many] - walls[few]) / (many - few))
        return taken


def summarize(seconds: dict[str, list[float]], nothing: list[float]) -> dict[str, Any]:
    """Return the figures: medians, and the ratios within the rounds."""
    alone, through = seconds.values()
    ratios = [other / one for one, other in zip(alone, through, strict=True)]
    return {
        "seconds": {name: statistics.median(each) for name, each in seconds.items()},
        "ratio": statistics.median(ratios),
        "quartiles": statistics.quantiles(ratios, n=4)[::2] if len(ratios) > 1 else ratios * 2,
        "job_of_nothing_ms": 1000 * statistics.median(nothing) if nothing else None,
        "jobs_of_nothing_ms": [1000 * each for each in nothing],
    }


def show(figures: dict[str, Any], options: argparse.Namespace, console: Console) -> None:
    """Print the figures."""
    samples = options.limit or "all"
    table = Table(
        title=f"A job of {options.epochs} epochs on {samples} samples", caption=f"{options.rounds} interleaved rounds"
    )
    for heading in ("", "median CPU s"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, seconds in figures["seconds"].items():
        table.add_row(name, f"{seconds:.4f}")
    console.print(table)
    low, high = figures["quartiles"]
    console.print(f"Ratio within a round: median {figures['ratio']:.4f}, quartiles {low:.4f} and {high:.4f}")
    if figures["job_of_nothing_ms"] is not None:
        console.print(
            f"A job that trains nothing: {figures['job_of_nothing_ms']:.1f} ms (median of {options.sweeps} rounds, "
            f"each {options.jobs[1]} less {options.jobs[0]} jobs)"
        )


def main() -> None:
    """Run the benchmark."""
    options = parse(sys.argv[1:])
    seconds = time_job(options.epochs, options.limit, options.rounds)
    few, many = options.jobs
    figures = summarize(seconds, time_nothing(few, many, options.sweeps))
    show(figures, options, Console(highlight=False))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
